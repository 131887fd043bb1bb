//! The events of bots that come online and go offline.

use super::event::{Audience, Event};
use crate::wire::events::{NamedBot, PresenceChanged};
use hxa_domain::ids::BotId;

/// The event of a bot that went, or was deleted.
pub const GONE: &str = "bot_offline";

/// `bot_online` or `bot_offline`, for everybody but the bot itself.
#[must_use]
pub fn event(bot: BotId, name: &str, is_online: bool) -> Event {
    if is_online {
        presence_event("bot_online", bot, name, Some(bot))
    } else {
        presence_event("bot_offline", bot, name, Some(bot))
    }
}

/// `bot_offline` of a bot that was deleted: sent to everybody.
#[must_use]
pub fn deleted_event(id: BotId, name: &str) -> Event {
    presence_event("bot_offline", id, name, None).telling_of(id)
}

fn presence_event(kind: &'static str, id: BotId, name: &str, except: Option<BotId>) -> Event {
    let fields = PresenceChanged { bot: NamedBot { id, name } };
    Event::new(kind, &fields, Audience::Org { except })
}
