//! Opening a channel between two bots, as old clients do.

use serde_json::Value;

use crate::draft::Draft;
use crate::error::{ApiError, ApiResult};
use crate::form::{self, Form};
use crate::text::{Fields, wrong_type};

/// What `members` must be.
const WANTED: &str = "two ids or names of bots";

/// A channel to open.
#[derive(Debug, Clone)]
pub struct ChannelDraft {
    /// Ids or names; each is refused when it is looked up.
    pub members: [ApiResult<String>; 2],
}

impl Draft for ChannelDraft {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        match body.get("type").and_then(Value::as_str) {
            Some("direct") => {}
            Some("group") => {
                return Err(ApiError::validation("There are no group channels any more; start a thread instead"));
            }
            _ => return Err(ApiError::validation("type must be direct")),
        }
        let given = body.get("members").unwrap_or(&Value::Null);
        let names = given.as_array().ok_or_else(|| wrong_type("members", WANTED, given))?;
        let [one, other] = names.as_slice() else {
            return Err(ApiError::validation(format!("members must be {WANTED}")));
        };
        let name = |value: &Value| match value {
            Value::String(name) => Ok(name.clone()),
            other => Err(wrong_type("members", WANTED, other)),
        };
        Ok(Self { members: [name(one), name(other)] })
    }

    fn form() -> Form {
        let members = form::list(form::text(), 2).min_items(Some(2));
        Form::new("A channel of two bots.").needs("type", form::word("direct"), "Channels are pairs.").needs(
            "members",
            members,
            "Their ids or names.",
        )
    }
}

schemas_of_drafts!(ChannelDraft);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn channels_are_pairs() {
        let read = |body: Value| ChannelDraft::read(&mut body.as_object().unwrap().clone());
        let [one, other] = read(json!({"type": "direct", "members": ["ada", 1]})).unwrap().members;
        assert_eq!(one.unwrap(), "ada");
        assert!(other.unwrap_err().message().contains("not a number"));
        for (body, words) in [
            (json!({"members": []}), "type must be direct"),
            (json!({"type": "group"}), "no group channels"),
            (json!({"type": "direct"}), "members must be two ids or names of bots, not null"),
            (json!({"type": "direct", "members": ["ada"]}), "two ids"),
        ] {
            assert!(read(body).unwrap_err().message().contains(words), "{words}");
        }
    }
}
