//! Receiving an upload: one file out of a multipart body, to disk piece by piece.
//!
//! What cannot be accepted is refused as soon as it shows: the declared type before the first byte, the real type after
//! the first few, the size when it is passed, an exhausted quota before anything is written. The quota is checked again
//! together with storing the row, so that uploads at the same time cannot overrun it.

use actix_multipart::{Field, Multipart, MultipartError};
use actix_web::http::header::CONTENT_TYPE;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, Fuse, LocalBoxStream};

use super::{audit_detail, data_dir, on_disk};
use crate::actors::caller::{BotCaller, Caller};
use crate::actors::hub::Hub;
use crate::actors::org::Change;
use crate::domain::files::{FileType, clean_name, declared_type, sniff};
use crate::domain::ids::FileId;
use crate::domain::limits::SNIFF_BYTES;
use crate::error::{Allowance, ApiError, ApiResult, ErrorCode};
use crate::store::audit::{self, AuditRow};
use crate::store::blobs::{self, Staged};
use crate::store::files::{self, Quota};
use crate::store::rows::FileRow;

/// The name of the one part that is a file.
const FILE: &str = "file";
/// Bytes of other fields that are read over.
const OTHER_BYTES: usize = 1024 * 1024;
/// Bytes gathered before they are written.
const PIECE: usize = 256 * 1024;
const MIB: i64 = 1024 * 1024;
const DAY_MS: i64 = 86_400_000;

/// A whole upload on disk, not yet in its place.
struct Received {
    staged: Staged,
    name: String,
    kind: FileType,
}

/// Receives the file of a multipart body and stores it.
///
/// # Errors
/// What is wrong with the body, the file or the quota.
pub async fn receive(hub: &Hub, caller: &BotCaller, parts: Multipart) -> ApiResult<FileRow> {
    let mut parts = until_broken(parts);
    check_quota(hub, caller).await?;
    let received = match read_parts(hub, &mut parts).await {
        Ok(received) => received,
        Err(refusal) => {
            // A client that is still sending hears the refusal only after it is done.
            read_over(&mut parts, hub).await;
            return Err(refusal);
        }
    };
    store(hub, caller, received).await
}

/// Refuses a bot whose day is used up before its file is read.
async fn check_quota(hub: &Hub, caller: &BotCaller) -> ApiResult<()> {
    let (org, bot, quota) = (caller.org.row().id.clone(), caller.bot.row.id.clone(), quota(hub, caller));
    let fits = hub.store().read(move |conn| files::fits(conn, &org, &bot, 1, quota)).await?;
    if fits { Ok(()) } else { Err(used_up(hub, caller)) }
}

fn quota(hub: &Hub, caller: &BotCaller) -> Quota {
    let now = hub.now();
    let org = i64::try_from(hub.config().files.upload_mb_per_day).unwrap_or(i64::MAX);
    let bot = i64::from(caller.org.settings().file_upload_mb_per_day_per_bot);
    Quota { since: now - now.rem_euclid(DAY_MS), org: org.saturating_mul(MIB), bot: bot.saturating_mul(MIB) }
}

/// The refusal until the day, counted in UTC, is over.
fn used_up(hub: &Hub, caller: &BotCaller) -> ApiError {
    let left_ms = DAY_MS - hub.now().rem_euclid(DAY_MS);
    let limit = u32::try_from(caller.org.settings().file_upload_mb_per_day_per_bot).unwrap_or(0);
    let reset_s = u64::try_from(left_ms / 1000).unwrap_or(1).max(1);
    // In MiB: a rest that the file does not fit into counts as none.
    let allowance = Allowance { limit, remaining: 0, reset_s, window_s: DAY_MS.unsigned_abs() / 1000 };
    ApiError::rate_limited(reset_s).under(allowance)
}

/// Largest file plus one: the limit itself is too large.
fn size_limit(hub: &Hub) -> u64 {
    hub.config().files.max_file_size_mb.saturating_mul(1024 * 1024)
}

/// Parts of a multipart body, in their order.
type Parts = Fuse<LocalBoxStream<'static, Result<Field, MultipartError>>>;

/// The parts up to the first error and nothing after it: the reader panics when it is asked again.
fn until_broken(parts: Multipart) -> Parts {
    let next = |parts: Option<Multipart>| async {
        let mut parts = parts?;
        let part = parts.next().await?;
        let rest = part.is_ok().then_some(parts);
        Some((part, rest))
    };
    stream::unfold(Some(parts), next).boxed_local().fuse()
}

async fn read_parts(hub: &Hub, parts: &mut Parts) -> ApiResult<Received> {
    let mut received = None;
    let mut skipped = 0;
    while let Some(part) = parts.next().await {
        let part = part.map_err(|error| malformed(&error))?;
        let filename = filename(&part);
        let is_file_field = part.name() == Some(FILE);
        match filename {
            None if is_file_field => return Err(ApiError::validation("file must be a file, with a file name")),
            None => skip(part, &mut skipped).await?,
            Some(_) if !is_file_field || received.is_some() => {
                return Err(ApiError::new(ErrorCode::UploadError, "Send exactly one file, in a part named file"));
            }
            Some(name) if name.is_empty() => return Err(ApiError::validation("No file was chosen")),
            Some(name) => received = Some(read_file(hub, part, &name).await?),
        }
    }
    received.ok_or_else(|| ApiError::validation("No file was sent; send it in a part named file"))
}

