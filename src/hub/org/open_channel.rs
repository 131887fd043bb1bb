//! Opening the channel of two bots before the first message.

use serde_json::json;

use super::channels::{Pair, insert, pair};
use super::send_dm::created_event;
use super::{OrgActor, OrgOperation};
use crate::core::call::{Operation, Reply};
use crate::core::caller::Caller;
use crate::core::shard;
use crate::outcome::Outcome;
use hxa_domain::budget::WriteClass;
use hxa_domain::error::ApiError;
use hxa_domain::ids::BotId;
use hxa_store::Write;
use hxa_store::rows::{AuditRow, ChannelRow};

/// An admin opens the channel of two bots of the organisation; the one that exists is the answer.
pub struct OpenChannel {
    /// The bots, in any order.
    pub members: (BotId, BotId),
}

impl Operation for OpenChannel {
    type Answer = ChannelRow;

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Admin)
    }
}

impl OrgOperation for OpenChannel {
    fn run(
        self,
        actor: &mut OrgActor,
        caller: Caller,
        reply: Reply<ChannelRow>,
        context: &mut actix::Context<OrgActor>,
    ) {
        if !matches!(caller, Caller::Admin(_)) {
            return reply.send(Err(ApiError::forbidden("Only an organisation admin may open a channel")));
        }
        let members = pair(self.members.0, self.members.1);
        actor.with_channel(members, context, move |actor, ready| match ready {
            Ok(members) => actor.open_channel(members, &caller, reply),
            Err(error) => reply.send(Err(error)),
        });
    }
}

impl OrgActor {
    fn open_channel(&mut self, members: Pair, caller: &Caller, reply: Reply<ChannelRow>) {
        let Some(channel) = self.channels.ready(members) else {
            return reply.send(Err(ApiError::unavailable("The channel is being loaded; try again")));
        };
        let row = channel.row.clone();
        let (mut writes, mut events) = (Vec::new(), Vec::new());
        if channel.is_new {
            channel.is_new = false;
            let detail = json!({ "type": "direct", "members": [members.0, members.1] });
            let by = caller.audit_bot();
            let at = row.created_at;
            writes.push(insert(row.clone()));
            writes.push(Write::Audit(AuditRow::new(
                self.org.id,
                at,
                by,
                "channel.create",
                "channel",
                row.id,
                Some(detail),
            )));
            events.push(created_event(channel, members));
        }
        // Even without writes the reply waits for a commit that is storing the channel.
        let (key, fence) = (shard(channel.id.uuid()), channel.fence.clone());
        let commit = self.publisher().commit(key, Outcome { writes, events, answer: Ok(row) }, reply, || {});
        self.orgs.core.store().submit(commit.behind(&fence).counted_in(&self.org.load));
    }
}
