//! Bot names, profiles and the request to register.
//!
//! Sizes are checked before types, and both before any lookup, so that an invalid request is cheap. Lengths are in
//! bytes of UTF-8. A name is `[A-Za-z0-9_-]+`; two names that differ only in case are the same, because they look alike
//! in a mention.

mod register;

pub use register::{RegisterRequest, RegistrationCredential};

use serde_json::Value;

use crate::draft::Draft;
use crate::error::{ApiError, ApiResult, ErrorCode};
use crate::form::{self, AnySchema, Form};
use crate::ids::resembles_id;
use crate::limits;
use crate::mentions::is_name_byte;
use crate::text::{Fields, kind, refuse_nul_within, wrong_type};

/// The version a bot has that never named one.
pub const DEFAULT_VERSION: &str = "1.0.0";

/// The text fields of a profile and their longest values in bytes, in the order of the documentation.
const TEXTS: [(&str, usize); 9] = [
    ("bio", 1024),
    ("role", 256),
    ("function", 256),
    ("team", 256),
    ("status_text", 512),
    ("timezone", 64),
    ("active_hours", 256),
    ("version", 64),
    ("runtime", 128),
];
/// The list fields and their largest JSON in bytes.
const LISTS: [(&str, usize); 2] = [("tags", 4096), ("languages", 2048)];
/// The one free-form field and its largest JSON in bytes.
const PROTOCOLS: (&str, usize) = ("protocols", limits::METADATA_BYTES);

/// The profile fields of a request: absent, null (`Some(None)`, which clears) or given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProfilePatch {
    /// Who it is.
    pub bio: Option<Option<String>>,
    /// What it is for.
    pub role: Option<Option<String>>,
    /// What it does.
    pub function: Option<Option<String>>,
    /// Whom it belongs to.
    pub team: Option<Option<String>>,
    /// What it is good at.
    pub tags: Option<Option<Vec<String>>>,
    /// What it speaks.
    pub languages: Option<Option<Vec<String>>>,
    /// How else it can be reached; an object or an array.
    pub protocols: Option<Option<Value>>,
    /// What it is doing.
    pub status_text: Option<Option<String>>,
    /// Where its clock is.
    pub timezone: Option<Option<String>>,
    /// When it works.
    pub active_hours: Option<Option<String>>,
    /// Its own version.
    pub version: Option<Option<String>>,
    /// What it runs on.
    pub runtime: Option<Option<String>>,
}

impl Draft for ProfilePatch {
    /// A change must name at least one field.
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let names = TEXTS.iter().chain(&LISTS).chain([&PROTOCOLS]).map(|(name, _)| *name);
        if !names.clone().any(|name| body.contains_key(name)) {
            let names = names.collect::<Vec<_>>().join(", ");
            return Err(ApiError::validation(format!("At least one profile field is required ({names})")));
        }
        Self::of(body)
    }

    fn form() -> Form {
        Form::new("A change of a profile; at least one field, of which null clears it.").and(profile_fields())
    }
}

schemas_of_drafts!(ProfilePatch);

/// The schemas of the profile fields.
fn profile_fields() -> Form {
    let form = TEXTS.iter().fold(Form::default(), |form, (name, max)| {
        form.takes(name, form::nullable(form::short(*max)), &format!("At most {max} bytes."))
    });
    let form = LISTS.iter().fold(form, |form, (name, max)| {
        form.takes(name, form::nullable(form::endless_list(form::text())), &format!("At most {max} bytes of JSON."))
    });
    let (name, max) = PROTOCOLS;
    form.takes(
        name,
        form::nullable(form::structure()),
        &format!("How else it can be reached; at most {max} bytes of JSON."),
    )
}

impl ProfilePatch {
    /// Reads the profile fields of a body: all sizes first, then all types. Unknown fields are ignored.
    fn of(body: &Fields) -> ApiResult<Self> {
        Self::check_sizes(body)?;
        Self::check_types(body)
    }

