//! What the hub calls: duties, and deletions of bots and organisations.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use super::Requests;
use crate::chain;
use crate::effects::transition;
use crate::queries;
use crate::rules::machine::Input;
use crate::rules::{Who, step};
use crate::writes::{Transition, write_all};
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::ids::{BotId, OrgId};
use hxa_hub::core::org_state::OrgState;
use hxa_hub::core::{Core, shard};
use hxa_hub::feature::{Duty, Feature, When};
use hxa_store::{DbConnection, DbError, FeatureWrite};

/// Between two lettings go of old rows.
const RETENTION: Duration = Duration::from_secs(6 * 3600);
/// Between two looks for organisations in which nobody listens.
const STREAMS: Duration = Duration::from_secs(60);
/// One day in milliseconds.
const DAY_MS: i64 = 86_400_000;

impl Feature for Requests {
    fn duties(self: Arc<Self>) -> Vec<Duty> {
        let (open, threads, streams, slack, kept) =
            (self.clone(), self.effects.teller.clone(), self.clone(), self.clone(), self);
        vec![
            Duty::new("going on with open requests and their deadlines", When::AtStart, move || {
                let requests = open.clone();
                async move {
                    requests.recovery.run(&requests.actors).await;
                    requests.deadlines.run().await;
                    Ok(())
                }
            }),
            Duty::new("telling threads of their requests", When::AtStart, move || threads.clone().run()),
            Duty::new("sending messages to Slack", When::AtStart, move || {
                let requests = slack.clone();
                async move {
                    if let Some((_, sender)) = &requests.slack.sending {
                        sender.clone().run().await;
                    }
                    Ok(())
                }
            }),
            Duty::new("forgetting streams that nobody reads", When::Every(STREAMS), move || {
                streams.effects.streams.sweep();
                std::future::ready(Ok(()))
            }),
            Duty::new("letting old requests go", When::EverySteady(RETENTION), move || retain(kept.core().clone())),
        ]
    }

    fn stream_clients(&self) -> usize {
        self.effects.streams.clients()
    }

    fn stopping(&self) {
        self.effects.streams.stop();
        self.effects.waiters.stop();
    }

    /// Open requests of a bot that goes are cancelled; nobody is there who could use an answer.
    fn on_bot_deleted(&self, conn: &mut DbConnection, org: OrgId, bot: BotId) -> Result<(), DbError> {
        let now = self.core().now();
        self.cancelled.lock().remove(&bot);
        loop {
            let open = queries::list_open_of(conn, org, bot)?;
            if open.is_empty() {
                return Ok(());
            }
            let mut cancelled = Vec::with_capacity(open.len());
            for kept in open {
                let step = step(&kept.request, Input::Cancel, &Who::System, now);
                let step = step.map_err(|refusal| refusal.into_error("cancel", &kept.request))?;
                cancelled.push((kept, step));
            }
            let writes: Vec<Transition> = cancelled.iter().map(|(kept, step)| transition(Some(kept), step)).collect();
            write_all(conn, &writes.iter().collect::<Vec<_>>())?;
            cancelled.iter().filter_map(|(_, step)| self.effects.owe(step)).try_for_each(|owed| owed.apply(conn))?;
            self.cancelled.lock().entry(bot).or_default().extend(cancelled);
        }
    }

    fn after_bot_deleted(&self, org: &Arc<OrgState>, bot: BotId) {
        let cancelled = self.cancelled.lock().remove(&bot).unwrap_or_default();
        self.effects.follow_deletion(&cancelled);
        cancelled.iter().for_each(|(kept, _)| self.actors.forget(org.id, kept.request.id));
    }

    /// Most of the rows go beforehand, in batches, so that others write in between.
    fn before_org_deleted(&self, org: OrgId) -> LocalBoxFuture<'static, ApiResult<()>> {
        let (store, key) = (self.core().store().clone(), shard(org.uuid()));
        Box::pin(async move {
            while store.write(key, move |conn| queries::delete_of_org(conn, org)).await? > 0 {}
            while store.write(key, move |conn| chain::delete(conn, org)).await? > 0 {}
            Ok(())
        })
    }

    fn on_org_deleted(&self, conn: &mut DbConnection, org: OrgId) -> Result<(), DbError> {
        while queries::delete_of_org(conn, org)? > 0 {}
        while chain::delete(conn, org)? > 0 {}
        Ok(())
    }

    fn after_org_deleted(&self, org: OrgId) {
        self.effects.agenda.forget_org(org);
        self.effects.streams.forget(org);
        self.policies.remove(&org);
    }
}

/// Lets go what is older than the operator keeps.
async fn retain(core: Core) -> ApiResult<()> {
    let (config, now) = (&core.config().coordination, core.now());
    let before = |days: u64| {
        let days = i64::try_from(days).ok().filter(|days| *days > 0)?;
        Some(now.saturating_sub(days.saturating_mul(DAY_MS)))
    };
    if let Some(before) = before(config.keep_days) {
        while core.store().write(0, move |conn| queries::purge(conn, before)).await? > 0 {}
    }
    if let Some(before) = before(config.keep_audit_days) {
        for org in core.store().read(chain::list_orgs).await? {
            let org = OrgId::parse(&org).ok_or_else(ApiError::internal)?;
            while core.store().write(shard(org.uuid()), move |conn| chain::purge(conn, org, before)).await? > 0 {}
        }
    }
    Ok(())
}
