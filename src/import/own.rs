//! Rows of a hub like this one: copied table by table as they are, parents first.

use super::source::PAGE;
use super::target::Stored;
use super::{ImportError, Move};
use crate::store::rows::{
    ArtifactRow, AuditRow, BotRow, BotTokenRow, CatchupRow, ChannelMessageRow, ChannelRow, DeliveryRow, FileRow,
    InviteCodeRow, JoinRequestRow, OrgRow, OrgSettingsRow, ParticipantRow, ReceiptRow, SessionRow, ThreadMessageRow,
    ThreadRow, TicketRow, TombstoneRow, WebhookHealthRow,
};

/// The tables, for counting. Marks of writers mean nothing to another database.
pub const NAMES: [&str; 21] = super::target::TABLES;

/// Copies everything.
pub fn tables(all: &mut Move) -> Result<(), ImportError> {
    copy::<OrgRow>(all)?;
    copy::<OrgSettingsRow>(all)?;
    copy::<BotRow>(all)?;
    copy::<BotTokenRow>(all)?;
    copy::<TicketRow>(all)?;
    copy::<InviteCodeRow>(all)?;
    copy::<TombstoneRow>(all)?;
    copy::<SessionRow>(all)?;
    copy::<ChannelRow>(all)?;
    copy::<ChannelMessageRow>(all)?;
    copy::<ThreadRow>(all)?;
    copy::<ParticipantRow>(all)?;
    copy::<JoinRequestRow>(all)?;
    copy::<ThreadMessageRow>(all)?;
    copy::<ArtifactRow>(all)?;
    copy_with::<FileRow>(all, |all, rows| {
        for row in rows {
            if let Some(why) = all.files.take(row)? {
                all.report.table("files").change(why, &row.id);
            }
        }
        Ok(())
    })?;
    copy::<AuditRow>(all)?;
    copy::<CatchupRow>(all)?;
    copy::<DeliveryRow>(all)?;
    copy::<WebhookHealthRow>(all)?;
    copy::<ReceiptRow>(all)
}

fn copy<Row: Stored>(all: &mut Move) -> Result<(), ImportError> {
    copy_with::<Row>(all, |_, _| Ok(()))
}

fn copy_with<Row: Stored>(
    all: &mut Move,
    look: impl Fn(&mut Move, &[Row]) -> Result<(), ImportError>,
) -> Result<(), ImportError> {
    all.progress.table(Row::TABLE);
    let counted = all.source.count(Row::TABLE)?.unwrap_or(0);
    all.report.table(Row::TABLE).counted = counted;
    let mut last: Option<Row> = None;
    loop {
        let mut rows = Row::page(all.source.conn(), last.as_ref(), PAGE)?;
        let failed = |error| ImportError(format!("{}: {error}", Row::TABLE));
        let stored = Row::insert(all.target.conn(), &rows).map_err(failed)?;
        look(all, &rows)?;
        let read = rows.len();
        let table = all.report.table(Row::TABLE);
        table.read += i64::try_from(read).unwrap_or(0);
        table.stored += i64::try_from(stored).unwrap_or(0);
        all.progress.add(read);
        let Some(row) = rows.pop() else { break };
        last = Some(row);
    }
    all.report.table(Row::TABLE).found = Row::count(all.target.conn())?;
    Ok(())
}
