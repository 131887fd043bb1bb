//! Ids of requests and of their audit events: ULIDs, 26 characters of Crockford's base 32.
//!
//! Within this process every id sorts after all made before it, also within a millisecond and when the clock steps back.
//! The order of the texts is the order of the numbers. Ids from clients are opaque and may come in either case.

use std::fmt;

use parking_lot::Mutex;
use serde::{Serialize, Serializer};

/// The digits, in ascending order.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of an id.
const LENGTH: usize = 26;
/// Bits below the time.
const RANDOM_BITS: u32 = 80;
/// Largest time an id can hold.
const MAX_MILLIS: i64 = (1 << 48) - 1;

/// The newest id of this process.
static NEWEST: Mutex<u128> = Mutex::new(0);

/// The next number: of this millisecond, or just behind the newest.
fn next(ms: i64) -> u128 {
    let ms = u128::try_from(ms.clamp(0, MAX_MILLIS)).unwrap_or(0);
    // The highest of the random bits is left out, so that there is room to count up.
    let fresh = (ms << RANDOM_BITS) | (rand::random::<u128>() >> (u128::BITS - RANDOM_BITS + 1));
    let mut newest = NEWEST.lock();
    let step = u128::from(rand::random::<u32>()) + 1;
    *newest = if fresh > *newest { fresh } else { newest.saturating_add(step) };
    *newest
}

/// The value of a digit.
fn value_of(digit: u8) -> Option<u128> {
    let digit = digit.to_ascii_uppercase();
    DIGITS.iter().position(|known| *known == digit).and_then(|value| u128::try_from(value).ok())
}

fn parse(text: &str) -> Option<u128> {
    let is_ulid = text.len() == LENGTH && text.as_bytes().first().is_some_and(|first| *first <= b'7');
    is_ulid.then(|| text.bytes().try_fold(0, |number: u128, digit| Some((number << 5) | value_of(digit)?))).flatten()
}

/// The text of a number.
fn text(number: u128) -> String {
    let digit = |place: usize| {
        let shift = 5 * (LENGTH - 1 - place);
        let value = usize::try_from((number >> shift) & 31).unwrap_or(0);
        DIGITS.get(value).copied().map_or('0', char::from)
    };
    (0..LENGTH).map(digit).collect()
}

/// Declares a newtype for each kind of thing.
macro_rules! ulids {
    ($($(#[$meta:meta])* $name:ident,)+) => { $(
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, utoipa::ToSchema)]
        #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
        #[diesel(sql_type = diesel::sql_types::Text)]
        $(#[$meta])*
        #[schema(value_type = String, pattern = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
        pub struct $name(u128);

        impl $name {
            /// A new id of this millisecond, which sorts after all made before.
            #[must_use]
            pub fn at(ms: i64) -> Self {
                Self(next(ms))
            }

            /// The smallest id of a millisecond: ids made then or later sort from here on.
            #[must_use]
            pub fn first_of(ms: i64) -> Self {
                Self(u128::try_from(ms.clamp(0, MAX_MILLIS)).unwrap_or(0) << RANDOM_BITS)
            }

            /// The id of a text in either case; anything else is no id.
            #[must_use]
            pub fn parse(given: &str) -> Option<Self> {
                parse(given).map(Self)
            }

            /// The number, by which an actor is found.
            #[must_use]
            pub const fn number(self) -> u128 {
                self.0
            }

            /// The time it was made, ms.
            #[must_use]
            pub fn millis(self) -> i64 {
                i64::try_from(self.0 >> RANDOM_BITS).unwrap_or(MAX_MILLIS)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&text(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&text(self.0))
            }
        }

        impl From<$name> for serde_json::Value {
            fn from(id: $name) -> Self {
                Self::String(id.to_string())
            }
        }

        impl<DB> diesel::deserialize::FromSql<diesel::sql_types::Text, DB> for $name
        where
            DB: diesel::backend::Backend,
            String: diesel::deserialize::FromSql<diesel::sql_types::Text, DB>,
        {
            fn from_sql(bytes: DB::RawValue<'_>) -> diesel::deserialize::Result<Self> {
                let text = <String as diesel::deserialize::FromSql<diesel::sql_types::Text, DB>>::from_sql(bytes)?;
                Self::parse(&text).ok_or_else(|| format!(concat!("{:?} is no ", stringify!($name)), text).into())
            }
        }

        impl diesel::serialize::ToSql<diesel::sql_types::Text, diesel::pg::Pg> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
            ) -> diesel::serialize::Result {
                use std::io::Write;
                out.write_all(text(self.0).as_bytes())?;
                Ok(diesel::serialize::IsNull::No)
            }
        }

        impl diesel::serialize::ToSql<diesel::sql_types::Text, diesel::sqlite::Sqlite> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::sqlite::Sqlite>,
            ) -> diesel::serialize::Result {
                out.set_value(text(self.0));
                Ok(diesel::serialize::IsNull::No)
            }
        }
    )+ };
}

ulids! {
    /// A coordination request.
    #[schema(as = CoordinationRequestId)]
    RequestId,
    /// An audit event of a request.
    #[schema(as = CoordinationAuditEventId)]
    AuditEventId,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_are_in_order_within_a_millisecond_and_when_the_clock_steps_back() {
        let ids: Vec<RequestId> = (0..10_000).map(|n| RequestId::at(1_700_000_000_000 - n / 1000)).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ids.windows(2).all(|pair| pair[0].to_string() < pair[1].to_string()));
    }

    #[test]
    fn threads_make_different_ids() {
        let threads: Vec<_> =
            (0..4).map(|_| std::thread::spawn(|| (0..1000).map(|_| AuditEventId::at(5)).collect::<Vec<_>>())).collect();
        let mut all: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4000);
    }

    #[test]
    fn the_text_is_the_standard_one() {
        let id = RequestId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        assert_eq!(id.millis(), 1_469_922_850_259);
        assert_eq!(id.to_string(), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
        assert_eq!(RequestId::parse("01arz3ndektsv4rrffq69g5fav"), Some(id));
        for bad in ["", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "01ARZ3NDEKTSV4RRFFQ69G5FA", "01ARZ3NDEKTSV4RRFFQ69G5FAU", "ä"] {
            assert_eq!(RequestId::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number in any::<u128>()) {
            let id = RequestId(number);
            prop_assert_eq!(RequestId::parse(&id.to_string()), Some(id));
            prop_assert_eq!(RequestId::parse(&id.to_string().to_lowercase()), Some(id));
        }

        #[test]
        fn any_text_can_be_tried(text in any::<String>()) {
            let _ = RequestId::parse(&text);
        }

        #[test]
        fn the_order_of_texts_is_that_of_numbers(one in any::<u128>(), other in any::<u128>()) {
            prop_assert_eq!(one.cmp(&other), text(one).cmp(&text(other)));
        }
    }
}
