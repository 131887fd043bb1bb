//! Messages as requests ask for them: direct, into a channel, into a thread.
//!
//! By REST content is a text; on a socket it may be any JSON, whose readable side is taken. What else differs between
//! the operations is in [`crate::parts`].

use serde_json::Value;

use crate::draft::Draft;
use crate::error::{ApiError, ApiResult};
use crate::form::{self, AnySchema, Form};
use crate::limits;
use crate::parts::{self, Composed, MessageTransport, metadata_text};
use crate::provenance::{self, Author};
use crate::text::Fields;

/// A direct message to a bot.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectMessageDraft {
    /// The bot's id or name.
    pub to: String,
    /// What is said.
    pub composed: Composed,
}

impl Draft for DirectMessageDraft {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        // REST checks the message's form before the target, a socket the other way round.
        let composed = parts::read(MessageTransport::Dm, body)?;
        Ok(Self { to: receiver(body)?, composed })
    }

    fn read_frame(frame: &mut Fields) -> ApiResult<Self> {
        let to = receiver(frame)?;
        Ok(Self { to, composed: parts::read(MessageTransport::SocketDm, frame)? })
    }

    fn form() -> Form {
        receiver_form("A direct message.").and(content_form(form::nullable(form::text())))
    }

    fn frame_form() -> Form {
        receiver_form("A direct message.").and(content_form(form::any()))
    }

    fn refers_to() -> Vec<(String, AnySchema)> {
        form::entries_of::<parts::MessagePart>()
    }
}

/// A message into a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelMessageDraft(pub Composed);

impl Draft for ChannelMessageDraft {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        parts::read(MessageTransport::Dm, body).map(Self)
    }

    fn read_frame(frame: &mut Fields) -> ApiResult<Self> {
        parts::read(MessageTransport::SocketSend, frame).map(Self)
    }

    fn form() -> Form {
        Form::new("A message into a channel.").and(content_form(form::nullable(form::text())))
    }

    fn frame_form() -> Form {
        Form::new("A message into a channel.").and(content_form(form::any()))
    }

    fn refers_to() -> Vec<(String, AnySchema)> {
        form::entries_of::<parts::MessagePart>()
    }
}

/// A message into a thread.
#[derive(Debug, Clone)]
pub struct ThreadMessageDraft {
    /// The message replied to, as given.
    pub reply_to: Option<String>,
    /// What is said, or why it cannot be said; a reply to nothing is refused before that.
    pub said: ApiResult<Said>,
}

/// What a message into a thread says.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    composed: Composed,
    /// Free JSON. It becomes text once it is known who speaks.
    metadata: Option<Value>,
}

impl Said {
    fn read(face: MessageTransport, body: &mut Fields) -> ApiResult<Self> {
        let metadata = body.remove("metadata");
        // The limit holds for what the client sent, before the hub adds its own word.
        metadata_text(metadata.as_ref())?;
        Ok(Self { composed: parts::read(face, body)?, metadata })
    }

    /// The message and its metadata as they are stored. People's messages say who wrote them; nobody else's may claim so.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` when the metadata is too large with what the hub adds.
    pub fn by(self, author: Author<'_>) -> ApiResult<(Composed, Option<String>)> {
        let metadata = match author {
            Author::Human { owner_name } => Some(provenance::set_human(self.metadata, owner_name)),
            Author::Bot => self.metadata.map(provenance::strip_forged),
        };
        Ok((self.composed, metadata_text(metadata.as_ref())?))
    }
}

impl ThreadMessageDraft {
    fn read_by(face: MessageTransport, body: &mut Fields) -> ApiResult<Self> {
        let reply_to = match body.remove("reply_to") {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) => Some(id),
            Some(_) => return Err(ApiError::validation("reply_to must be a message id")),
        };
        Ok(Self { reply_to, said: Said::read(face, body) })
    }

    fn form_of(content: AnySchema) -> Form {
        Form::new("A message into a thread.")
            .and(content_form(content))
            .takes("metadata", form::any(), "Free data of at most 16384 bytes of JSON.")
            .takes("reply_to", form::nullable(form::text()), "The message of the thread that it replies to.")
    }
}

impl Draft for ThreadMessageDraft {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        Self::read_by(MessageTransport::Thread, body)
    }

    fn read_frame(frame: &mut Fields) -> ApiResult<Self> {
        Self::read_by(MessageTransport::SocketThread, frame)
    }

    fn form() -> Form {
        Self::form_of(form::nullable(form::text()))
    }

    fn frame_form() -> Form {
        Self::form_of(form::any())
    }

    fn refers_to() -> Vec<(String, AnySchema)> {
        form::entries_of::<parts::MessagePart>()
    }
}

