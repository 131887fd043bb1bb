//! The rules of the hub, free of any I/O.
//!
//! Content, permissions, order and lifetimes: every function here is pure, so the same rule serves REST, WebSocket and
//! tests. Nothing here depends on actors, sockets, HTTP or the database, and nothing reads a clock: times are
//! arguments. Errors are `ApiError`s, worded for the client.

/// Declares an enum whose variants have fixed texts on the wire and in the database.
#[macro_export]
macro_rules! wire_enum {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $text:literal,)+ }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, utoipa::ToSchema)]
        $(#[$meta])*
        pub enum $name {
            $(#[doc = concat!("`", $text, "`")] #[schema(rename = $text)] $variant,)+
        }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The text on the wire and in the database.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The value a text stands for; exact, case-sensitive.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }

            /// The accepted texts, for error messages.
            #[must_use]
            pub fn accepted() -> String {
                [$($text,)+].join(", ")
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| {
                    serde::de::Error::custom(format_args!("expected one of {}, got {text:?}", Self::accepted()))
                })
            }
        }
    };
}

/// Lets rows hold a type as its text; `$wanted` names what a stored text that does not parse should have been.
#[cfg(feature = "diesel")]
macro_rules! read_from_text {
    ($name:ident, $wanted:expr) => {
        impl<DB> diesel::deserialize::FromSql<diesel::sql_types::Text, DB> for $name
        where
            DB: diesel::backend::Backend,
            String: diesel::deserialize::FromSql<diesel::sql_types::Text, DB>,
        {
            fn from_sql(bytes: DB::RawValue<'_>) -> diesel::deserialize::Result<Self> {
                let text = String::from_sql(bytes)?;
                Self::parse(&text).ok_or_else(|| format!("{text:?} is {}", $wanted).into())
            }
        }
    };
}

/// Declares a [`wire_enum!`] of this crate that rows hold as well, as the same text; the database checks the values too.
macro_rules! stored_enum {
    ($(#[$meta:meta])* $name:ident { $($values:tt)+ }) => {
        wire_enum! {
            $(#[$meta])*
            #[cfg_attr(feature = "diesel", derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow))]
            #[cfg_attr(feature = "diesel", diesel(sql_type = diesel::sql_types::Text))]
            $name { $($values)+ }
        }

        #[cfg(feature = "diesel")]
        read_from_text!($name, format_args!("none of {}", Self::accepted()));

        #[cfg(feature = "diesel")]
        impl<DB> diesel::serialize::ToSql<diesel::sql_types::Text, DB> for $name
        where
            DB: diesel::backend::Backend,
            str: diesel::serialize::ToSql<diesel::sql_types::Text, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut diesel::serialize::Output<'b, '_, DB>) -> diesel::serialize::Result {
                diesel::serialize::ToSql::<diesel::sql_types::Text, DB>::to_sql(self.as_str(), out)
            }
        }
    };
}

#[macro_use]
pub mod draft;

pub mod address;
pub mod artifact;
pub mod budget;
pub mod channel;
pub mod cursor;
pub mod error;
pub mod etag;
pub mod file_links;
pub mod fold;
pub mod form;
pub mod frame;
pub mod grants;
pub mod hops;
pub mod idempotency;
pub mod ids;
pub mod json_cost;
pub mod keys;
pub mod limits;
pub mod login;
pub mod mentions;
pub mod message;
pub mod operation;
pub mod orgs;
pub mod pace;
pub mod parts;
pub mod passwords;
pub mod people;
pub mod policy;
pub mod profile;
pub mod provenance;
pub mod query;
pub mod ratelimit;
pub mod schema;
pub mod scope;
pub mod secrets;
pub mod settings;
pub mod shares;
pub mod standing;
pub mod text;
pub mod thread;
pub mod webhook;