    /// Checks the size of every field that has the right type to have one.
    fn check_sizes(body: &Fields) -> ApiResult<()> {
        let too_large =
            |name: &str, max: usize| Err(ApiError::validation(format!("{name} is too large (at most {max} bytes)")));
        for (name, max) in TEXTS {
            if body.get(name).and_then(Value::as_str).is_some_and(|text| text.len() > max) {
                return too_large(name, max);
            }
        }
        for (name, max) in LISTS.into_iter().chain([PROTOCOLS]) {
            let is_sized = |value: &&Value| value.is_array() || value.is_object();
            if body.get(name).filter(is_sized).is_some_and(|value| limits::json_bytes(value) > max) {
                return too_large(name, max);
            }
        }
        Ok(())
    }

    /// Checks the type of every field and takes it.
    fn check_types(body: &Fields) -> ApiResult<Self> {
        Ok(Self {
            bio: text(body, "bio")?,
            role: text(body, "role")?,
            function: text(body, "function")?,
            team: text(body, "team")?,
            tags: list(body, "tags")?,
            languages: list(body, "languages")?,
            protocols: protocols(body)?,
            status_text: text(body, "status_text")?,
            timezone: text(body, "timezone")?,
            active_hours: text(body, "active_hours")?,
            version: text(body, "version")?,
            runtime: text(body, "runtime")?,
        })
    }

    /// Names of the given fields, for the audit row.
    #[must_use]
    pub fn given(&self) -> Vec<&'static str> {
        let fields = [
            ("bio", self.bio.is_some()),
            ("role", self.role.is_some()),
            ("function", self.function.is_some()),
            ("team", self.team.is_some()),
            ("tags", self.tags.is_some()),
            ("languages", self.languages.is_some()),
            ("protocols", self.protocols.is_some()),
            ("status_text", self.status_text.is_some()),
            ("timezone", self.timezone.is_some()),
            ("active_hours", self.active_hours.is_some()),
            ("version", self.version.is_some()),
            ("runtime", self.runtime.is_some()),
        ];
        fields.into_iter().filter(|(_, is_given)| *is_given).map(|(name, _)| name).collect()
    }
}

fn text(body: &Fields, field: &str) -> ApiResult<Option<Option<String>>> {
    given(body, field, |value| value.as_str().map(str::to_owned).ok_or("a string"))
}

fn list(body: &Fields, field: &str) -> ApiResult<Option<Option<Vec<String>>>> {
    let strings = |items: &Vec<Value>| items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
    given(body, field, |value| value.as_array().and_then(strings).ok_or("an array of strings"))
}

fn protocols(body: &Fields) -> ApiResult<Option<Option<Value>>> {
    given(
        body,
        PROTOCOLS.0,
        |value| {
            if value.is_object() || value.is_array() { Ok(value.clone()) } else { Err("an object") }
        },
    )
}

/// A field that may be absent or null, else must be readable.
fn given<T>(
    body: &Fields,
    field: &str,
    read: impl Fn(&Value) -> Result<T, &'static str>,
) -> ApiResult<Option<Option<T>>> {
    match body.get(field) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(None)),
        Some(value) => {
            refuse_nul_within(field, value)?;
            let taken = read(value).map_err(|wanted| wrong_type(field, wanted, value))?;
            Ok(Some(Some(taken)))
        }
    }
}

/// Checks the characters of a bot's name and that it is not reserved; not yet its length.
fn name_shape(value: Option<&Value>) -> ApiResult<&str> {
    shape_of("name", value)
}

