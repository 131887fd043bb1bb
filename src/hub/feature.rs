//! What a feature adds to a running hub: duties that time brings about, and what it does when a bot or an organisation goes.
//!
//! A feature is a crate above this one, and this crate names none. The composition root starts the features and hands them to
//! the hub ([`crate::hub::Hub::run_features`]); from then on the janitor runs their duties and deletions call their hooks.
//! Nothing here takes the whole hub: a feature keeps what it needs ([`crate::core::Core`], [`crate::commits::Commits`]), so
//! that the hub may keep the feature.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::core::org_state::OrgState;
use hxa_domain::error::ApiResult;
use hxa_domain::ids::{BotId, OrgId};
use hxa_store::{DbConnection, DbError};

/// The running part of a feature. Every hook may be left out.
pub trait Feature: Send + Sync {
    /// What the janitor does for it; asked for once.
    fn duties(self: Arc<Self>) -> Vec<Duty> {
        Vec::new()
    }

    /// Deletes or changes the feature's rows in the transaction that deletes a bot, before the bot's row goes. May run twice.
    ///
    /// # Errors
    /// When the database fails; the bot then stays.
    fn on_bot_deleted(&self, conn: &mut DbConnection, org: OrgId, bot: BotId) -> Result<(), DbError> {
        let _ = (conn, org, bot);
        Ok(())
    }

    /// Follows a bot's deletion in memory once it is durable. Runs on a writer's thread, so it must be short.
    fn after_bot_deleted(&self, org: &Arc<OrgState>, bot: BotId) {
        let _ = (org, bot);
    }

    /// Deletes what lies outside of the database, before the organisation's last rows go. A hub that stops in between calls it
    /// again when it deletes the organisation after its next start.
    fn before_org_deleted(&self, org: OrgId) -> LocalBoxFuture<'static, ApiResult<()>> {
        let _ = org;
        Box::pin(std::future::ready(Ok(())))
    }

    /// Deletes the feature's rows in the transaction that deletes an organisation, before its row goes. May run twice.
    ///
    /// # Errors
    /// When the database fails; the organisation then stays.
    fn on_org_deleted(&self, conn: &mut DbConnection, org: OrgId) -> Result<(), DbError> {
        let _ = (conn, org);
        Ok(())
    }

    /// Follows an organisation's deletion in memory once it is durable.
    fn after_org_deleted(&self, org: OrgId) {
        let _ = org;
    }

    /// Clients that listen to an event stream of the feature's own over HTTP, for `/health`.
    fn stream_clients(&self) -> usize {
        0
    }

    /// The hub stops: ends the answers that would otherwise go on, such as event streams. Must not block.
    fn stopping(&self) {}
}

/// When a duty is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Once, when the janitor starts.
    AtStart,
    /// Again and again, with this pause.
    Every(Duration),
    /// The same for what deletes by the clock: left out once after the clock has jumped ahead.
    EverySteady(Duration),
}

type Run = Box<dyn Fn() -> LocalBoxFuture<'static, ApiResult<()>> + Send>;

/// Something that only time brings about.
pub struct Duty {
    /// What it is called in the log, such as "cleaning ended sessions".
    pub name: &'static str,
    /// When it is due.
    pub when: When,
    run: Run,
}

impl Duty {
    /// A duty; when it fails that is logged, and the next time comes all the same.
    pub fn new<F>(name: &'static str, when: When, run: impl Fn() -> F + Send + 'static) -> Self
    where
        F: Future<Output = ApiResult<()>> + 'static,
    {
        Self { name, when, run: Box::new(move || Box::pin(run())) }
    }

    /// Does it now.
    pub fn run(&self) -> LocalBoxFuture<'static, ApiResult<()>> {
        (self.run)()
    }
}
