//! The contents of a message: parts, content, content type and metadata.
//!
//! Messages arrive by five operations whose rules differ in small ways that clients rely on; [`MessageTransport`] names
//! them and [`read`] applies them in the protocol's order. Stored parts keep unknown keys and their order. Content
//! is the text for people; if it is missing, it is derived from the parts.

use std::borrow::Cow;

use serde_json::{Value, json};
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{Discriminator, OneOfBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::error::{ApiError, ApiResult};
use crate::form::{self, AnySchema, Form};
use crate::limits;
use crate::text::{Fields, is_truthy, limit_bytes, limit_units, refuse_nul, refuse_nul_within, wrong_type};

/// The content type of a message that names none.
pub const DEFAULT_CONTENT_TYPE: &str = "text";

wire_enum! {
    /// What a part of a message is.
    PartType {
        Text = "text",
        Markdown = "markdown",
        Json = "json",
        File = "file",
        Image = "image",
        Link = "link",
    }
}

/// The operation a message comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageTransport {
    /// Direct message by REST: an empty content type counts as none, a wrong one is refused.
    Dm,
    /// Thread message by REST: carries metadata; a content type that is no string counts as none.
    Thread,
    /// Socket `send` into a channel: parts count only as an array, and empty content is derived from them.
    SocketSend,
    /// Socket `send_dm`.
    SocketDm,
    /// Socket `send_thread_message`: otherwise as by REST.
    SocketThread,
}

impl MessageTransport {
    /// Whether content may be any JSON, whose text is taken.
    fn takes_json(self) -> bool {
        matches!(self, Self::SocketSend | Self::SocketDm | Self::SocketThread)
    }
}

/// A checked message, ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Composed {
    /// What people read; never empty.
    pub content: String,
    /// A free label, mostly `text`.
    pub content_type: Cow<'static, str>,
    /// The parts as given, as JSON, if any were.
    pub parts: Option<String>,
}

impl Composed {
    /// Refuses content over the configured length.
    ///
    /// # Errors
    /// `VALIDATION_ERROR`.
    pub fn check_length(self, max_units: usize) -> ApiResult<Self> {
        limit_units("content", &self.content, max_units)?;
        Ok(self)
    }
}

/// Takes a message out of a request body and checks all but the length of its content.
///
/// # Errors
/// `VALIDATION_ERROR` for the first field that is wrong.
pub fn read(face: MessageTransport, body: &mut Fields) -> ApiResult<Composed> {
    let content_type = content_type(face, body.get("content_type"))?;
    let parts = match body.remove("parts") {
        Some(value) if face != MessageTransport::SocketSend || value.is_array() => Some(validate(value)?),
        _ => None,
    };
    let content = content(face, body.remove("content"), parts.as_deref())?;
    Ok(Composed { content, content_type, parts: parts.map(|parts| Value::Array(parts).to_string()) })
}

/// A part of a message, for the OpenAPI document: what its type needs, and whatever else its sender gave.
#[derive(Debug, Clone, Copy)]
pub struct MessagePart;

/// A list of parts.
#[must_use]
pub fn schema() -> AnySchema {
    form::list(form::named(&MessagePart::name()), limits::PARTS).into()
}

impl PartialSchema for MessagePart {
    fn schema() -> AnySchema {
        let mut discriminator = Discriminator::new("type");
        let one_of = PartType::ALL.iter().fold(OneOfBuilder::new(), |one_of, kind| {
            let schema = Ref::from_schema_name(kind.schema_name());
            discriminator.mapping.insert(kind.as_str().to_owned(), schema.ref_location.clone());
            one_of.item(schema)
        });
        one_of.discriminator(Some(discriminator)).description(Some("A part of a message; other keys are kept.")).into()
    }
}

impl ToSchema for MessagePart {
    fn schemas(schemas: &mut Vec<(String, AnySchema)>) {
        schemas.extend(form::entries_of::<crate::schema::Json>());
        schemas.extend(PartType::ALL.iter().map(|kind| {
            let part = form::open(kind.form().object().into());
            (kind.schema_name().to_owned(), Schema::from(part.build()).into())
        }));
    }
}

