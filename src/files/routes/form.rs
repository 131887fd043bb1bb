//! The multipart body of an upload, read part by part.
//!
//! Everything beside the file is bounded: other fields, the number of parts, the text between them. A body that stalls
//! is ended.

use std::cell::Cell;
use std::rc::Rc;

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, ContentDisposition, HeaderMap, HeaderValue,
};
use actix_web::{FromRequest, HttpRequest};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{Ready, ready};
use futures_util::stream::{self, Fuse, LocalBoxStream};

use crate::service::Files;
use crate::upload::{Upload, length};
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_hub::core::caller::BotCaller;
use hxa_store::rows::FileRow;
use hxa_web::paced::{self, Paced};

/// The name of the one part that is a file.
const FILE: &str = "file";
/// Bytes beside the file that are read over: other fields, headers, boundaries.
const OTHER_BYTES: u64 = 1024 * 1024;
/// Parts of one body, far more than any form has.
const PARTS: usize = 100;

/// The multipart body of an upload, before it is read.
pub struct Incoming {
    parts: Result<Multipart, ApiError>,
    announced: Option<u64>,
    meter: Rc<Meter>,
}

/// What was read of a body.
#[derive(Default)]
struct Meter {
    all: Cell<u64>,
    file: Cell<u64>,
}

impl Meter {
    fn others(&self) -> u64 {
        self.all.get().saturating_sub(self.file.get())
    }
}

impl FromRequest for Incoming {
    type Error = ApiError;
    type Future = Ready<ApiResult<Self>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let Some(hub) = paced::hub_of(request) else { return ready(Err(ApiError::internal())) };
        let header = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let announced = header.and_then(|length| length.parse().ok());
        let meter = Rc::new(Meter::default());
        let counter = meter.clone();
        // What the parser holds and has not handed out yet is beside the file at first.
        let most = OTHER_BYTES.saturating_mul(2);
        let body = Paced::new(payload.take(), request, &hub).map(move |piece| {
            counter.all.set(counter.all.get().saturating_add(piece.as_ref().map_or(0, length)));
            if counter.others() > most { Err(PayloadError::Overflow) } else { piece }
        });
        let parts = form_headers(request.headers()).map(|headers| Multipart::new(&headers, body));
        ready(Ok(Self { parts, announced, meter }))
    }
}

/// The headers of a form as those of any multipart body: a part whose header is no UTF-8 then still comes through.
fn form_headers(headers: &HeaderMap) -> ApiResult<HeaderMap> {
    const FORM: &str = "multipart/form-data";
    let given = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let (kind, parameters) = given.split_at_checked(FORM.len()).unwrap_or_default();
    let mixed = HeaderValue::from_str(&format!("multipart/mixed{parameters}"));
    match mixed {
        Ok(mixed) if kind.eq_ignore_ascii_case(FORM) => Ok(std::iter::once((CONTENT_TYPE, mixed)).collect()),
        _ => Err(ApiError::validation(format!("The body must be {FORM} with a boundary"))),
    }
}

/// Receives the file of a multipart body and stores it.
///
/// # Errors
/// What is wrong with the body, the file or the quota.
pub async fn receive(files: &Files, caller: &BotCaller, body: Incoming) -> ApiResult<FileRow> {
    let mut form = Form { parts: until_error(body.parts?), meter: body.meter };
    let received = async {
        let mut upload = files.begin(caller, body.announced).await?;
        form.read(&mut upload).await?;
        upload.finish().await?;
        Ok(upload)
    };
    match received.await {
        Ok(upload) => upload.store().await,
        Err(refusal) => {
            // A client that is still sending hears the refusal only after it is done.
            form.discard_rest(files.size_limit()).await;
            Err(refusal)
        }
    }
}

/// Parts of a multipart body, in their order.
type Parts = Fuse<LocalBoxStream<'static, Result<Field, MultipartError>>>;

/// The parts up to the first error and nothing after it: the reader panics when it is asked again.
fn until_error(parts: Multipart) -> Parts {
    let next = |parts: Option<Multipart>| async {
        let mut parts = parts?;
        let part = parts.next().await?;
        let rest = part.is_ok().then_some(parts);
        Some((part, rest))
    };
    stream::unfold(Some(parts), next).boxed_local().fuse()
}

/// A form that is being read.
struct Form {
    parts: Parts,
    meter: Rc<Meter>,
}

