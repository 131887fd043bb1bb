//! Artifacts: their types, keys and fields, and the repair of almost valid JSON.
//!
//! Language models write JSON with trailing commas and single quotes. Content of type `json` is stored unchanged if it
//! parses, repaired if these are its only two faults, and otherwise stored as text with a warning. The repair works on
//! tokens, so the contents of strings never change.

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::draft::Draft;
use crate::error::{ApiError, ApiResult};
use crate::form::{self, Form};
use crate::limits;
use crate::text::{Fields, limit_units, optional, refuse_nul};

stored_enum! {
    /// What an artifact's content is.
    ArtifactType {
        Text = "text",
        Markdown = "markdown",
        Json = "json",
        Code = "code",
        File = "file",
        Link = "link",
    }
}

/// The checked fields of a new artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactDraft {
    /// Its name within the thread.
    pub key: String,
    /// What the content is, after a repair.
    pub artifact_type: ArtifactType,
    /// A headline.
    pub title: Option<String>,
    /// The content, after a repair.
    pub content: Option<String>,
    /// Programming or natural language.
    pub language: Option<String>,
    /// Where it lives, for files and links.
    pub url: Option<String>,
    /// Its MIME type.
    pub mime_type: Option<String>,
    /// Whether the content was meant to be JSON and is not.
    pub format_warning: bool,
}

impl ArtifactDraft {
    /// Reads a new artifact whose type stands under `type_field`.
    fn read_typed(body: &mut Fields, type_field: &str) -> ApiResult<Self> {
        let key = key(body.get("artifact_key"))?.to_owned();
        let asked = match body.get(type_field) {
            Some(Value::String(text)) => ArtifactType::parse(text).ok_or_else(|| {
                let accepted = ArtifactType::accepted();
                ApiError::validation(format!("Invalid {type_field} {text:?} (accepted: {accepted})"))
            })?,
            _ => ArtifactType::Text,
        };
        let title = short_text(body, "title")?;
        optional("content", body.get("content"))?;
        let content = take_text(body, "content");
        let language = short_text(body, "language")?;
        let url = short_text(body, "url")?;
        let mime_type = short_text(body, "mime_type")?;
        let resolved = resolve(asked, content);
        let Resolved { artifact_type, content, format_warning } = resolved;
        Ok(Self { key, artifact_type, title, content, language, url, mime_type, format_warning })
    }

    fn form_typed(type_field: &'static str) -> Form {
        let kinds = form::one_of(ArtifactType::ALL.iter().map(|kind| kind.as_str()));
        let label = || form::nullable(form::short(limits::ARTIFACT_LABEL_UNITS));
        Form::new("A new artifact.")
            .needs("artifact_key", key_schema(), "Its name within the thread.")
            .takes(type_field, kinds, "What the content is; `text` if absent.")
            .takes("title", label(), "A headline.")
            .takes("content", form::nullable(form::text()), "The content.")
            .takes("language", label(), "The programming or natural language.")
            .takes("url", label(), "Where it lives, for files and links.")
            .takes("mime_type", label(), "Its MIME type.")
    }
}

impl Draft for ArtifactDraft {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        Self::read_typed(body, "type")
    }

    fn read_frame(frame: &mut Fields) -> ApiResult<Self> {
        Self::read_typed(frame, "artifact_type")
    }

    fn form() -> Form {
        Self::form_typed("type")
    }

    fn frame_form() -> Form {
        Self::form_typed("artifact_type")
    }
}

/// The checked fields of a new version of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactUpdate {
    /// The new content, not yet resolved by type.
    pub content: String,
    /// A new headline; `Some(None)` clears it.
    pub title: Option<Option<String>>,
}

