//! Prompts that people send: the body of the call, and the content that agents read.

use serde_json::{Map, Value, json};

use crate::rules::faults::Fault;
use crate::rules::fields::Fields;
use crate::rules::limits;
use hxa_domain::limits::fits_json;

/// A prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Prompt {
    /// The text.
    pub text: String,
    /// The client's own id; with one the prompt waits in the queue until the agent takes it.
    pub local_id: Option<String>,
    /// What agents know how to read.
    pub attachments: Option<Value>,
}

impl Prompt {
    /// Reads `{text, localId?, attachments?, scheduledAt?, deliveryMode?}`. There are no scheduled prompts, and every mode of
    /// delivery is the queue.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub fn read(body: Value) -> Result<Self, Fault> {
        if !fits_json(&body, limits::CONTENT_BYTES) {
            let most = limits::CONTENT_BYTES;
            return Err(Fault::new("", format!("Must not be larger than {most} bytes of JSON")));
        }
        let mut fields = Fields::of(body)?;
        let text = match fields.need("text")? {
            Value::String(text) => text,
            other => return Err(crate::rules::fields::wrong_type("text", "string", &other)),
        };
        let local_id = fields.optional_text("localId", limits::LOCAL_ID_UNITS)?;
        let attachments = fields.given("attachments").value();
        let is_list =
            attachments.as_ref().is_none_or(|all| all.as_array().is_some_and(|all| all.iter().all(Value::is_object)));
        if !is_list {
            return Err(Fault::new("attachments", "Expected array of objects"));
        }
        if fields.given("scheduledAt").value().is_some() {
            return Err(Fault::new("scheduledAt", "Scheduled prompts are not available; leave it out or send null"));
        }
        let attachments = attachments.filter(|all| all.as_array().is_some_and(|all| !all.is_empty()));
        if text.is_empty() && attachments.is_none() {
            return Err(Fault::new("text", "Must not be empty without attachments"));
        }
        Ok(Self { text, local_id, attachments })
    }

    /// The content of the message.
    #[must_use]
    pub fn content(self) -> Value {
        let mut content = Map::new();
        content.insert("type".to_owned(), json!("text"));
        content.insert("text".to_owned(), Value::from(self.text));
        if let Some(attachments) = self.attachments {
            content.insert("attachments".to_owned(), attachments);
        }
        json!({ "role": "user", "content": content, "meta": { "sentFrom": "webapp", "deliveryMode": "queue" } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_become_content() {
        let prompt = Prompt::read(json!({"text": "hi", "localId": "l", "scheduledAt": null})).unwrap();
        assert_eq!(prompt.local_id.as_deref(), Some("l"));
        let wanted = json!({
            "role": "user",
            "content": {"type": "text", "text": "hi"},
            "meta": {"sentFrom": "webapp", "deliveryMode": "queue"},
        });
        assert_eq!(prompt.content(), wanted);
        let prompt = Prompt::read(json!({"text": "", "attachments": [{"id": "a"}]})).unwrap();
        assert_eq!(prompt.content()["content"]["attachments"], json!([{"id": "a"}]));
    }

    #[test]
    fn bad_prompts_are_refused() {
        for bad in [
            json!({}),
            json!({"text": 5}),
            json!({"text": ""}),
            json!({"text": "", "attachments": []}),
            json!({"text": "a", "attachments": ["x"]}),
            json!({"text": "a", "localId": 5}),
            json!({"text": "a", "scheduledAt": 5}),
            json!(null),
        ] {
            assert!(Prompt::read(bad.clone()).is_err(), "{bad}");
        }
    }
}