impl Form {
    async fn read(&mut self, upload: &mut Upload) -> ApiResult<()> {
        let mut count = 0;
        while let Some(part) = self.parts.next().await {
            let part = part.map_err(|error| malformed(&error))?;
            count += 1;
            if count > PARTS {
                let message = format!("The form has too many parts (at most {PARTS})");
                return Err(ApiError::new(ErrorCode::PayloadTooLarge, message));
            }
            let disposition = disposition(&part)?;
            let is_file_field = disposition.get_name() == Some(FILE);
            match filename(&disposition) {
                None if is_file_field => return Err(ApiError::validation("file must be a file, with a file name")),
                None => self.skip(part).await?,
                Some(_) if !is_file_field || upload.has_file() => {
                    return Err(ApiError::new(ErrorCode::UploadError, "Send exactly one file, in a part named file"));
                }
                Some(name) if name.is_empty() => return Err(ApiError::validation("No file was chosen")),
                Some(name) => self.read_file(part, &name, upload).await?,
            }
            self.check_others()?;
        }
        if upload.has_file() {
            Ok(())
        } else {
            Err(ApiError::validation("No file was sent; send it in a part named file"))
        }
    }

    /// What is beside the file is bounded, whether it is a field, a header or nothing at all.
    fn check_others(&self) -> ApiResult<()> {
        // The parser may hold so much of what comes next.
        if self.meter.others() > OTHER_BYTES.saturating_add(64 * 1024) { Err(too_much_beside()) } else { Ok(()) }
    }

    /// Reads over a part that is not wanted.
    async fn skip(&self, mut part: Field) -> ApiResult<()> {
        while let Some(piece) = part.next().await {
            piece.map_err(|error| malformed(&error))?;
            self.check_others()?;
        }
        Ok(())
    }

    async fn read_file(&self, mut part: Field, name: &str, upload: &mut Upload) -> ApiResult<()> {
        let declared = part.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?").to_owned());
        upload.open(name, declared.as_deref()).await?;
        while let Some(piece) = part.next().await {
            let piece = piece.map_err(|error| malformed(&error))?;
            self.meter.file.set(self.meter.file.get().saturating_add(length(&piece)));
            upload.take(piece).await?;
        }
        upload.close().await
    }

    /// Reads and discards the rest of a refused body, up to what a good one could have.
    async fn discard_rest(&mut self, most: u64) {
        let mut count = 0;
        while let Some(Ok(mut part)) = self.parts.next().await {
            count += 1;
            while let Some(Ok(piece)) = part.next().await {
                self.meter.file.set(self.meter.file.get().saturating_add(length(&piece)));
            }
            if count > PARTS || self.meter.all.get() > most {
                return;
            }
        }
    }
}

fn too_much_beside() -> ApiError {
    ApiError::new(
        ErrorCode::PayloadTooLarge,
        format!("What is beside the file is too large (at most {OTHER_BYTES} bytes)"),
    )
}

fn malformed(error: &MultipartError) -> ApiError {
    match error {
        MultipartError::Payload(PayloadError::Overflow) => too_much_beside(),
        MultipartError::Payload(error) => paced::refusal_of(error)
            .unwrap_or_else(|| ApiError::validation("The body ended early or could not be read")),
        error => ApiError::validation(format!("The body is not valid multipart/form-data: {error}")),
    }
}

/// What a part says it is. A header that is no UTF-8, as older clients send names, is taken as far as it can be read.
fn disposition(part: &Field) -> ApiResult<ContentDisposition> {
    let header = part.headers().get(CONTENT_DISPOSITION);
    let text = header.map(|header| String::from_utf8_lossy(header.as_bytes()).into_owned());
    let value = text.and_then(|text| HeaderValue::from_maybe_shared(Bytes::from(text)).ok());
    let disposition = value.and_then(|value| ContentDisposition::from_raw(&value).ok());
    let disposition = disposition.filter(|found| found.is_form_data() && found.get_name().is_some());
    disposition.ok_or_else(|| {
        ApiError::validation(
            "Each part must have a header Content-Disposition: form-data with a name; one has none that can be read",
        )
    })
}

/// The file name of a part, if it is a file: the extended form where there is one.
fn filename(disposition: &ContentDisposition) -> Option<String> {
    let extended = disposition.get_filename_ext().and_then(|name| String::from_utf8(name.value.clone()).ok());
    extended.or_else(|| disposition.get_filename().map(str::to_owned))
}
