//! Receiving one file, for any transport: checked as it arrives, stored once it is complete.
//!
//! What cannot be accepted is refused as soon as it shows: the declared type before the first byte, the real type after the
//! first few, the size when it is passed, a quota when the bytes that have arrived pass it. An upload that is dropped on its
//! way leaves nothing behind, on disk or in the quotas.

use actix_web::web;
use bytes::Bytes;
use serde_json::json;

use crate::blobs::{self, Staged};
use crate::quota::Reservation;
use crate::rules::{FileType, SNIFF_BYTES, clean_name, sniff, type_of};
use crate::writes::StoreFile;
use hxa_domain::budget::WriteClass;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::FileId;
use hxa_hub::commits::{Change, Commits};
use hxa_hub::core::Core;
use hxa_hub::core::caller::{BotCaller, Caller};
use hxa_store::rows::{AuditRow, FileRow};

/// Bytes gathered before they are written.
const PIECE: usize = 256 * 1024;

/// Bytes that no file may have: the limit itself is too large.
pub fn size_limit(core: &Core) -> u64 {
    core.config().files.max_file_size_mb.saturating_mul(1024 * 1024)
}

/// An upload under way: [`open`](Self::open), [`take`](Self::take) and [`close`](Self::close) once, then
/// [`finish`](Self::finish) and [`store`](Self::store).
pub struct Upload {
    core: Core,
    commits: Commits,
    caller: BotCaller,
    reservation: Reservation,
    arriving: Option<Arriving>,
    received: Option<Received>,
}

/// A file whose bytes are arriving.
struct Arriving {
    name: String,
    declared: FileType,
    sink: Sink,
}

/// A whole file on disk, not yet in its place.
struct Received {
    staged: Staged,
    name: String,
    kind: FileType,
}

impl Upload {
    /// One that has been admitted.
    pub(crate) fn new(core: Core, commits: Commits, caller: BotCaller, reservation: Reservation) -> Self {
        Self { core, commits, caller, reservation, arriving: None, received: None }
    }

    /// Begins the file: its name, and the type it is declared to have.
    ///
    /// # Errors
    /// 415 for a type that is not accepted; 500 when the disk refuses.
    pub async fn open(&mut self, name: &str, declared: Option<&str>) -> ApiResult<()> {
        let name = clean_name(name);
        let declared = type_of(declared, &name)?;
        let sink = Sink::open(&self.core, declared).await?;
        self.arriving = Some(Arriving { name, declared, sink });
        Ok(())
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// 413 when the file is too large, 429 when a quota of the day is used up, 415 when the file turns out to be of a type that
    /// is not accepted, 500 when the disk refuses.
    pub async fn take(&mut self, piece: Bytes) -> ApiResult<()> {
        let Some(arriving) = &mut self.arriving else { return Err(ApiError::internal()) };
        arriving.sink.check(&piece)?;
        self.reservation.grow(length(&piece))?;
        arriving.sink.take(piece).await
    }

    /// The file has arrived.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub async fn close(&mut self) -> ApiResult<()> {
        let Some(Arriving { name, declared, sink }) = self.arriving.take() else { return Ok(()) };
        let (staged, kind) = sink.finish().await?;
        // Text that was declared as a picture is the kind of text that its name says.
        let by_name = FileType::of_name(&name).filter(|named| named.is_text() && kind.is_text() && !declared.is_text());
        self.received = Some(Received { staged, kind: by_name.unwrap_or(kind), name });
        Ok(())
    }

    /// Whether a file has arrived.
    #[must_use]
    pub fn has_file(&self) -> bool {
        self.received.is_some()
    }

    /// Charges the file to the day on which it is stored.
    ///
    /// # Errors
    /// 429 when the day it was begun in is over, and it does not fit into the next.
    pub async fn finish(&mut self) -> ApiResult<()> {
        self.reservation.finish().await
    }

    /// Moves the file to its place and stores its row; a file without a row does not stay.
    ///
    /// # Errors
    /// 429 when the bot's budget of changes is used up; 500 when the disk refuses; 503 when the database is away.
    pub async fn store(self) -> ApiResult<FileRow> {
        let Self { core, commits, caller, reservation, received, .. } = self;
        let Received { staged, name, kind } = received.ok_or_else(ApiError::internal)?;
        let (org, bot) = (caller.org.id, caller.bot.id.to_string());
        let size = i64::try_from(staged.size()).unwrap_or(i64::MAX);
        let place = (org.to_string(), bot.clone());
        let path = on_disk(move || staged.place(&place.0, &place.1)).await?;
        let now = core.now();
        let row = FileRow {
            id: FileId::at(now),
            org_id: org,
            uploader_id: Some(bot.clone()),
            name,
            mime_type: Some(kind.as_str().to_owned()),
            size,
            path,
            created_at: now,
        };
        let (id, detail) = (row.id, Some(audit_detail(&row)));
        let trail = AuditRow::new(caller.org.id, now, Some(bot), "file.upload", "file", id, detail);
        let change = Change::new(WriteClass::File).writing(StoreFile(row.clone())).noting(trail);
        if let Err(error) = commits.make(&Caller::Bot(caller), change).await {
            let (dir, path) = (core.config().database.data_dir.clone(), row.path);
            on_disk(move || {
                blobs::delete(&dir, &path);
                Ok(())
            })
            .await?;
            return Err(error);
        }
        reservation.keep();
        Ok(row)
    }
}

/// The JSON detail of an upload's audit row.
fn audit_detail(row: &FileRow) -> serde_json::Value {
    json!({ "name": row.name, "mime_type": row.mime_type, "size": row.size })
}

/// Bytes of a piece.
pub fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// The refusal of a disk that does not do what it should.
fn storage_error(error: &std::io::Error) -> ApiError {
    log::error!(error:% = error; "a file could not be stored or read");
    ApiError::new(ErrorCode::StorageError, "The file could not be stored or read")
}

/// Runs something that blocks on the disk.
///
/// # Errors
/// 500 when the disk refuses, 503 when the hub is stopping.
pub async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> ApiResult<T> {
    let outcome = web::block(work).await.map_err(|_| ApiError::unavailable("The hub is stopping"))?;
    outcome.map_err(|error| storage_error(&error))
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
    async fn open(core: &Core, declared: FileType) -> ApiResult<Self> {
        let dir = core.config().database.data_dir.clone();
        let staged = on_disk(move || Staged::create(&dir, declared.extension())).await?;
        let limit = size_limit(core);
        Ok(Self { staged: Some(staged), gathered: Vec::new(), declared, kind: None, size: 0, limit })
    }

    /// Refuses what makes the file too large.
    fn check(&mut self, piece: &Bytes) -> ApiResult<()> {
        self.size = self.size.saturating_add(length(piece));
        if self.size >= self.limit {
            let most = self.limit / (1024 * 1024);
            return Err(ApiError::new(ErrorCode::FileTooLarge, format!("The file must be smaller than {most} MiB")));
        }
        Ok(())
    }

    async fn take(&mut self, piece: Bytes) -> ApiResult<()> {
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