impl Draft for ArtifactUpdate {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let content = body.get("content").and_then(Value::as_str);
        let content = content.ok_or_else(|| ApiError::validation("content is required and must be a string"))?;
        refuse_nul("content", content)?;
        let title = match body.get("title") {
            None => None,
            Some(_) => Some(short_text(body, "title")?),
        };
        Ok(Self { content: take_text(body, "content").unwrap_or_default(), title })
    }

    fn form() -> Form {
        let title = form::nullable(form::short(limits::ARTIFACT_LABEL_UNITS));
        Form::new("A new version of an artifact.").needs("content", form::text(), "The new content.").takes(
            "title",
            title,
            "A new headline; null clears it.",
        )
    }

    fn frame_form() -> Form {
        let title = form::nullable(form::short(limits::ARTIFACT_LABEL_UNITS));
        Self::form().without("title").takes("title", title, "A new headline; null keeps the old one.")
    }
}

schemas_of_drafts!(ArtifactDraft, ArtifactUpdate);

/// The schema of an artifact's key.
#[must_use]
pub fn key_schema() -> form::AnySchema {
    form::filled(limits::ARTIFACT_KEY_BYTES).pattern(Some("^[A-Za-z0-9._~-]+$")).into()
}

/// Takes a text out of the fields.
fn take_text(body: &mut Fields, field: &str) -> Option<String> {
    match body.get_mut(field) {
        Some(Value::String(text)) => Some(std::mem::take(text)),
        _ => None,
    }
}

/// An optional field that is a label, not the payload.
fn short_text(body: &Fields, field: &str) -> ApiResult<Option<String>> {
    let Some(text) = optional(field, body.get(field))? else { return Ok(None) };
    limit_units(field, text, limits::ARTIFACT_LABEL_UNITS)?;
    Ok(Some(text.to_owned()))
}

/// Checks an artifact key: `[A-Za-z0-9._~-]+`, so that it is a path segment as it stands.
pub fn key(value: Option<&Value>) -> ApiResult<&str> {
    value.and_then(Value::as_str).filter(|key| is_key(key)).ok_or_else(|| {
        let most = limits::ARTIFACT_KEY_BYTES;
        ApiError::validation(format!("artifact_key must be 1 to {most} characters of A-Z a-z 0-9 . _ ~ -"))
    })
}

/// Whether a text is an artifact key.
#[must_use]
pub fn is_key(text: &str) -> bool {
    (1..=limits::ARTIFACT_KEY_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-'))
}

/// The type a new version is tried as: that of version 1, or JSON when version 1 failed to be JSON. Without version 1
/// (retention took it) the latest version's type stands.
#[must_use]
pub fn base_type(first: Option<(ArtifactType, bool)>, latest: ArtifactType) -> ArtifactType {
    match first {
        Some((_, true)) => ArtifactType::Json,
        Some((artifact_type, false)) => artifact_type,
        None => latest,
    }
}

/// Content with the type it turned out to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved<C = String> {
    /// The type to store.
    pub artifact_type: ArtifactType,
    /// The content to store.
    pub content: C,
    /// Whether it was meant to be JSON and is not.
    pub format_warning: bool,
}

/// Resolves content of any type; only JSON is looked at.
#[must_use]
pub fn resolve(artifact_type: ArtifactType, content: Option<String>) -> Resolved<Option<String>> {
    match (artifact_type, content) {
        (ArtifactType::Json, Some(content)) => {
            let Resolved { artifact_type, content, format_warning } = repair_json(content);
            Resolved { artifact_type, content: Some(content), format_warning }
        }
        (artifact_type, content) => Resolved { artifact_type, content, format_warning: false },
    }
}

/// Resolves content that claims to be JSON: verbatim if it is, repaired if it can be, else text with a warning.
#[must_use]
pub fn repair_json(content: String) -> Resolved {
    let json = |content| Resolved { artifact_type: ArtifactType::Json, content, format_warning: false };
    if is_json(&content) {
        return json(content);
    }
    match repair(&content).filter(|repaired| is_json(repaired)) {
        Some(repaired) => json(repaired),
        None => Resolved { artifact_type: ArtifactType::Text, content, format_warning: true },
    }
}

