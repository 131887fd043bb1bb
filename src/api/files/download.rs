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

use super::on_disk;
use crate::api::Answer;
use crate::domain::files::{content_disposition, served_type};
use crate::error::{ApiError, ApiResult};
use crate::store::blobs::{self, Opened};
use crate::store::rows::FileRow;

/// Bytes read at a time.
const PIECE: usize = 64 * 1024;

/// Answers with a file. Its bytes never change, so its id is their tag.
///
/// # Errors
/// 404 when the bytes are gone, 403 when they lie elsewhere, 500 when the disk fails.
pub async fn send(data_dir: PathBuf, row: FileRow, cache: &'static str, request: &HttpRequest) -> Answer {
    let tag = format!("\"{}\"", row.id);
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let knows = |tags: &str| tags.split(',').any(|known| known.trim() == "*" || known.trim() == tag);
    if header(IF_NONE_MATCH).is_some_and(knows) {
        return Ok(described(HttpResponse::NotModified(), &row, cache, &tag).finish());
    }
    let (org, path) = (row.org_id.clone(), row.path.clone());
    let (file, size) = match on_disk(move || blobs::open(&data_dir, &org, &path)).await? {
        Opened::File(file, size) => (file, size),
        Opened::Missing => return Err(ApiError::not_found("File")),
        Opened::Outside => return Err(ApiError::forbidden("The file is not served")),
    };
    let is_current = header(IF_RANGE).is_none_or(|known| known == tag);
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
    /// Reads a `Range` header for a file of `size` bytes.
    fn read(header: &str, size: u64) -> Self {
        let bounds = header.trim().strip_prefix("bytes=").filter(|rest| !rest.contains(','));
        let Some((from, to)) = bounds.and_then(|bounds| bounds.trim().split_once('-')) else { return Self::Whole };
        let last = size.saturating_sub(1);
        let (from, to) = match (from.parse::<u64>(), to.parse::<u64>()) {
            (Ok(from), Ok(to)) if from <= to => (from, to.min(last)),
            (Ok(from), Err(_)) if to.is_empty() => (from, last),
            (Err(_), Ok(0)) if from.is_empty() => return Self::Outside,
            (Err(_), Ok(tail)) if from.is_empty() => (size.saturating_sub(tail), last),
            _ => return Self::Whole,
        };
        if from >= size { Self::Outside } else { Self::Part { from, to } }
    }
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
        assert_eq!(Range::read("bytes=0-", 0), Range::Outside);
    }
}