fn malformed(error: &MultipartError) -> ApiError {
    ApiError::validation(format!("The body is not valid multipart/form-data: {error}"))
}

/// The file name of a part, if it is a file: the extended form where there is one.
fn filename(part: &Field) -> Option<String> {
    let disposition = part.content_disposition()?;
    let extended = disposition.get_filename_ext().and_then(|name| String::from_utf8(name.value.clone()).ok());
    extended.or_else(|| disposition.get_filename().map(str::to_owned))
}

/// Reads over a part that is not wanted.
async fn skip(mut part: Field, skipped: &mut usize) -> ApiResult<()> {
    while let Some(piece) = part.next().await {
        *skipped = skipped.saturating_add(piece.map_err(|error| malformed(&error))?.len());
        if *skipped > OTHER_BYTES {
            return Err(ApiError::new(ErrorCode::PayloadTooLarge, "The fields beside the file are too large"));
        }
    }
    Ok(())
}

/// Reads what is left of a refused body, up to what a good one could have.
async fn read_over(parts: &mut Parts, hub: &Hub) {
    let most = size_limit(hub);
    let mut read: u64 = 0;
    while let Some(Ok(mut part)) = parts.next().await {
        while let Some(Ok(piece)) = part.next().await {
            read = read.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if read > most {
                return;
            }
        }
    }
}

async fn read_file(hub: &Hub, mut part: Field, name: &str) -> ApiResult<Received> {
    let header = part.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?").to_owned());
    let declared = declared_type(header.as_deref())?;
    let mut sink = Sink::open(hub, declared).await?;
    while let Some(piece) = part.next().await {
        sink.take(piece.map_err(|error| malformed(&error))?).await?;
    }
    let (staged, kind) = sink.finish().await?;
    Ok(Received { staged, name: clean_name(name), kind })
}

/// Gathers the bytes of a file, finds out what it is, and writes it in large pieces.
struct Sink {
    staged: Option<Staged>,
    gathered: Vec<u8>,
    declared: FileType,
    kind: Option<FileType>,
    size: u64,
    limit: u64,
}

impl Sink {
    async fn open(hub: &Hub, declared: FileType) -> ApiResult<Self> {
        let dir = data_dir(hub);
        let staged = on_disk(move || Staged::create(&dir, declared.extension())).await?;
        let limit = size_limit(hub);
        Ok(Self { staged: Some(staged), gathered: Vec::new(), declared, kind: None, size: 0, limit })
    }

    async fn take(&mut self, piece: Bytes) -> ApiResult<()> {
        self.size = self.size.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if self.size >= self.limit {
            let most = self.limit / (1024 * 1024);
            return Err(ApiError::new(ErrorCode::FileTooLarge, format!("The file must be smaller than {most} MiB")));
        }
        self.gathered.extend_from_slice(&piece);
        if self.kind.is_none() && self.gathered.len() >= SNIFF_BYTES {
            self.kind = Some(sniff(self.declared, &self.gathered)?);
        }
        if self.gathered.len() >= PIECE { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> ApiResult<()> {
        let Some(mut staged) = self.staged.take() else { return Ok(()) };
        let gathered = std::mem::take(&mut self.gathered);
        let write = move || staged.write(&gathered).map(|()| staged);
        self.staged = Some(on_disk(write).await?);
        Ok(())
    }

    async fn finish(mut self) -> ApiResult<(Staged, FileType)> {
        let kind = match self.kind {
            Some(kind) => kind,
            None => sniff(self.declared, &self.gathered)?,
        };
        self.write().await?;
        let staged = self.staged.take().ok_or_else(ApiError::internal)?;
        Ok((staged, kind))
    }
}

/// Moves the file to its place and stores its row; a file without a row does not stay.
async fn store(hub: &Hub, caller: &BotCaller, received: Received) -> ApiResult<FileRow> {
    let Received { staged, name, kind } = received;
    let (org, bot) = (caller.org.row().id.clone(), caller.bot.row.id.clone());
    let size = i64::try_from(staged.size()).unwrap_or(i64::MAX);
    let place = (org.clone(), bot.clone());
    let path = on_disk(move || staged.place(&place.0, &place.1)).await?;
    let now = hub.now();
    let row = FileRow {
        id: FileId::at(now).to_string(),
        org_id: org,
        uploader_id: Some(bot.clone()),
        name,
        mime_type: Some(kind.as_str().to_owned()),
        size,
        path,
        created_at: now,
    };
    let (id, detail) = (row.id.clone(), Some(audit_detail(&row)));
    let trail = AuditRow::new(caller.org.id, now, Some(bot.clone()), "file.upload", "file", id, detail);
    let (stored, quota, refusal) = (row.clone(), quota(hub, caller), used_up(hub, caller));
    let write = move |conn: &mut crate::store::DbConnection| {
        if !files::fits(conn, &stored.org_id, &bot, stored.size, quota)? {
            return Err(refusal.clone().into());
        }
        files::insert(conn, &stored)?;
        audit::insert(conn, &trail)
    };
    let change = Change::new(write, |_, ()| Vec::new());
    if let Err(error) = hub.ask_org(Caller::Bot(caller.clone()), change).await {
        let (dir, path) = (data_dir(hub), row.path);
        on_disk(move || {
            blobs::delete(&dir, &path);
            Ok(())
        })
        .await?;
        return Err(error);
    }
    Ok(row)
}