/// Whether a text is JSON, of whatever depth.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Drops trailing commas and turns single-quoted strings into double-quoted ones. `None` when a string does not end.
fn repair(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\'', ',']) {
        out.push_str(rest.get(..at)?);
        let token = rest.get(at..)?;
        let after = token.get(1..)?;
        rest = match token.bytes().next()? {
            b'"' => {
                let length = string_end(token, b'"')?;
                out.push_str(token.get(..length)?);
                token.get(length..)?
            }
            b'\'' => {
                let length = string_end(token, b'\'')?;
                requote(token.get(1..length - 1)?, &mut out);
                token.get(length..)?
            }
            _ => {
                let next = after.trim_start();
                if next.starts_with(['}', ']']) {
                    next
                } else {
                    out.push(',');
                    after
                }
            }
        };
    }
    out.push_str(rest);
    Some(out)
}

/// Length of the string literal at the start of `token`, both quotes included.
fn string_end(token: &str, quote: u8) -> Option<usize> {
    let mut bytes = token.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        if byte == quote {
            return Some(at + 1);
        }
        if byte == b'\\' {
            bytes.next()?;
        }
    }
    None
}

/// Writes the inside of a single-quoted string as a JSON string: `\'` needs no escape there, `"` does.
fn requote(inside: &str, out: &mut String) {
    out.push('"');
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => match characters.next() {
                Some('\'') => out.push('\''),
                Some(escaped) => out.extend(['\\', escaped]),
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn repaired(text: &str) -> String {
        let resolved = repair_json(text.to_owned());
        assert_eq!((resolved.artifact_type, resolved.format_warning), (ArtifactType::Json, false), "{text}");
        resolved.content
    }

    #[test]
    fn json_is_kept_verbatim() {
        for text in
            ["{ \"a\" : 1 }", "[]", "null", "1e999", "\"x, }\"", "  true\n", &("[".repeat(500) + &"]".repeat(500))]
        {
            assert_eq!(repaired(text), text);
        }
    }

    #[test]
    fn almost_json_is_repaired() {
        assert_eq!(repaired(r#"{"a": [1, 2, ], }"#), r#"{"a": [1, 2]}"#);
        assert_eq!(repaired("{'a': 'b'}"), r#"{"a": "b"}"#);
        assert_eq!(repaired(r"{'a':'it\'s'}"), r#"{"a":"it's"}"#);
        assert_eq!(repaired(r#"{'a':'say "hi"\n'}"#), r#"{"a":"say \"hi\"\n"}"#);
    }

    #[test]
    fn strings_are_never_changed() {
        assert_eq!(repaired(r#"{"a": "x, }",}"#), r#"{"a": "x, }"}"#);
        assert_eq!(repaired(r#"{"a": "it's, ]", "b": 'x, }',}"#), r#"{"a": "it's, ]", "b": "x, }"}"#);
        assert_eq!(repaired(r#"["\"", 'a',]"#), r#"["\"", "a"]"#);
    }

    #[test]
    fn what_cannot_be_repaired_stays_text_with_a_warning() {
        for text in [
            "",
            "{a: 1}",
            "{\"a\": NaN}",
            "// x\n{}",
            "{'a",
            "{\"a\": \"b}",
            "\u{FEFF}{}",
            "[1,,]",
            "'a\\",
            "{'a\n':1}",
        ] {
            let resolved = repair_json(text.to_owned());
            let expected =
                Resolved { artifact_type: ArtifactType::Text, content: text.to_owned(), format_warning: true };
            assert_eq!(resolved, expected);
        }
    }

    #[test]
    fn only_json_is_looked_at() {
        let resolved = resolve(ArtifactType::Code, Some("{'a'".into()));
        assert_eq!((resolved.artifact_type, resolved.format_warning), (ArtifactType::Code, false));
        assert_eq!(resolve(ArtifactType::Json, None).artifact_type, ArtifactType::Json);
        assert_eq!(base_type(Some((ArtifactType::Text, true)), ArtifactType::Text), ArtifactType::Json);
        assert_eq!(base_type(Some((ArtifactType::Code, false)), ArtifactType::Text), ArtifactType::Code);
        assert_eq!(base_type(None, ArtifactType::Text), ArtifactType::Text);
    }

    #[test]
    fn keys_are_path_segments() {
        for good in ["a", "A-z_0.9~", ".", &"k".repeat(128)] {
            assert!(is_key(good), "{good}");
        }
        for bad in ["", "a/b", "a b", "é", "a%20", "a\u{0}", &"k".repeat(129)] {
            assert!(!is_key(bad), "{bad}");
        }
        assert!(key(Some(&json!(1))).unwrap_err().message().contains("artifact_key"));
    }

    #[test]
    fn drafts_are_checked_field_by_field() {
        let read = |body: Value| ArtifactDraft::read(&mut body.as_object().unwrap().clone());
        let draft = read(json!({"artifact_key": "k", "type": "json", "content": "{'a':1,}", "title": null})).unwrap();
        assert_eq!(draft.content.as_deref(), Some(r#"{"a":1}"#));
        assert_eq!(read(json!({"artifact_key": "k", "type": 7})).unwrap().artifact_type, ArtifactType::Text);
        for body in [
            json!({}),
            json!({"artifact_key": "k", "type": "video"}),
            json!({"artifact_key": "k", "title": 1}),
            json!({"artifact_key": "k", "content": {}}),
            json!({"artifact_key": "k", "content": "\u{0}"}),
            json!({"artifact_key": "k", "url": "u".repeat(4097)}),
        ] {
            assert_eq!(read(body.clone()).unwrap_err().status(), 400, "{body}");
        }
    }

    #[test]
    fn updates_need_content_and_may_clear_the_title() {
        let read = |body: Value| ArtifactUpdate::read(&mut body.as_object().unwrap().clone());
        assert_eq!(read(json!({"content": ""})).unwrap(), ArtifactUpdate { content: String::new(), title: None });
        assert_eq!(read(json!({"content": "", "title": null})).unwrap().title, Some(None));
        assert!(read(json!({"title": "t"})).unwrap_err().message().contains("content is required"));
        assert!(read(json!({"content": 1})).is_err());
    }

    /// A value as a sloppy writer writes it: single quotes and trailing commas at will.
    fn sloppy(value: &Value, single: bool) -> String {
        match value {
            Value::String(text) if single => {
                let inside = Value::from(text.as_str()).to_string();
                let inside = inside.get(1..inside.len() - 1).unwrap().replace("\\\"", "\"").replace('\'', "\\'");
                format!("'{inside}'")
            }
            Value::Array(items) => {
                let items: String = items.iter().map(|item| sloppy(item, !single) + ", ").collect();
                format!("[{items}]")
            }
            Value::Object(map) => {
                let pair = |(key, item): (&String, &Value)| {
                    format!("{}:{},\n", sloppy(&Value::from(key.as_str()), single), sloppy(item, !single))
                };
                format!("{{{}}}", map.iter().map(pair).collect::<String>())
            }
            other => other.to_string(),
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "['\",}\\] \\\\]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::vec(("['\",a]{0,4}", inner), 0..5)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn sloppy_json_means_what_was_written(value in any_json(), single: bool) {
            let resolved = repair_json(sloppy(&value, single));
            prop_assert!(!resolved.format_warning, "{}", resolved.content);
            prop_assert_eq!(serde_json::from_str::<Value>(&resolved.content).unwrap(), value);
        }

        #[test]
        fn any_text_can_be_repaired(text in "[{}\\[\\]'\",:\\\\a1 ]{0,20}") {
            let resolved = repair_json(text.clone());
            prop_assert!(resolved.format_warning == (resolved.artifact_type == ArtifactType::Text));
            prop_assert!(!resolved.format_warning || resolved.content == text);
        }
    }
}
