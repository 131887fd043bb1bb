//! Typed identifiers of all resources on the wire.
//!
//! Every id is a UUID in lower-case hyphenated text, the form that clients match. Ids made by [`OrgId::at`] and its
//! siblings are version 7: they sort by time, and within one process strictly by the order of their creation, so that
//! `(created_at, id)` is a total order and index inserts append. Ids from clients are opaque: an id that does not parse
//! does not exist. Rows hold the same types: a stored id that does not parse is an error of the query that reads it.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

pub use crate::secrets::{constant_time_eq, hex_token, secret_hash, session_ref};

/// Largest timestamp a version 7 UUID can hold.
const MAX_MILLIS: i64 = (1 << 48) - 1;
/// Bits of the counter below the twelve that follow the version.
const LOW_COUNTER_BITS: u32 = 30;

/// Counts the ids of this process. It starts at a random 41-bit number so that two hubs that make an id in the same
/// millisecond do not meet, and has another 2^41 steps before its 42 bits wrap.
static COUNTER: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(rand::random::<u64>() >> 23));

/// A version 7 UUID of exactly this millisecond (clamped to 0..2^48) that sorts after all made before it.
fn time_ordered(ms: i64) -> Uuid {
    let ms = u128::try_from(ms.clamp(0, MAX_MILLIS)).unwrap_or(0);
    let counter = u128::from(COUNTER.fetch_add(1, Ordering::Relaxed));
    let high = (counter >> LOW_COUNTER_BITS) & 0xFFF;
    let low = counter & ((1 << LOW_COUNTER_BITS) - 1);
    let random = u128::from(rand::random::<u32>());
    Uuid::from_u128((ms << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | (low << 32) | random)
}

/// The UUID of a text in canonical form: 36 characters, hyphenated, lower case. The parser accepts one form of this length,
/// in either case; the bit 0x20 tells the cases apart: of what it accepts, only upper-case letters lack it.
fn canonical(text: &str) -> Option<Uuid> {
    let bytes: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let is_lower_case = bytes.iter().fold(0x20, |common, byte| common & byte) != 0;
    if is_lower_case { Uuid::try_parse_ascii(bytes).ok() } else { None }
}

/// Whether a text has the form of an id in any spelling that some program takes for a UUID: in either case, with hyphens
/// wherever they stand or without, in braces, as a URN. Such a text never names anything: names are what people choose.
#[must_use]
pub fn resembles_id(text: &str) -> bool {
    const URN: &str = "urn:uuid:";
    let text = text.trim();
    let is_urn = text.get(..URN.len()).is_some_and(|start| start.eq_ignore_ascii_case(URN));
    let bare = if is_urn { text.get(URN.len()..).unwrap_or_default() } else { text };
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'{' | b'}' | b'(' | b')');
    bare.bytes().all(is_part) && bare.bytes().filter(u8::is_ascii_hexdigit).count() == 32
}

/// The millisecond of a version 7 UUID.
fn millis_of(id: Uuid) -> Option<i64> {
    (id.get_version_num() == 7).then(|| i64::try_from(id.as_u128() >> 80).ok()).flatten()
}

/// A text that is not the canonical form of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnId;

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a lower-case hyphenated UUID")
    }
}

impl std::error::Error for NotAnId {}

/// Reads a canonical UUID from any format's string.
struct CanonicalVisitor;

