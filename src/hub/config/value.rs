//! Reading one setting's value from text or from the file, and writing it back.
//!
//! Environment variables and flags contain text; the file also has numbers, booleans and lists. Errors name the refused
//! value and what is accepted, except for secrets, whose value is never repeated.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::types::{BasePath, Cidr, CorsOrigins, LogFormat, LogLevel, OpenPortal, ProxyHeader, Secret, SessionStore};
use hxa_domain::budget::Budget;

/// A value as the file holds it.
#[derive(Debug, Clone, PartialEq)]
pub enum FileValue {
    /// A string.
    Text(String),
    /// An integer; as text, because settings differ in width.
    Integer(String),
    /// `true` or `false`.
    Switch(bool),
    /// A list of strings.
    List(Vec<String>),
    /// Anything a setting never is; holds the name of its kind.
    Other(&'static str),
}

impl FileValue {
    /// The kind, for messages.
    fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "a number",
            Self::Switch(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Other(kind) => kind,
        }
    }

    /// The string, or a message that says what was found instead.
    fn text(&self) -> Result<&str, String> {
        match self {
            Self::Text(text) => Ok(text),
            other => Err(format!("expected a string, found {}", other.kind())),
        }
    }
}

/// A type a setting can have.
pub trait SettingValue: Sized {
    /// True for a type whose flag may stand without a value (`--dev-mode`).
    const IS_SWITCH: bool = false;
    /// True for a type whose value must not be shown and may come from a file named by `<VARIABLE>_FILE`.
    const IS_SECRET: bool = false;

    /// Reads the value of an environment variable or a flag; lists are separated by commas.
    ///
    /// # Errors
    /// When the text is no such value.
    fn from_text(text: &str) -> Result<Self, String>;

    /// Reads a value of the file.
    ///
    /// # Errors
    /// When the value has the wrong kind or is refused.
    fn from_file(value: &FileValue) -> Result<Self, String>;

    /// The value as the file would hold it (secrets as `***`); nothing when it is not set.
    fn to_file(&self) -> Option<String>;
}

/// Writes a TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// Writes a TOML list of strings.
fn quoted_list(items: impl IntoIterator<Item = impl Display>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| quoted(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

/// The entries of a comma-separated list, trimmed, without empty ones.
fn entries(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

/// The entries of a list in the file; a single string counts as a comma-separated list.
fn file_entries(value: &FileValue) -> Result<Vec<String>, String> {
    match value {
        FileValue::List(items) => Ok(items.clone()),
        FileValue::Text(text) => Ok(entries(text)),
        other => Err(format!("expected a list of strings, found {}", other.kind())),
    }
}

/// Refuses a number outside what makes sense for its setting.
///
/// # Errors
/// When `value` is not in `range`.
pub fn within<T: PartialOrd + Display>(value: T, range: &RangeInclusive<T>) -> Result<T, String> {
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(format!("{value} is out of range; accepted are {} to {}", range.start(), range.end()))
    }
}

macro_rules! number_settings {
    ($($number:ty),+) => {$(
        impl SettingValue for $number {
            fn from_text(text: &str) -> Result<Self, String> {
                // TOML and people write 65_536; the standard parser does not know the underscore.
                let digits = text.trim().replace('_', "");
                digits.parse().map_err(|_| format!("\"{text}\" is not a whole number from 0 to {}", Self::MAX))
            }

            fn from_file(value: &FileValue) -> Result<Self, String> {
                match value {
                    FileValue::Integer(digits) => Self::from_text(digits),
                    other => Err(format!("expected a number, found {}", other.kind())),
                }
            }

            fn to_file(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )+};
}

number_settings!(u16, u64, usize);

impl SettingValue for bool {
    const IS_SWITCH: bool = true;

    fn from_text(text: &str) -> Result<Self, String> {
        match text.trim() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("\"{text}\" is neither true nor false")),
        }
    }

    fn from_file(value: &FileValue) -> Result<Self, String> {
        match value {
            FileValue::Switch(on) => Ok(*on),
            other => Err(format!("expected true or false, found {}", other.kind())),
        }
    }

    fn to_file(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl SettingValue for String {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.trim().to_owned())
    }

    fn from_file(value: &FileValue) -> Result<Self, String> {
        value.text().map(str::to_owned)
    }

    fn to_file(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl SettingValue for PathBuf {
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self::from(text.trim_end_matches(['\r', '\n'])))
    }

    fn from_file(value: &FileValue) -> Result<Self, String> {
        value.text().map(Self::from)
    }

    fn to_file(&self) -> Option<String> {
        Some(quoted(&self.to_string_lossy()))
    }
}

impl SettingValue for Secret {
    const IS_SECRET: bool = true;

    fn from_text(text: &str) -> Result<Self, String> {
        // Files and pipes end in a line end that nobody means.
        Ok(Self::new(text.trim_end_matches(['\r', '\n'])))
    }

    fn from_file(value: &FileValue) -> Result<Self, String> {
        Self::from_text(value.text()?)
    }

    fn to_file(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

macro_rules! parsed_settings {
    ($($kind:ty),+) => {$(
        impl SettingValue for $kind {
            fn from_text(text: &str) -> Result<Self, String> {
                text.parse()
            }

            fn from_file(value: &FileValue) -> Result<Self, String> {
                value.text()?.parse()
            }

            fn to_file(&self) -> Option<String> {
                Some(quoted(&self.to_string()))
            }
        }
    )+};
}

impl SettingValue for OpenPortal {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }

    fn from_file(value: &FileValue) -> Result<Self, String> {
        match value {
            FileValue::Switch(is_open) => Ok(if *is_open { Self::OnThisMachine } else { Self::Closed }),
            other => other.text()?.parse(),
        }
    }

    fn to_file(&self) -> Option<String> {
        Some(match self {
            Self::Anywhere => quoted(self.word()),
            Self::Closed | Self::OnThisMachine => self.word().to_owned(),
        })
    }
}

parsed_settings!(BasePath, Budget, SessionStore, LogLevel, LogFormat, ProxyHeader);

impl SettingValue for CorsOrigins {
    fn from_text(text: &str) -> Result<Self, String> {
        Self::from_entries(entries(text))
    }

    fn from_file(value: &FileValue) -> Result<Self, String> {
        Self::from_entries(file_entries(value)?)
    }

    fn to_file(&self) -> Option<String> {
        Some(quoted_list(self.entries()))
    }
}

macro_rules! list_settings {
    ($($item:ty),+) => {$(
        impl SettingValue for Vec<$item> {
            fn from_text(text: &str) -> Result<Self, String> {
                entries(text).iter().map(|entry| entry.parse().map_err(|error| format!("{error}"))).collect()
            }

            fn from_file(value: &FileValue) -> Result<Self, String> {
                file_entries(value)?.iter().map(|entry| entry.parse().map_err(|error| format!("{error}"))).collect()
            }

            fn to_file(&self) -> Option<String> {
                Some(quoted_list(self))
            }
        }
    )+};
}

list_settings!(String, Cidr, u64);

impl<T: SettingValue> SettingValue for Option<T> {
    const IS_SWITCH: bool = T::IS_SWITCH;
    const IS_SECRET: bool = T::IS_SECRET;

    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::from_text(text).map(Some) }
    }

    fn from_file(value: &FileValue) -> Result<Self, String> {
        match value {
            FileValue::Text(text) if text.is_empty() => Ok(None),
            value => T::from_file(value).map(Some),
        }
    }

    fn to_file(&self) -> Option<String> {
        self.as_ref().and_then(T::to_file)
    }
}