impl PartType {
    fn schema_name(self) -> &'static str {
        match self {
            Self::Text => "MessagePartText",
            Self::Markdown => "MessagePartMarkdown",
            Self::Json => "MessagePartJson",
            Self::File => "MessagePartFile",
            Self::Image => "MessagePartImage",
            Self::Link => "MessagePartLink",
        }
    }

    /// The fields of a part of this type.
    fn form(self) -> Form {
        let form = |about| Form::new(about).needs("type", form::word(self.as_str()), "What the part is.");
        match self {
            Self::Text => form("Plain text.").needs("content", form::text(), "The text."),
            Self::Markdown => form("Text with markup.").needs("content", form::text(), "The text."),
            Self::Json => form("Data.").needs("content", form::structure(), "An object or an array."),
            Self::File => form("A file.")
                .needs("url", form::text(), "Where it is.")
                .needs("name", form::text(), "What it is called.")
                .needs("mime_type", form::text(), "What it holds."),
            Self::Image => form("A picture.").needs("url", form::text(), "Where it is."),
            Self::Link => form("A link.").needs("url", form::text(), "Where it leads."),
        }
    }
}

/// Checks the parts of a message and hands them back as given.
pub fn validate(parts: Value) -> ApiResult<Vec<Value>> {
    let Value::Array(items) = parts else { return Err(wrong_type("parts", "an array", &parts)) };
    if items.len() > limits::PARTS {
        return Err(ApiError::validation(format!("parts may have at most {} items", limits::PARTS)));
    }
    items.iter().enumerate().try_for_each(|(index, part)| check_part(index, part))?;
    if limits::json_bytes(&items) > limits::PARTS_BYTES {
        return Err(ApiError::validation(format!("parts are too large (at most {} bytes)", limits::PARTS_BYTES)));
    }
    Ok(items)
}

/// Checks one part.
fn check_part(index: usize, part: &Value) -> ApiResult<()> {
    let Value::Object(fields) = part else {
        return Err(wrong_type(&format!("parts[{index}]"), "an object", part));
    };
    let Some(part_type) = fields.get("type").and_then(Value::as_str).and_then(PartType::parse) else {
        let accepted = PartType::accepted();
        return Err(ApiError::validation(format!("parts[{index}].type must be one of {accepted}")));
    };
    let needs: &[&str] = match part_type {
        PartType::Text | PartType::Markdown => &["content"],
        PartType::File => &["url", "name", "mime_type"],
        PartType::Image | PartType::Link => &["url"],
        PartType::Json => &[],
    };
    if let Some(field) = needs.iter().find(|field| !fields.get(**field).is_some_and(Value::is_string)) {
        return Err(ApiError::validation(format!("parts[{index}].{field} must be a string in a {part_type} part")));
    }
    if part_type == PartType::Json && !matches!(fields.get("content"), Some(Value::Object(_) | Value::Array(_))) {
        return Err(ApiError::validation(format!("parts[{index}].content must be an object or array in a json part")));
    }
    refuse_nul_within("parts", part)
}

/// The content of a message that has only parts: its first text, else the kinds of its parts.
#[must_use]
pub fn derive_content(parts: &[Value]) -> String {
    let is_text = |part: &&Value| matches!(part_type(part), Some("text" | "markdown"));
    if let Some(text) = parts.iter().find(is_text).and_then(|part| part.get("content")).and_then(Value::as_str) {
        return text.to_owned();
    }
    let kinds: Vec<&str> = parts.iter().filter_map(part_type).collect();
    format!("[{}]", kinds.join(", "))
}

fn part_type(part: &Value) -> Option<&str> {
    part.get("type").and_then(Value::as_str)
}

/// The content as the operation's rule settles it; never empty.
fn content(face: MessageTransport, given: Option<Value>, parts: Option<&[Value]>) -> ApiResult<String> {
    let given = given.filter(|value| match face {
        MessageTransport::SocketSend => is_truthy(value),
        MessageTransport::Dm
        | MessageTransport::Thread
        | MessageTransport::SocketDm
        | MessageTransport::SocketThread => !value.is_null(),
    });
    let content = match given {
        None => parts.map(derive_content).unwrap_or_default(),
        Some(Value::String(text)) => text,
        Some(other) if face.takes_json() => readable(other),
        Some(other) => return Err(wrong_type("content", "a string", &other)),
    };
    if content.is_empty() {
        return Err(ApiError::validation("content or parts is required"));
    }
    refuse_nul("content", &content)?;
    Ok(content)
}