schemas_of_drafts!(DirectMessageDraft, ChannelMessageDraft, ThreadMessageDraft);

fn receiver(body: &mut Fields) -> ApiResult<String> {
    match body.remove("to") {
        Some(Value::String(to)) if !to.is_empty() => Ok(to),
        _ => Err(ApiError::validation("to must be a bot's id or name")),
    }
}

fn receiver_form(about: &'static str) -> Form {
    Form::new(about).needs("to", form::text().min_length(Some(1)), "The bot's id or exact name.")
}

/// What all messages hold. How long the content may be is configured.
fn content_form(content: AnySchema) -> Form {
    let kind = form::nullable(form::short(limits::CONTENT_TYPE_BYTES));
    Form::default()
        .takes("content", content, "What people read; derived from `parts` if absent.")
        .takes("content_type", kind, "A free label; `text` if absent.")
        .takes("parts", parts::schema(), "What the message holds; required without `content`.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(body: Value) -> Fields {
        body.as_object().unwrap().clone()
    }

    #[test]
    fn direct_messages_check_in_the_order_of_their_door() {
        let bad = json!({"to": 1, "content": "a", "parts": 1});
        assert!(DirectMessageDraft::read(&mut fields(bad.clone())).unwrap_err().message().contains("parts"));
        assert!(DirectMessageDraft::read_frame(&mut fields(bad)).unwrap_err().message().contains("to must"));
        let draft = DirectMessageDraft::read(&mut fields(json!({"to": "bob", "content": "a"}))).unwrap();
        assert_eq!((draft.to.as_str(), draft.composed.content.as_str()), ("bob", "a"));
        assert!(DirectMessageDraft::read(&mut fields(json!({"to": "", "content": "a"}))).is_err());
    }

    #[test]
    fn parts_travel_as_text() {
        let body = json!({"parts": [{"type": "link", "url": "u", "b": 1, "a": 2}]});
        let ChannelMessageDraft(composed) = ChannelMessageDraft::read(&mut fields(body)).unwrap();
        assert_eq!(composed.parts.as_deref(), Some(r#"[{"type":"link","url":"u","b":1,"a":2}]"#));
    }

    #[test]
    fn a_reply_is_looked_at_before_the_message() {
        let read = |body: Value| ThreadMessageDraft::read(&mut fields(body));
        assert!(read(json!({"reply_to": 1, "metadata": "a\u{0}"})).unwrap_err().message().contains("reply_to"));
        let draft = read(json!({"reply_to": "m", "metadata": "\u{0}", "content": 1})).unwrap();
        assert_eq!(draft.reply_to.as_deref(), Some("m"));
        assert!(draft.said.unwrap_err().message().contains("metadata"), "metadata comes before content");
        assert_eq!(read(json!({"reply_to": null, "content": "a"})).unwrap().reply_to, None);
    }

    #[test]
    fn authors_are_named_by_the_hub_alone() {
        let said = |metadata: Value| {
            let body = json!({"content": "a", "metadata": metadata});
            ThreadMessageDraft::read(&mut fields(body)).unwrap().said.unwrap()
        };
        let (_, forged) = said(json!({"provenance": 1, "a": 2})).by(Author::Bot).unwrap();
        assert_eq!(forged.as_deref(), Some(r#"{"a":2}"#));
        assert_eq!(said(json!(7)).by(Author::Bot).unwrap().1.as_deref(), Some("7"));
        assert_eq!(said(Value::Null).by(Author::Bot).unwrap().1, None);
        let human = Author::Human { owner_name: Some("Ann") };
        assert!(said(json!("text")).by(human).unwrap().1.unwrap().starts_with(r#"{"provenance""#));
        let large = "a".repeat(limits::METADATA_BYTES - 20);
        assert!(said(json!({ "a": large })).by(human).is_err(), "the hub's word counts too");
    }

    #[test]
    fn sockets_take_any_content() {
        let body = json!({"content": {"text": "a"}});
        assert!(ThreadMessageDraft::read(&mut fields(body.clone())).unwrap().said.is_err());
        let said = ThreadMessageDraft::read_frame(&mut fields(body)).unwrap().said.unwrap();
        assert_eq!(said.composed.content, "a");
    }
}
