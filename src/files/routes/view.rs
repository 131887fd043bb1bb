//! Files as clients see them.

use serde::Serialize;
use utoipa::ToSchema;

use hxa_domain::ids::{BotId, FileId};
use hxa_hub::core::org_state::OrgState;
use hxa_store::rows::FileRow;

/// An uploaded file.
#[derive(Serialize, ToSchema)]
pub struct File<'a> {
    id: FileId,
    name: &'a str,
    #[schema(required)]
    mime_type: Option<&'a str>,
    size: i64,
    url: String,
    created_at: i64,
}

impl<'a> From<&'a FileRow> for File<'a> {
    fn from(row: &'a FileRow) -> Self {
        Self {
            id: row.id,
            name: &row.name,
            mime_type: row.mime_type.as_deref(),
            size: row.size,
            url: format!("/api/files/{}", row.id),
            created_at: row.created_at,
        }
    }
}

/// What is known of a file; its uploader only as long as there is such a bot.
#[derive(Serialize, ToSchema)]
pub struct FileInfo<'a> {
    #[serde(flatten)]
    file: File<'a>,
    #[schema(required, value_type = Option<BotId>)]
    uploader_id: Option<&'a str>,
}

impl<'a> FileInfo<'a> {
    /// The view for the file's organisation.
    #[must_use]
    pub fn new(row: &'a FileRow, org: &OrgState) -> Self {
        let is_there = |id: &&str| BotId::parse(id).is_some_and(|id| org.bot(id).is_some());
        Self { file: row.into(), uploader_id: row.uploader_id.as_deref().filter(is_there) }
    }
}