/// The readable side of content that is no text: an object's `text` if that is one, else the JSON as JavaScript writes it.
fn readable(mut content: Value) -> String {
    if let Some(Value::String(text)) = content.get_mut("text") {
        return std::mem::take(text);
    }
    write_whole_numbers_short(&mut content);
    content.to_string()
}

/// `1.0` and `1e3` are `1` and `1000` to JavaScript, as far as it counts exactly.
fn write_whole_numbers_short(value: &mut Value) {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) if number.is_f64() => {
            let whole = number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() <= EXACT);
            if let Some(whole) = whole.and_then(|number| format!("{number:.0}").parse::<i64>().ok()) {
                *value = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(write_whole_numbers_short),
        Value::Object(fields) => fields.values_mut().for_each(write_whole_numbers_short),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The content type as the operation's rule settles it.
fn content_type(face: MessageTransport, given: Option<&Value>) -> ApiResult<Cow<'static, str>> {
    let text = match (face, given) {
        (_, None | Some(Value::Null)) => return Ok(Cow::Borrowed(DEFAULT_CONTENT_TYPE)),
        (MessageTransport::Thread | MessageTransport::SocketThread, Some(Value::String(text))) => text,
        (_, Some(Value::String(text))) if !text.is_empty() => text,
        (MessageTransport::Dm, Some(other)) if is_truthy(other) => {
            return Err(wrong_type("content_type", "a string", other));
        }
        _ => return Ok(Cow::Borrowed(DEFAULT_CONTENT_TYPE)),
    };
    refuse_nul("content_type", text)?;
    limit_bytes("content_type", text, limits::CONTENT_TYPE_BYTES)?;
    if text == DEFAULT_CONTENT_TYPE { Ok(Cow::Borrowed(DEFAULT_CONTENT_TYPE)) } else { Ok(Cow::Owned(text.clone())) }
}

/// The metadata as it is stored: a string as given, any other value as its JSON; at most 16384 bytes.
pub fn metadata_text(given: Option<&Value>) -> ApiResult<Option<String>> {
    let text = match given {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => Cow::Borrowed(text),
        Some(other) => {
            refuse_nul_within("metadata", other)?;
            Cow::Owned(other.to_string())
        }
    };
    refuse_nul("metadata", &text)?;
    limit_bytes("metadata", &text, limits::METADATA_BYTES)?;
    Ok(Some(text.into_owned()))
}

/// Stored metadata as it is shown: its JSON; `null` when there is none or the text is not JSON.
#[must_use]
pub fn metadata_value(stored: Option<&str>) -> Value {
    stored.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null)
}

/// The parts as they are shown: the stored ones, else one text part with the content.
#[must_use]
pub fn shown(stored: Option<Vec<Value>>, content: &str) -> Vec<Value> {
    stored.unwrap_or_else(|| vec![json!({ "type": "text", "content": content })])
}

/// Stored parts text as it is shown; text that is no array counts as none.
#[must_use]
pub fn shown_from_text(stored: Option<&str>, content: &str) -> Vec<Value> {
    shown(stored.and_then(|text| serde_json::from_str(text).ok()), content)
}

