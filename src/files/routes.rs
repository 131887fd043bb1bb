//! The REST transport of files.
//!
//! Bytes go to and from disk in pieces, never as a whole through memory. Whoever is in the organisation may read its
//! files; a signed link opens one file without a token.

mod download;
mod examples;
mod form;
mod view;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, get, post, web};

use crate::service::Files;
use hxa_domain::scope::{Need, Scope};
use hxa_web::Answer;
use hxa_web::answer::ok;
use hxa_web::guard::{Bot, Reader, needs};
use hxa_web::params::Params;
use hxa_web::routing::Routes;

/// What each route needs of a bot's credential.
pub const NEEDS: &[(&str, Need)] = &[
    ("GET /api/files/{id}", Need::Of(Scope::Read)),
    ("GET /api/files/{id}/info", Need::Of(Scope::Read)),
    ("POST /api/files/upload", Need::Upload),
];

/// Registers the routes.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(upload_one).service(info).service(download_one);
}

/// Upload a file
///
/// `multipart/form-data` with exactly one file part named `file`; other text fields are ignored. Accepted are JPEG, PNG,
/// GIF, WebP, PDF, plain text, CSV and JSON. Pictures and PDFs are found by their first bytes, whatever is declared; of
/// text the declared type counts, and its extension where none or `application/octet-stream` is declared. Needs scope
/// `thread` or `message`. Counts against the day's quotas of the bot and of the hub.
#[utoipa::path(
    tag = "Collaboration", operation_id = "files_upload",
    request_body(
        content = String, content_type = "multipart/form-data",
        description = "One part named `file`, with a file name and a type",
        example = json!("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"chart.png\"\r\n\
                         Content-Type: image/png\r\n\r\n…\r\n--x--\r\n"),
    ),
    responses(
        (status = 200, description = "The stored file", body = view::File, example = json!(examples::file())),
        (status = 400, description = "No file; `UPLOAD_ERROR` for a second one or one under another name"),
        (status = 413, description = "`FILE_TOO_LARGE`"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`"),
        (status = 429, description = "`RATE_LIMITED`: a quota of the day is used up"),
    ),
)]
#[post("/api/files/upload")]
async fn upload_one(files: web::Data<Files>, caller: Bot<needs::Upload>, body: form::Incoming) -> Answer {
    let row = form::receive(&files, &caller, body).await?;
    ok(&view::File::from(&row))
}

/// Download a file
///
/// For bots with scope `read` and organisation admins. With both `exp` and `sig` of a signed link no token is needed
/// and none is looked at. `Range` with one range is answered with 206.
#[utoipa::path(
    tag = "Collaboration", operation_id = "file_download",
    params(
        ("id" = String, Path, description = "The file", example = json!(examples::FILE)),
        ("exp" = Option<i64>, Query, description = "When a signed link ends, in seconds since the epoch"),
        ("sig" = Option<String>, Query, description = "Signature of a signed link"),
        ("Range" = Option<String>, Header, description = "A range of bytes", example = json!("bytes=0-1023")),
    ),
    responses(
        (status = 200, description = "The bytes", content_type = "application/octet-stream", body = String,
            example = json!("…")),
        (status = 206, description = "The range of bytes asked for"),
        (status = 304, description = "Unchanged"),
        (status = 401, description = "A signed link that is wrong or has ended"),
        (status = 403, description = "`ORG_SUSPENDED`; a file of another organisation"),
        (status = 404, description = "No such file"),
        (status = 416, description = "The range lies outside of the file"),
    ),
)]
#[get("/api/files/{id}")]
async fn download_one(files: web::Data<Files>, id: web::Path<String>, params: Params, request: HttpRequest) -> Answer {
    let link = params.get("exp").zip(params.get("sig"));
    let (row, cache) = match link {
        Some(link) => (files.find_by_link(&id, link).await?, "private, max-age=86400"),
        None => {
            let reader = Reader::from_request(&request, &mut Payload::None).await?;
            (files.find(&id, Some(reader.org().id)).await?, "private, max-age=31536000, immutable")
        }
    };
    download::send(files.data_dir().to_owned(), row, cache, &request).await
}

/// Get a file's metadata
#[utoipa::path(
    tag = "Collaboration", operation_id = "file_get",
    params(("id" = String, Path, description = "The file", example = json!(examples::FILE))),
    responses(
        (status = 200, description = "The file", body = view::FileInfo, example = json!(examples::file_info())),
        (status = 403, description = "A file of another organisation"),
        (status = 404, description = "No such file"),
    ),
)]
#[get("/api/files/{id}/info")]
async fn info(files: web::Data<Files>, reader: Reader, id: web::Path<String>) -> Answer {
    let row = files.find(&id, Some(reader.org().id)).await?;
    ok(&view::FileInfo::new(&row, reader.org()))
}