/// The same of a name in any field.
fn shape_of<'v>(field: &str, value: Option<&'v Value>) -> ApiResult<&'v str> {
    let name = match value {
        None | Some(Value::Null) => return Err(ApiError::validation(format!("{field} is required"))),
        Some(Value::String(name)) if name.is_empty() => {
            return Err(ApiError::validation(format!("{field} is required")));
        }
        Some(Value::String(name)) => name,
        Some(other) => return Err(ApiError::validation(format!("{field} must be a string, not {}", kind(other)))),
    };
    if !name.bytes().all(is_name_byte) {
        return Err(ApiError::validation(format!("{field} may only hold letters, digits, _ and - (A-Z a-z 0-9)")));
    }
    if resembles_id(name) {
        let refusal = format!("{field} must not have the form of an id (32 hex digits, with or without -)");
        return Err(ApiError::validation(refusal));
    }
    if is_reserved(name) {
        return Err(ApiError::new(ErrorCode::ReservedName, format!("The name {name:?} is reserved")));
    }
    Ok(name)
}

/// Checks the length of a bot's name.
fn name_size(name: &str) -> ApiResult<()> {
    size_of_name("name", name)
}

fn size_of_name(field: &str, name: &str) -> ApiResult<()> {
    let most = limits::BOT_NAME_BYTES;
    if name.len() > most {
        return Err(ApiError::validation(format!("{field} is too long (at most {most} bytes)")));
    }
    Ok(())
}

/// Who an agent is: the id of a bot, or a name that a bot has or may have.
pub fn bot_reference(field: &str, value: Option<&Value>) -> ApiResult<String> {
    if let Some(Value::String(id)) = value
        && resembles_id(id)
    {
        return Ok(id.clone());
    }
    let name = shape_of(field, value)?;
    size_of_name(field, name)?;
    Ok(name.to_owned())
}

/// A new name for a bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renaming(String);

impl Draft for Renaming {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        name_shape(body.get("name")).map(|name| Self(name.to_owned()))
    }

    fn form() -> Form {
        Form::new("A bot's new name.").needs("name", name_schema(), "The name.")
    }
}

impl Renaming {
    /// The name, for a bot that has another now.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` when it is the current one, or too long.
    pub fn from(self, current: &str) -> ApiResult<String> {
        let Self(name) = self;
        if name == current {
            return Err(ApiError::validation("name is the same as the current one"));
        }
        name_size(&name)?;
        Ok(name)
    }
}

/// The schema of a bot's name.
fn name_schema() -> AnySchema {
    form::filled(limits::BOT_NAME_BYTES).pattern(Some("^[A-Za-z0-9_-]+$")).into()
}

/// Checks the size of a bot's free data.
fn metadata_size(metadata: Option<&Value>) -> ApiResult<()> {
    let most = limits::METADATA_BYTES;
    if metadata.is_none_or(|value| limits::fits_json(value, most)) {
        return Ok(());
    }
    Err(ApiError::validation(format!("metadata is too large (at most {most} bytes)")))
}

/// A change of a bot's free data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataChange {
    /// The JSON text that it is stored as; null takes it away.
    pub metadata: Option<String>,
}

impl Draft for MetadataChange {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let given = body.get("metadata");
        let given = given.ok_or_else(|| ApiError::validation("metadata is required; null takes it away"))?;
        metadata_size(Some(given))?;
        refuse_nul_within("metadata", given)?;
        Ok(Self { metadata: (!given.is_null()).then(|| given.to_string()) })
    }

    fn form() -> Form {
        let about = format!("Any JSON of at most {} bytes; null takes it away.", limits::METADATA_BYTES);
        Form::new("A bot's free data.").needs("metadata", form::any(), &about)
    }
}

schemas_of_drafts!(Renaming, MetadataChange);

/// Whether a name is kept for mentions of everybody.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    name.eq_ignore_ascii_case("all") || name == "所有人"
}