/// Makes the content of text and markdown parts a string, for rows written before that was checked. Other parts,
/// `json` ones above all, keep their content.
pub fn normalise_for_events(parts: &mut [Value]) {
    for part in parts.iter_mut().filter(|part| matches!(part_type(part), Some("text" | "markdown"))) {
        let Some(content) = part.get_mut("content") else { continue };
        if is_truthy(content) && !content.is_string() {
            *content = Value::String(readable(content.take()));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(face: MessageTransport, body: Value) -> ApiResult<Composed> {
        let Value::Object(mut fields) = body else { panic!("a body is an object") };
        read(face, &mut fields)?.check_length(limits::DEFAULT_MESSAGE_UNITS)
    }

    fn content_of(face: MessageTransport, body: Value) -> String {
        run(face, body).unwrap().content
    }

    const ALL: [MessageTransport; 5] = [
        MessageTransport::Dm,
        MessageTransport::Thread,
        MessageTransport::SocketSend,
        MessageTransport::SocketDm,
        MessageTransport::SocketThread,
    ];

    #[test]
    fn parts_of_every_kind_pass_with_their_extra_keys() {
        let parts = json!([
            {"type": "text", "content": "a", "x": 1}, {"type": "markdown", "content": ""},
            {"type": "json", "content": {}}, {"type": "json", "content": []},
            {"type": "file", "url": "u", "name": "n", "mime_type": "m", "size": "unchecked"},
            {"type": "image", "url": "u"}, {"type": "link", "url": "u"},
        ]);
        assert_eq!(Value::Array(validate(parts.clone()).unwrap()), parts);
        assert!(validate(json!([])).unwrap().is_empty());
    }

    #[test]
    fn parts_of_the_wrong_shape_are_refused() {
        for (parts, words) in [
            (Value::Null, "parts must be an array, not null"),
            (json!({}), "parts must be an array"),
            (json!([1]), "parts[0] must be an object"),
            (json!([{"type": "text", "content": "a"}, {"type": "video"}]), "parts[1].type"),
            (json!([{"content": "a"}]), "parts[0].type"),
            (json!([{"type": "text"}]), "parts[0].content"),
            (json!([{"type": "markdown", "content": 1}]), "parts[0].content"),
            (json!([{"type": "json", "content": null}]), "parts[0].content"),
            (json!([{"type": "json", "content": "{}"}]), "parts[0].content"),
            (json!([{"type": "file", "url": "u", "name": "n"}]), "parts[0].mime_type"),
            (json!([{"type": "image"}]), "parts[0].url"),
            (json!([{"type": "link", "url": "a\u{0}"}]), "NUL"),
            (json!(vec![json!({"type": "link", "url": "u"}); 51]), "at most 50"),
            (json!([{"type": "text", "content": "a".repeat(262_144)}]), "too large"),
        ] {
            let refusal = validate(parts).unwrap_err();
            assert!(refusal.message().contains(words), "{words}: {}", refusal.message());
        }
    }

    #[test]
    fn content_is_derived_from_the_first_text_else_from_the_kinds() {
        let image = json!({"type": "image", "url": "u"});
        let data = json!({"type": "json", "content": {}});
        let text = json!({"type": "markdown", "content": "hi"});
        assert_eq!(derive_content(&[image.clone(), text, data.clone()]), "hi");
        assert_eq!(derive_content(&[image, data]), "[image, json]");
        assert_eq!(derive_content(&[]), "[]");
        for face in ALL {
            assert_eq!(content_of(face, json!({"parts": []})), "[]");
            assert!(run(face, json!({})).is_err());
            assert!(run(face, json!({"parts": [{"type": "text", "content": ""}]})).is_err());
        }
    }

    #[test]
    fn given_content_wins_and_emptiness_differs_by_operation() {
        let parts = json!([{"type": "text", "content": "derived"}]);
        for face in ALL {
            assert_eq!(content_of(face, json!({"content": "given", "parts": parts})), "given");
            assert_eq!(content_of(face, json!({"content": null, "parts": parts})), "derived");
            let empty = run(face, json!({"content": "", "parts": parts}));
            assert_eq!(empty.is_ok(), face == MessageTransport::SocketSend, "{face:?}");
            assert_eq!(run(face, json!({"content": 7})).is_ok(), face.takes_json());
            assert!(run(face, json!({"content": "a\u{0}"})).is_err());
        }
        assert_eq!(content_of(MessageTransport::SocketSend, json!({"content": "a", "parts": "ignored"})), "a");
        assert!(run(MessageTransport::SocketDm, json!({"content": "a", "parts": null})).is_err());
        assert!(run(MessageTransport::Dm, json!({"content": {"text": "a"}})).is_err());
    }

    #[test]
    fn content_of_a_socket_may_be_any_json() {
        for face in ALL.into_iter().filter(|face| face.takes_json()) {
            for (given, content) in [
                (json!({"text": "a", "b": 1}), "a"),
                (json!({"text": 1, "b": [2.0, -0.0]}), r#"{"text":1,"b":[2,0]}"#),
                (json!({}), "{}"),
                (json!([1e3, 1.5, "x", null]), r#"[1000,1.5,"x",null]"#),
                (json!(42), "42"),
                (json!(true), "true"),
            ] {
                assert_eq!(content_of(face, json!({"content": given})), content, "{face:?}");
            }
            assert!(run(face, json!({"content": {"text": ""}})).is_err());
            assert!(run(face, json!({"content": {"text": "\u{0}"}})).is_err());
            let nothing = run(face, json!({"content": 0, "parts": [{"type": "text", "content": "p"}]})).unwrap();
            assert_eq!(nothing.content, if face == MessageTransport::SocketSend { "p" } else { "0" });
        }
        for face in [MessageTransport::Dm, MessageTransport::Thread] {
            assert!(run(face, json!({"content": {"text": "a"}})).is_err());
            assert!(run(face, json!({"content": ["a"]})).is_err());
        }
    }

    #[test]
    fn content_types_follow_their_operation() {
        let with =
            |face, given: Value| run(face, json!({"content": "a", "content_type": given})).map(|c| c.content_type);
        for face in ALL {
            assert_eq!(with(face, Value::Null).unwrap(), "text");
            assert_eq!(with(face, json!("markdown")).unwrap(), "markdown");
            assert!(with(face, json!("é".repeat(65))).is_err());
        }
        assert_eq!(with(MessageTransport::Dm, json!("")).unwrap(), "text");
        assert_eq!(with(MessageTransport::Dm, json!(0)).unwrap(), "text");
        assert!(with(MessageTransport::Dm, json!(1)).is_err());
        assert_eq!(with(MessageTransport::Thread, json!("")).unwrap(), "");
        assert_eq!(with(MessageTransport::Thread, json!({})).unwrap(), "text");
    }

    #[test]
    fn length_counts_utf16_units() {
        assert!(run(MessageTransport::Dm, json!({"content": "😀".repeat(32_768)})).is_ok());
        assert!(run(MessageTransport::Dm, json!({"content": "😀".repeat(32_769)})).is_err());
    }

    #[test]
    fn metadata_is_stored_as_text_and_shown_as_json() {
        let stored = |value: Value| metadata_text(Some(&value));
        assert_eq!(stored(Value::Null).unwrap(), None);
        assert_eq!(stored(json!({"b": 1, "a": 2})).unwrap().unwrap(), r#"{"b":1,"a":2}"#);
        assert_eq!(stored(json!("plain")).unwrap().unwrap(), "plain");
        assert_eq!(metadata_value(Some("plain")), Value::Null);
        assert_eq!(metadata_value(Some(r#"{"a":1}"#)), json!({"a": 1}));
        assert_eq!(metadata_value(None), Value::Null);
        assert!(stored(json!("a".repeat(16_385))).is_err());
        assert!(stored(json!(["a\u{0}"])).is_err());
    }

    #[test]
    fn parts_are_shown_even_where_none_are_stored() {
        let text = vec![json!({"type": "text", "content": "hi"})];
        assert_eq!(shown(None, "hi"), text);
        assert_eq!(shown_from_text(Some("broken"), "hi"), text);
        assert_eq!(shown_from_text(Some("[]"), "hi"), Vec::<Value>::new());
    }

    #[test]
    fn only_text_parts_are_made_strings() {
        let mut parts = vec![
            json!({"type": "text", "content": {"text": "a"}}),
            json!({"type": "markdown", "content": {"b": 1}}),
            json!({"type": "text", "content": 5}),
            json!({"type": "json", "content": {"text": "a"}}),
            json!({"type": "text", "content": ""}),
        ];
        normalise_for_events(&mut parts);
        let contents: Vec<Value> = parts.into_iter().map(|part| part["content"].clone()).collect();
        assert_eq!(contents, [json!("a"), json!(r#"{"b":1}"#), json!("5"), json!({"text": "a"}), json!("")]);
    }

    proptest! {
        #[test]
        fn text_content_passes_unchanged(content in "[^\\x00]{1,80}") {
            for face in ALL {
                prop_assert_eq!(&run(face, json!({"content": content})).unwrap().content, &content);
            }
        }
    }
}
