//! Rows of a hub of this version: copied unchanged, table by table, parents first.

use super::bytes::is_of_upload;
use super::source::PAGE;
use super::target::Stored;
use super::{ImportError, Move, NAMED_LIKE_AN_ID, instead_of_id};
use crate::Catalogue;
use crate::rows::{
    ArtifactRow, AuditRow, BotRow, BotTokenRow, CatchupRow, ChannelMessageRow, ChannelRow, DeliveryRow, FileRow,
    InviteCodeRow, JoinRequestRow, OrgRow, OrgSettingsRow, ParticipantRow, PayloadRow, PersonLinkRow, PersonRow,
    ReceiptRow, SessionRow, ThreadMessageRow, ThreadRow, TicketRow, TombstoneRow, WebhookHealthRow,
};

/// The tables, for counting. Marks of writers mean nothing to another database.
pub fn names(catalogue: &Catalogue) -> Vec<&'static str> {
    super::target::TABLES.into_iter().chain(catalogue.tables().map(|table| table.name)).collect()
}

/// Copies everything.
pub fn tables(all: &mut Move) -> Result<(), ImportError> {
    copy::<OrgRow>(all)?;
    copy::<OrgSettingsRow>(all)?;
    copy_with::<BotRow>(all, |all, rows| {
        rename(all, rows);
        Ok(())
    })?;
    copy::<BotTokenRow>(all)?;
    copy::<TicketRow>(all)?;
    copy::<InviteCodeRow>(all)?;
    copy::<TombstoneRow>(all)?;
    copy::<PersonRow>(all)?;
    copy::<PersonLinkRow>(all)?;
    copy::<SessionRow>(all)?;
    copy::<ChannelRow>(all)?;
    copy::<ChannelMessageRow>(all)?;
    copy::<ThreadRow>(all)?;
    copy::<ParticipantRow>(all)?;
    copy::<JoinRequestRow>(all)?;
    copy::<ThreadMessageRow>(all)?;
    copy::<ArtifactRow>(all)?;
    copy_with::<FileRow>(all, |all, rows| {
        // A page's rows are in the order of their keys, by which the next one begins.
        for row in std::mem::take(rows) {
            rows.extend(file(all, row)?);
        }
        Ok(())
    })?;
    copy::<AuditRow>(all)?;
    copy::<CatchupRow>(all)?;
    copy::<PayloadRow>(all)?;
    copy::<DeliveryRow>(all)?;
    copy::<WebhookHealthRow>(all)?;
    copy::<ReceiptRow>(all)
}

/// A row with its bytes copied and its path as a hub writes it; none for one that names something else.
fn file(all: &mut Move, mut row: FileRow) -> Result<Option<FileRow>, ImportError> {
    if !is_of_upload(&row.path) {
        all.report.table(FileRow::TABLE).skip("its path is not that of an uploaded file", &row.id.to_string());
        return Ok(None);
    }
    if let Some(why) = all.files.take(&mut row)? {
        all.report.table(FileRow::TABLE).change(why, &row.id.to_string());
    }
    Ok(Some(row))
}

fn copy<Row: Stored + Clone>(all: &mut Move) -> Result<(), ImportError> {
    copy_with::<Row>(all, |_, _| Ok(()))
}

/// Gives bots that are called like an id another name.
fn rename(all: &mut Move, rows: &mut [BotRow]) {
    for row in rows {
        if let Some(name) = instead_of_id(&row.name, row.id) {
            all.report.table(BotRow::TABLE).change(NAMED_LIKE_AN_ID, &row.id.to_string());
            row.name = name;
        }
    }
}

fn copy_with<Row: Stored + Clone>(
    all: &mut Move,
    prepare: impl Fn(&mut Move, &mut Vec<Row>) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    all.progress.table(Row::TABLE);
    let counted = all.source.count(Row::TABLE)?.unwrap_or(0);
    all.report.table(Row::TABLE).counted = counted;
    let mut last: Option<Row> = None;
    loop {
        let mut rows = Row::page(all.source.conn(), last.as_ref(), PAGE)?;
        let failed = |error| ImportError(format!("{}: {error}", Row::TABLE));
        let (read, end) = (rows.len(), rows.pop());
        let key = end.clone();
        rows.extend(end);
        prepare(all, &mut rows)?;
        let stored = Row::insert(all.target.conn(), &rows).map_err(failed)?;
        let table = all.report.table(Row::TABLE);
        table.read += i64::try_from(read).unwrap_or(0);
        table.stored += i64::try_from(stored).unwrap_or(0);
        all.progress.add(read);
        let Some(row) = key else { break };
        last = Some(row);
    }
    all.report.table(Row::TABLE).found = Row::count(all.target.conn())?;
    Ok(())
}
