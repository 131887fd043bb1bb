//! Ids of the domain as values of both databases at once.
//!
//! The domain says how its ids are stored in each database; what belongs to the connection over both is here.

use diesel::serialize::{IsNull, Output, Result, ToSql};
use diesel::sql_types::Text;

use super::append::{Cell, List};
use super::connection::MultiBackend;
use hxa_domain::ids::{
    ArtifactId, BotId, ChannelId, EventId, FileId, InviteId, MessageId, OrgId, RequestId, ThreadId, TicketId, TokenId,
};

macro_rules! stored_ids {
    ($($Id:ident),+ $(,)?) => {$(
        impl ToSql<Text, MultiBackend> for $Id {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, MultiBackend>) -> Result {
                out.set_value((Text, self));
                Ok(IsNull::No)
            }
        }

        impl Cell for $Id {
            fn list<'a>(cells: impl Iterator<Item = &'a Self>) -> List<'a> {
                List::Texts(cells.map(|id| Some(id.to_string().into())).collect())
            }
        }
    )+};
}

stored_ids! {
    ArtifactId, BotId, ChannelId, EventId, FileId, InviteId, MessageId, OrgId, RequestId, ThreadId, TicketId, TokenId,
}