impl Visitor<'_> for CanonicalVisitor {
    type Value = Uuid;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a lower-case hyphenated UUID")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Uuid, E> {
        canonical(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// Declares a newtype over `Uuid` for each kind of thing.
macro_rules! typed_ids {
    ($($(#[$meta:meta])* $name:ident,)+) => { $(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, utoipa::ToSchema)]
        #[schema(value_type = String, format = "uuid")]
        #[cfg_attr(feature = "diesel", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
        #[cfg_attr(feature = "diesel", diesel(sql_type = diesel::sql_types::Text))]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that is already known to name such a thing.
            #[must_use]
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            /// The UUID inside.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// The id of a text in canonical form (36 characters, hyphenated, lower case); anything else is no id.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                canonical(text).map(Self)
            }

            /// A new time-ordered id (UUIDv7) of exactly this millisecond. At equal milliseconds, ids made later in
            /// this process sort later.
            #[must_use]
            pub fn at(ms: i64) -> Self {
                Self(time_ordered(ms))
            }

            /// A new id without order (UUIDv4).
            #[must_use]
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            /// The millisecond this id was made for; `None` if it is not time-ordered.
            #[must_use]
            pub fn millis(self) -> Option<i64> {
                millis_of(self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(CanonicalVisitor).map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for serde_json::Value {
            fn from(id: $name) -> Self {
                Self::String(id.to_string())
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                Self::parse(text).ok_or(NotAnId)
            }
        }

        // Stored as the canonical text, whose order is that of the UUIDs.
        #[cfg(feature = "diesel")]
        read_from_text!($name, concat!("no ", stringify!($name)));

        #[cfg(feature = "diesel")]
        impl diesel::serialize::ToSql<diesel::sql_types::Text, diesel::pg::Pg> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
            ) -> diesel::serialize::Result {
                use std::io::Write;
                out.write_all(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes())?;
                Ok(diesel::serialize::IsNull::No)
            }
        }

        #[cfg(feature = "diesel")]
        impl diesel::serialize::ToSql<diesel::sql_types::Text, diesel::sqlite::Sqlite> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::sqlite::Sqlite>,
            ) -> diesel::serialize::Result {
                out.set_value(self.to_string());
                Ok(diesel::serialize::IsNull::No)
            }
        }
    )+ };
}

