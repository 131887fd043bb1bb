//! Ids of the domain as values of both databases at once.
//!
//! The domain says how its ids are stored in each database; what belongs to the connection over both is here.

use diesel::serialize::{IsNull, Output, Result, ToSql};
use diesel::sql_types::Text;

use super::append::{Cell, List};
use super::connection::MultiBackend;
use hxa_domain::ids::{
    ArtifactId, AuditId, BotId, ChannelId, EventId, FileId, InviteId, MessageId, OrgId, PersonId, RequestId, ThreadId,
    TicketId, TokenId,
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
    ArtifactId, AuditId, BotId, ChannelId, EventId, FileId, InviteId, MessageId, OrgId, PersonId, RequestId, ThreadId,
    TicketId, TokenId,
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection;
    use uuid::Uuid;

    use super::*;
    use crate::rows::OrgRow;
    use crate::{Backend, Catalogue, migrate, orgs};
    use hxa_domain::standing::OrgStatus;

    #[test]
    fn a_damaged_id_is_an_error_of_the_read() {
        let folder = tempfile::tempdir().unwrap();
        let backend = Backend::Sqlite(folder.path().join("x.db"));
        migrate::migrate(&Catalogue::default(), &backend).unwrap();
        let mut conn = backend.connect().unwrap();
        let row = OrgRow {
            id: OrgId::from_uuid(Uuid::from_u128(7)),
            name: "acme".to_owned(),
            secret_hash: "hash".to_owned(),
            persist_messages: true,
            status: OrgStatus::Active,
            join_approval_required: false,
            created_at: 1,
        };
        orgs::insert(&mut conn, &row).unwrap();
        assert_eq!(orgs::find(&mut conn, row.id).unwrap().as_ref(), Some(&row));
        assert_eq!(orgs::list(&mut conn, None, 10).unwrap().rows.len(), 1);
        conn.batch_execute("UPDATE orgs SET id = upper('0000000a-0000-0000-0000-000000000007')").unwrap();
        assert!(orgs::list(&mut conn, None, 10).is_err());
    }
}
