//! Sending a file: whole or one range of it, read from disk piece by piece as the client takes it.

use std::fs::File;
use std::path::PathBuf;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, IF_RANGE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures_util::stream::{Stream, try_unfold};

use crate::blobs::{self, Opened};
use crate::rules::{content_disposition, served_type};
use crate::upload::on_disk;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::etag;
use hxa_store::rows::FileRow;
use hxa_web::Answer;

/// Bytes read at a time.
const PIECE: usize = 64 * 1024;

/// Answers with a file. Its bytes never change, so its id is their tag.
///
/// # Errors
/// 404 when the bytes are gone, 403 when they lie elsewhere, 500 when the disk fails.
pub async fn send(data_dir: PathBuf, row: FileRow, cache: &'static str, request: &HttpRequest) -> Answer {
    let tag = format!("\"{}\"", row.id);
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    if request.headers().get_all(IF_NONE_MATCH).any(|tags| tags.to_str().is_ok_and(|tags| etag::lists(tags, &tag))) {
        return Ok(described(HttpResponse::NotModified(), &row, cache, &tag).finish());
    }
    let (org, path) = (row.org_id.to_string(), row.path.clone());
    let (file, size) = match on_disk(move || blobs::open(&data_dir, &org, &path)).await? {
        Opened::File(file, size) => (file, size),
        Opened::Missing => return Err(ApiError::not_found("File")),
        Opened::Outside => return Err(ApiError::forbidden("The file is not served")),
    };
    let is_current = header(IF_RANGE).is_none_or(|known| etag::is_exactly(known, &tag));
    let range = header(RANGE).filter(|_| is_current).map_or(Range::Whole, |range| Range::read(range, size));
    match range {
        Range::Whole => {
            let mut response = described(HttpResponse::Ok(), &row, cache, &tag);
            Ok(response.body(SizedStream::new(size, pieces(file, 0, size))))
        }
        Range::Part { from, to } => {
            let mut response = described(HttpResponse::PartialContent(), &row, cache, &tag);
            response.insert_header((CONTENT_RANGE, format!("bytes {from}-{to}/{size}")));
            let length = to - from + 1;
            Ok(response.body(SizedStream::new(length, pieces(file, from, length))))
        }
        Range::Outside => {
            let mut response = HttpResponse::build(StatusCode::RANGE_NOT_SATISFIABLE);
            Ok(response.insert_header((CONTENT_RANGE, format!("bytes */{size}"))).finish())
        }
    }
}

/// The headers of every answer with a file: how to show it, how long to keep it, and never to run it.
fn described(mut response: HttpResponseBuilder, row: &FileRow, cache: &'static str, tag: &str) -> HttpResponseBuilder {
    response
        .insert_header((CONTENT_TYPE, served_type(row.mime_type.as_deref())))
        .insert_header((CONTENT_DISPOSITION, content_disposition(row.mime_type.as_deref(), &row.name)))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'"))
        .insert_header((CACHE_CONTROL, cache))
        .insert_header((ACCEPT_RANGES, "bytes"))
        .insert_header((ETAG, tag));
    response
}

/// The bytes of a file from `offset`, `length` of them.
fn pieces(file: File, offset: u64, length: u64) -> impl Stream<Item = ApiResult<Bytes>> {
    try_unfold((file, offset, length), |(mut file, offset, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        let read = move || blobs::read_piece(&mut file, offset, most).map(|piece| (file, piece));
        let (file, piece) = on_disk(read).await?;
        let read = u64::try_from(piece.len()).unwrap_or(0);
        if read == 0 {
            // The promised length cannot be kept: better a broken answer than a short one.
            return Err(ApiError::internal());
        }
        Ok(Some((Bytes::from(piece), (file, offset.saturating_add(read), left.saturating_sub(read)))))
    })
}

/// What part of a file is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    /// All of it: none, several or unreadable ranges were asked for.
    Whole,
    /// From one byte to another, both included.
    Part { from: u64, to: u64 },
    /// Nothing the file has.
    Outside,
}

impl Range {
    /// Reads a `Range` header for a file of `size` bytes. An empty file has no range and is sent whole, as other servers do:
    /// some clients ask for a range just to bound what they get.
    fn read(header: &str, size: u64) -> Self {
        let Some((from, to)) = bounds(header).filter(|_| size > 0) else { return Self::Whole };
        let last = size.saturating_sub(1);
        let (from, to) = match (position(from), position(to)) {
            (Some(from), Some(to)) if from <= to => (from, to.min(last)),
            (Some(from), None) if to.is_empty() => (from, last),
            (None, Some(0)) if from.is_empty() => return Self::Outside,
            (None, Some(tail)) if from.is_empty() => (size.saturating_sub(tail), last),
            _ => return Self::Whole,
        };
        if from >= size { Self::Outside } else { Self::Part { from, to } }
    }
}

/// The two ends of a header that asks for one range of bytes.
fn bounds(header: &str) -> Option<(&str, &str)> {
    let (unit, range) = header.trim().split_once('=')?;
    let (from, to) = range.split_once('-')?;
    (unit.eq_ignore_ascii_case("bytes") && !range.contains(',')).then(|| (from.trim(), to.trim()))
}

/// A position: digits only. One that is larger than any file is as good as the largest.
fn position(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_served() {
        let part = |from, to| Range::Part { from, to };
        for (header, expected) in [
            ("bytes=0-9", part(0, 9)),
            ("bytes=5-", part(5, 99)),
            ("bytes=-10", part(90, 99)),
            ("bytes=-1000", part(0, 99)),
            ("bytes=90-1000", part(90, 99)),
            ("bytes=99-99", part(99, 99)),
            ("Bytes=0-0", part(0, 0)),
            ("bytes= 0-9 ", part(0, 9)),
            ("bytes=0-99999999999999999999999", part(0, 99)),
            ("bytes=-99999999999999999999999", part(0, 99)),
            ("bytes=99999999999999999999999-", Range::Outside),
            ("bytes=+0-9", Range::Whole),
            ("bytes=0-+9", Range::Whole),
            ("bytes=-+9", Range::Whole),
            ("bytes=0--9", Range::Whole),
            ("bytes", Range::Whole),
            ("bytes=", Range::Whole),
            ("bytes=0-1,", Range::Whole),
            ("bytes=100-", Range::Outside),
            ("bytes=-0", Range::Outside),
            ("bytes=9-5", Range::Whole),
            ("bytes=0-1,5-6", Range::Whole),
            ("bytes=-", Range::Whole),
            ("bytes=a-b", Range::Whole),
            ("items=0-9", Range::Whole),
            ("", Range::Whole),
        ] {
            assert_eq!(Range::read(header, 100), expected, "{header}");
        }
        for header in ["bytes=0-", "bytes=0-0", "bytes=-500", "bytes=-0", "bytes=5-", ""] {
            assert_eq!(Range::read(header, 0), Range::Whole, "{header}");
        }
    }
}