/// The form in which names are compared and mentions looked up: lower case.
#[must_use]
pub fn name_key(name: &str) -> String {
    name.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> ApiResult<ProfilePatch> {
        ProfilePatch::of(body.as_object().unwrap())
    }

    #[test]
    fn fields_are_absent_null_or_given() {
        let patch = read(json!({"bio": null, "tags": ["a"], "protocols": [], "name": "x"})).unwrap();
        assert_eq!((patch.bio.clone(), patch.role.clone()), (Some(None), None));
        assert_eq!(patch.tags, Some(Some(vec!["a".to_owned()])));
        assert_eq!(patch.given(), ["bio", "tags", "protocols"]);
    }

    #[test]
    fn sizes_come_before_types() {
        for (body, words) in [
            (json!({"bio": 1, "runtime": "r".repeat(129)}), "runtime is too large"),
            (json!({"bio": "é".repeat(513)}), "bio is too large (at most 1024 bytes)"),
            (json!({"tags": ["t".repeat(4093)]}), "tags is too large"),
            (json!({"languages": ["l".repeat(2045)], "bio": 1}), "languages is too large"),
            (json!({"protocols": {"p": "x".repeat(16_384)}}), "protocols is too large"),
            (json!({"bio": 1}), "bio must be a string, not a number"),
            (json!({"tags": "a"}), "tags must be an array of strings"),
            (json!({"tags": [1]}), "tags must be an array of strings"),
            (json!({"protocols": "x"}), "protocols must be an object"),
            (json!({"bio": "a\u{0}"}), "NUL"),
        ] {
            let refusal = read(body).unwrap_err();
            assert!(refusal.message().contains(words), "{words}: {}", refusal.message());
        }
        assert!(read(json!({"bio": "é".repeat(512), "tags": ["t".repeat(4092)]})).is_ok());
    }

    #[test]
    fn a_change_needs_a_profile_field() {
        let change = |body: Value| ProfilePatch::read(&mut body.as_object().unwrap().clone());
        assert!(change(json!({"name": "x"})).unwrap_err().message().contains("At least one profile field"));
        assert!(change(json!({"version": null})).is_ok());
    }

    #[test]
    fn a_change_of_metadata_names_it() {
        let change =
            |body: Value| MetadataChange::read(&mut body.as_object().unwrap().clone()).map(|change| change.metadata);
        assert_eq!(change(json!({"metadata": null})).unwrap(), None);
        assert_eq!(change(json!({"metadata": {"b": 1, "a": 2}})).unwrap().as_deref(), Some(r#"{"b":1,"a":2}"#));
        assert!(change(json!({"metadata": "m".repeat(16_382)})).is_ok());
        for bad in [json!({}), json!({"metadata": "m".repeat(16_383)}), json!({"metadata": ["a\u{0}"]})] {
            assert_eq!(change(bad).unwrap_err().code(), ErrorCode::Validation);
        }
    }

    fn rename(name: &Value, current: &str) -> ApiResult<String> {
        Renaming::read(&mut Fields::from_iter([("name".to_owned(), name.clone())]))?.from(current)
    }

    #[test]
    fn names_are_plain_unreserved_and_short() {
        let code = |name: Value| rename(&name, "old").map_err(|refusal| refusal.code());
        assert_eq!(code(json!("Bob_1-x")), Ok("Bob_1-x".into()));
        assert_eq!(code(json!("ALL")), Err(ErrorCode::ReservedName));
        assert!(is_reserved("所有人"));
        for bad in
            [json!(""), json!(null), json!(7), json!("a b"), json!("所有人"), json!("old"), json!("n".repeat(129))]
        {
            assert_eq!(code(bad.clone()), Err(ErrorCode::Validation), "{bad}");
        }
        assert_eq!(Renaming::read(&mut Fields::new()).unwrap_err().message(), "name is required");
        assert_eq!(name_key("Bob"), "bob");
    }

    proptest! {
        #[test]
        fn every_name_that_passes_can_be_mentioned(name in "[A-Za-z0-9_@ é-]{1,12}") {
            if let Ok(name) = rename(&Value::from(name), "") {
                let id = crate::ids::BotId::random();
                let found = crate::mentions::scan(&format!("hi @{name}!"), |wanted| {
                    (wanted == name_key(&name)).then(|| (id, name.as_str().into()))
                });
                prop_assert_eq!(found.refs.len(), 1);
            }
        }
    }
}