typed_ids! {
    /// An organisation.
    OrgId,
    /// A bot.
    BotId,
    /// A person of an organisation.
    PersonId,
    /// A thread.
    ThreadId,
    /// A channel: the pair of bots of direct messages.
    ChannelId,
    /// A direct or thread message.
    MessageId,
    /// One version of an artifact.
    ArtifactId,
    /// An uploaded file.
    FileId,
    /// A request to join a thread.
    RequestId,
    /// A scoped token.
    TokenId,
    /// A registration ticket.
    TicketId,
    /// A catchup event.
    EventId,
    /// An audit row.
    AuditId,
    /// A platform invite code.
    InviteId,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_canonical_text_is_an_id() {
        let text = "0192f0c1-2345-7abc-8def-0123456789ab";
        assert_eq!(BotId::parse(text).unwrap().to_string(), text);
        for other in [
            "0192F0C1-2345-7abc-8def-0123456789ab",
            "0192f0c123457abc8def0123456789ab",
            "{0192f0c1-2345-7abc-8def-0123456789ab}",
            "0192f0c1-2345-7abc-8def-0123456789a",
            "0192f0c1-2345-7abc-8def-0123456789ag",
            " 192f0c1-2345-7abc-8def-0123456789ab",
            "",
        ] {
            assert_eq!(BotId::parse(other), None, "{other}");
        }
    }

    #[test]
    fn every_spelling_of_a_uuid_resembles_an_id() {
        for text in [
            "0192f0c1-2345-7abc-8def-0123456789ab",
            "0192F0C1-2345-7ABC-8DEF-0123456789AB",
            "0192f0c123457abc8def0123456789ab",
            "{0192f0c1-2345-7abc-8def-0123456789ab}",
            "(0192f0c1-2345-7abc-8def-0123456789ab)",
            "urn:uuid:0192f0c1-2345-7abc-8def-0123456789ab",
            "URN:UUID:0192F0C123457ABC8DEF0123456789AB",
            "0192f0c1-23457abc-8def0123-456789ab",
            " 0192f0c1-2345-7abc-8def-0123456789ab ",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert!(resembles_id(text), "{text}");
        }
        for text in
            ["", "deadbeef", "0192f0c1-2345-7abc-8def-0123456789a", "x192f0c1-2345-7abc-8def-0123456789ab", "bot"]
        {
            assert!(!resembles_id(text), "{text}");
        }
    }

    #[test]
    fn ids_made_later_sort_later() {
        let made: Vec<MessageId> = (0..10_000).map(|_| MessageId::at(1_700_000_000_000)).collect();
        assert!(made.is_sorted());
        assert_eq!(made.iter().collect::<HashSet<_>>().len(), made.len());
        assert!(MessageId::at(1_700_000_000_001) > made[9_999]);
    }

    #[test]
    fn ids_are_unique_and_ordered_within_each_of_many_threads() {
        let make = || (0..5_000).map(|_| EventId::at(5)).collect::<Vec<_>>();
        let handles: Vec<_> = (0..4).map(|_| std::thread::spawn(make)).collect();
        let lists: Vec<Vec<EventId>> = handles.into_iter().map(|handle| handle.join().unwrap()).collect();
        assert!(lists.iter().all(|list| list.is_sorted()));
        assert_eq!(lists.iter().flatten().collect::<HashSet<_>>().len(), 20_000);
    }

    #[test]
    fn random_ids_have_no_time() {
        assert_eq!(ThreadId::random().millis(), None);
        assert_eq!(ThreadId::random().uuid().get_version_num(), 4);
    }

    #[test]
    fn json_is_the_canonical_text() {
        let id = FileId::at(42);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<FileId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<FileId>(&json.to_uppercase()).is_err());
        assert!(serde_json::from_str::<FileId>("7").is_err());
    }

    proptest! {
        #[test]
        fn time_is_exact_and_the_layout_is_version_seven(ms in 0i64..=MAX_MILLIS) {
            let id = ChannelId::at(ms);
            prop_assert_eq!(id.millis(), Some(ms));
            prop_assert_eq!(id.uuid().get_version_num(), 7);
            prop_assert_eq!(id.uuid().get_variant(), uuid::Variant::RFC4122);
            prop_assert_eq!(ChannelId::parse(&id.to_string()), Some(id));
        }

        #[test]
        fn order_of_time_is_order_of_text(a in 0i64..=MAX_MILLIS, b in 0i64..=MAX_MILLIS) {
            let (first, second) = (AuditId::at(a.min(b)), AuditId::at(a.max(b)));
            prop_assert!(first.to_string() < second.to_string());
        }

        #[test]
        fn times_out_of_range_are_clamped(ms in any::<i64>()) {
            prop_assert_eq!(OrgId::at(ms).millis(), Some(ms.clamp(0, MAX_MILLIS)));
        }

        #[test]
        fn what_any_parser_takes_resembles_an_id(id in any::<u128>(), text in "[-{}0-9a-fA-Fu:rnid]{30,46}") {
            let id = Uuid::from_u128(id);
            let spellings =
                [id.simple().to_string(), id.hyphenated().to_string(), id.braced().to_string(), id.urn().to_string()];
            for text in spellings {
                prop_assert!(resembles_id(&text) && resembles_id(&text.to_uppercase()));
            }
            prop_assert!(resembles_id(&text) || Uuid::try_parse(&text).is_err());
        }

        #[test]
        fn canonical_is_what_the_library_reads_of_lower_case(
            id in any::<u128>(), at in 0usize..36, with in any::<char>(), cut in 30usize..40,
        ) {
            let text = Uuid::from_u128(id).hyphenated().to_string();
            let changed: String = text.chars().enumerate().map(|(i, old)| if i == at { with } else { old }).collect();
            let shorter: String = text.chars().chain("ab".chars()).take(cut).collect();
            for text in [text.clone(), changed, shorter, text.to_uppercase()] {
                let expected = Uuid::try_parse(&text).ok().filter(|id| id.hyphenated().to_string() == text);
                prop_assert_eq!(BotId::parse(&text).map(BotId::uuid), expected, "{}", text);
            }
        }

        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let _ = (InviteId::parse(&text), resembles_id(&text));
        }
    }
}
