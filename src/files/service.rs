//! The running feature.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use futures_util::future::LocalBoxFuture;

use crate::quota::{self, Uploads};
use crate::upload::{self, Upload};
use crate::{blobs, queries};
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::{FileId, OrgId};
use hxa_hub::auth::check_org;
use hxa_hub::commits::Commits;
use hxa_hub::core::Core;
use hxa_hub::core::caller::BotCaller;
use hxa_hub::feature::{Duty, Feature, When};
use hxa_hub::hub::Hub;
use hxa_store::DbConnection;
use hxa_store::clock;
use hxa_store::rows::FileRow;

/// Between two looks for what dead uploads have left on disk.
const STAGED: Duration = Duration::from_secs(600);

/// The files of a running hub.
pub struct Files {
    core: Core,
    commits: Commits,
    uploads: Arc<Uploads>,
}

impl Files {
    /// Over a hub, whose data folder holds them.
    #[must_use]
    pub fn new(hub: &Hub) -> Self {
        let core = hub.core().clone();
        Self { uploads: Uploads::new(core.clone()), commits: hub.commits().clone(), core }
    }

    /// Begins an upload of a bot; `announced` is how many bytes it says it will send, if it says so.
    ///
    /// # Errors
    /// 429 when too many uploads are under way, or when it would not fit into what is left of the day's quotas.
    pub async fn begin(&self, caller: &BotCaller, announced: Option<u64>) -> ApiResult<Upload> {
        let reservation = quota::begin(&self.uploads, caller, announced).await?;
        Ok(Upload::new(self.core.clone(), self.commits.clone(), caller.clone(), reservation))
    }

    /// A file, of the organisation if one is given.
    ///
    /// # Errors
    /// 404 when there is none, 403 when it is another organisation's.
    pub async fn find(&self, id: &str, org: Option<OrgId>) -> ApiResult<FileRow> {
        let missing = || ApiError::not_found("File");
        let id = FileId::parse(id).ok_or_else(missing)?;
        let read = move |conn: &mut DbConnection| queries::find(conn, id);
        let found = match org {
            Some(org) => self.core.store().read_for(org, read).await?,
            None => self.core.store().read(read).await?,
        };
        let row = found.ok_or_else(missing)?;
        if org.is_some_and(|org| row.org_id != org) {
            return Err(ApiError::forbidden("The file belongs to another organisation"));
        }
        Ok(row)
    }

    /// The file that a signed link opens. Whether there is such a file is told only to those whose link is genuine.
    ///
    /// # Errors
    /// 401 for a link that is not genuine or has expired; 404 when there is no such file; 403 while its organisation may not
    /// be used.
    pub async fn find_by_link(&self, id: &str, (exp, signature): (&str, &str)) -> ApiResult<FileRow> {
        let row = self.find(id, None).await;
        let org = row.as_ref().ok().map(|row| row.org_id.to_string());
        let now_s = self.core.now().div_euclid(1000);
        if !self.core.config().link_key().is_some_and(|key| key.accepts(org.as_deref(), id, exp, signature, now_s)) {
            return Err(ApiError::new(ErrorCode::AuthRequired, "The link is not valid or has ended"));
        }
        let row = row?;
        let missing = || ApiError::not_found("File");
        check_org(&*self.core.org(row.org_id).await?.ok_or_else(missing)?)?;
        Ok(row)
    }

    /// The folder that stored paths are relative to.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.core.config().database.data_dir
    }

    /// Bytes that no file may have: the limit itself is too large.
    #[must_use]
    pub fn size_limit(&self) -> u64 {
        upload::size_limit(&self.core)
    }
}

impl Feature for Files {
    fn duties(self: Arc<Self>) -> Vec<Duty> {
        let (of_before, core) = (self.core.clone(), self.core.clone());
        vec![
            // Nobody goes on with uploads of an earlier life of the hub, however young they are.
            Duty::new("deleting uploads that the last stop interrupted", When::AtStart, move || {
                let age = Duration::from_millis(of_before.uptime_ms().unsigned_abs());
                sweep(of_before.config().database.data_dir.clone(), age)
            }),
            Duty::new("deleting unfinished uploads", When::Every(STAGED), move || {
                sweep(core.config().database.data_dir.clone(), blobs::STALE)
            }),
        ]
    }

    /// Rows of files go with their organisation's row; here their bytes go.
    fn before_org_deleted(&self, org: OrgId) -> LocalBoxFuture<'static, ApiResult<()>> {
        let data_dir = self.core.config().database.data_dir.clone();
        Box::pin(async move {
            let deleted = web::block(move || blobs::delete_org(&data_dir, org)).await;
            deleted.map_err(|_| ApiError::unavailable("The files could not be deleted now"))
        })
    }
}

/// Deletes what uploads that nobody finishes have left on disk.
async fn sweep(dir: PathBuf, age: Duration) -> ApiResult<()> {
    match web::block(move || blobs::sweep_staging(&dir, age, clock::now())).await {
        // A hub that stops sweeps when it starts again.
        Ok(Ok(0)) | Err(_) => {}
        Ok(Ok(files)) => log::info!(files; "unfinished uploads were deleted"),
        Ok(Err(error)) => log::warn!(error:% = error; "unfinished uploads could not be deleted"),
    }
    Ok(())
}
