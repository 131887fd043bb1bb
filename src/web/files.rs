//! Files: uploading them, reading them, and what is known of them.
//!
//! Bytes go to and from disk in pieces, never as a whole through memory. Whoever is in the organisation may read its
//! files; a signed link opens one file without a token.

mod download;
mod upload;

use std::path::PathBuf;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, get, post, web};
use serde::Serialize;
use serde_json::json;
use utoipa_actix_web::service_config::ServiceConfig;

use super::answer::ok;
use super::guard::{Bot, Reader, needs};
use super::params::Params;
use super::views::bot_of;
use super::{Answer, collab_examples as examples};
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::{FileId, OrgId};
use hxa_hub::auth::check_org;
use hxa_hub::hub::Hub;
use hxa_hub::wire;
use hxa_store::rows::FileRow;
use hxa_store::{DbConnection, files};

/// Registers the routes.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config.service(upload_one).service(info).service(download_one);
}

/// Upload a file
///
/// `multipart/form-data` with exactly one file part named `file`; other text fields are ignored. Accepted are JPEG, PNG,
/// GIF, WebP, PDF, plain text, CSV and JSON. Pictures and PDFs are found by their first bytes, whatever is declared; of
/// text the declared type counts, and its extension where none or `application/octet-stream` is declared. Needs scope
/// `thread` or `message`. Counts against the day's quotas of the bot and of the hub.
#[utoipa::path(
    tag = "Collaboration",
    request_body(
        content = String, content_type = "multipart/form-data",
        description = "One part named `file`, with a file name and a type",
        example = json!("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"chart.png\"\r\n\
                         Content-Type: image/png\r\n\r\n…\r\n--x--\r\n"),
    ),
    responses(
        (status = 200, description = "The stored file", body = serde_json::Value, example = json!(examples::file())),
        (status = 400, description = "No file; `UPLOAD_ERROR` for a second one or one under another name"),
        (status = 413, description = "`FILE_TOO_LARGE`"),
        (status = 415, description = "`UNSUPPORTED_MEDIA_TYPE`"),
        (status = 429, description = "`RATE_LIMITED`: a quota of the day is used up"),
    ),
)]
#[post("/api/files/upload")]
async fn upload_one(hub: web::Data<Hub>, caller: Bot<needs::Upload>, body: upload::Incoming) -> Answer {
    let row = upload::receive(&hub, &caller, body).await?;
    ok(&wire::File::from(&row))
}

/// Download a file
///
/// For bots with scope `read` and organisation admins. With both `exp` and `sig` of a signed link no token is needed
/// and none is looked at. `Range` with one range is answered with 206.
#[utoipa::path(
    tag = "Collaboration",
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
async fn download_one(hub: web::Data<Hub>, id: web::Path<String>, params: Params, request: HttpRequest) -> Answer {
    let link = params.get("exp").zip(params.get("sig"));
    let (row, cache) = match link {
        Some((exp, signature)) => {
            let row = find(&hub, &id, None).await;
            check_link(&hub, row.as_ref().ok(), &id, (exp, signature))?;
            let row = row?;
            check_owner(&hub, &row).await?;
            (row, "private, max-age=86400")
        }
        None => {
            let reader = Reader::from_request(&request, &mut Payload::None).await?;
            (find(&hub, &id, Some(reader.org().id)).await?, "private, max-age=31536000, immutable")
        }
    };
    download::send(data_dir(&hub), row, cache, &request).await
}

/// Get a file's metadata
#[utoipa::path(
    tag = "Collaboration",
    params(("id" = String, Path, description = "The file", example = json!(examples::FILE))),
    responses(
        (status = 200, description = "The file", body = serde_json::Value, example = json!(examples::file_info())),
        (status = 403, description = "A file of another organisation"),
        (status = 404, description = "No such file"),
    ),
)]
#[get("/api/files/{id}/info")]
async fn info(hub: web::Data<Hub>, reader: Reader, id: web::Path<String>) -> Answer {
    #[derive(Serialize)]
    struct View<'a> {
        #[serde(flatten)]
        file: wire::File<'a>,
        uploader_id: Option<&'a str>,
    }
    let row = find(&hub, &id, Some(reader.org().id)).await?;
    let uploader_id = row.uploader_id.as_deref().filter(|id| bot_of(reader.org(), Some(id)).is_some());
    ok(&View { file: (&row).into(), uploader_id })
}

/// A file, of the organisation if one is given.
async fn find(hub: &Hub, id: &str, org: Option<OrgId>) -> ApiResult<FileRow> {
    let missing = || ApiError::not_found("File");
    let id = FileId::parse(id).ok_or_else(missing)?;
    let read = move |conn: &mut DbConnection| files::find(conn, id);
    let found = match org {
        Some(org) => hub.store().read_for(org, read).await?,
        None => hub.store().read(read).await?,
    };
    let row = found.ok_or_else(missing)?;
    if org.is_some_and(|org| OrgId::parse(&row.org_id) != Some(org)) {
        return Err(ApiError::forbidden("The file belongs to another organisation"));
    }
    Ok(row)
}

/// Refuses a link that is not genuine; whether there is such a file is told only to those whose link is.
fn check_link(hub: &Hub, row: Option<&FileRow>, id: &str, (exp, signature): (&str, &str)) -> ApiResult<()> {
    let now_s = hub.now().div_euclid(1000);
    let org = row.map(|row| row.org_id.as_str());
    if hub.config().link_key().is_some_and(|key| key.accepts(org, id, exp, signature, now_s)) {
        return Ok(());
    }
    Err(ApiError::new(ErrorCode::AuthRequired, "The link is not valid or has ended"))
}

/// A link opens nothing while its file's organisation may not be used.
async fn check_owner(hub: &Hub, row: &FileRow) -> ApiResult<()> {
    let missing = || ApiError::not_found("File");
    let org = OrgId::parse(&row.org_id).ok_or_else(missing)?;
    check_org(&*hub.org(org).await?.ok_or_else(missing)?)
}

fn data_dir(hub: &Hub) -> PathBuf {
    hub.config().database.data_dir.clone()
}

/// The refusal of a disk that does not do what it should.
fn storage_error(error: &std::io::Error) -> ApiError {
    log::error!(error:% = error; "a file could not be stored or read");
    ApiError::new(ErrorCode::StorageError, "The file could not be stored or read")
}

/// Runs something that blocks on the disk.
async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> ApiResult<T> {
    let outcome = web::block(work).await.map_err(|_| ApiError::unavailable("The hub is stopping"))?;
    outcome.map_err(|error| storage_error(&error))
}

/// The JSON detail of an upload's audit row.
fn audit_detail(row: &FileRow) -> serde_json::Value {
    json!({ "name": row.name, "mime_type": row.mime_type, "size": row.size })
}
