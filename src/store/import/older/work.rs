//! Messages and artifacts of threads, and uploaded files.

use super::super::source::Table;
use super::super::target::Parent;
use super::super::{ImportError, Move, bytes};
use super::fields::{Fields, Shape, Skip};
use super::{cleaned_row, found, insert, simple, walk};
use crate::rows::{ArtifactRow, FileRow, ThreadMessageRow};
use hxa_domain::artifact::ArtifactType;

const NO_THREAD: Skip = "its thread is gone";
const THREAD: [(&str, Parent); 1] = [("thread_id", Parent::Thread)];

/// Moves all of it.
pub fn tables(all: &mut Move) -> Result<(), ImportError> {
    let table = Table { name: "thread_messages", key: &["id"], extra: &[] };
    simple::<ThreadMessageRow>(all, &table, &THREAD, message)?;
    let table = Table { name: "artifacts", key: &["id"], extra: &[] };
    simple::<ArtifactRow>(all, &table, &THREAD, artifact)?;
    files(all)
}

fn message(row: &mut Fields<'_>) -> Result<ThreadMessageRow, Skip> {
    Ok(ThreadMessageRow {
        thread_id: row.parent("thread_id", Parent::Thread, NO_THREAD)?,
        created_at: row.time("created_at"),
        id: row.id()?,
        sender_id: row.text("sender_id"),
        content: row.text("content").unwrap_or_default(),
        content_type: row.text("content_type").unwrap_or_else(|| "text".to_owned()),
        parts: row.json("parts", Shape::List),
        metadata: row.json("metadata", Shape::Any),
        mentions: row.json("mentions", Shape::List),
        mention_all: row.flag("mention_all"),
        reply_to_id: row.text("reply_to_id"),
        via_socket: false,
    })
}

fn artifact(row: &mut Fields<'_>) -> Result<ArtifactRow, Skip> {
    Ok(ArtifactRow {
        thread_id: row.parent("thread_id", Parent::Thread, NO_THREAD)?,
        artifact_key: row.required("artifact_key", "it has no key")?,
        version: row.small("version", 1, 1),
        id: row.id()?,
        kind: row.word("type", ArtifactType::parse, ArtifactType::Text, "its type is unknown; it is text now"),
        title: row.text("title"),
        content: row.text("content"),
        language: row.text("language"),
        url: row.text("url"),
        mime_type: row.text("mime_type"),
        contributor_id: row.text("contributor_id"),
        format_warning: row.flag("format_warning"),
        via_socket: false,
        created_at: row.time("created_at"),
    })
}

fn files(all: &mut Move) -> Result<(), ImportError> {
    let table = Table { name: "files", key: &["id"], extra: &[] };
    walk(all, &table, &[("org_id", Parent::Org)], |all, page| {
        let mut rows = Vec::with_capacity(page.len());
        for (name, mut fields) in page {
            let cleaned = file(&mut fields);
            let Some(mut row) = cleaned_row(all, table.name, &name, fields, cleaned) else { continue };
            if let Some(why) = all.files.take(&mut row)? {
                all.report.table(table.name).change(why, &name);
            }
            rows.push(row);
        }
        insert(all, table.name, &rows)
    })?;
    found::<FileRow>(all, table.name)
}

fn file(row: &mut Fields<'_>) -> Result<FileRow, Skip> {
    let path = row.required("path", "it has no path")?;
    if !bytes::is_of_upload(&path) {
        return Err("its path is not that of an uploaded file");
    }
    Ok(FileRow {
        id: row.id()?,
        org_id: row.parent("org_id", Parent::Org, "its organisation is gone")?,
        uploader_id: row.text("uploader_id"),
        name: row.text("name").unwrap_or_default(),
        mime_type: row.text("mime_type"),
        size: row.int("size").unwrap_or(0).max(0),
        path,
        created_at: row.time("created_at"),
    })
}
