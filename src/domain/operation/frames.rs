//! What frames say besides what a REST body of the same operation says: whom and what they are about, which there stands
//! in the path or in a header, and what only sockets can do.

use serde_json::Value;

use crate::artifact::{key, key_schema};
use crate::draft::Draft;
use crate::error::{ApiError, ApiResult};
use crate::form::{self, Form};
use crate::ids::{ChannelId, ThreadId};
use crate::query::integer;
use crate::text::{Fields, required};

/// The thread that a frame is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadTarget {
    /// Its id.
    pub id: ThreadId,
    /// The id as it was given, for the answer.
    pub given: String,
}

impl Draft for ThreadTarget {
    fn read(frame: &mut Fields) -> ApiResult<Self> {
        let given = required("thread_id", frame.get("thread_id"))?;
        let id = ThreadId::parse(given).ok_or_else(|| ApiError::not_found("Thread"))?;
        Ok(Self { id, given: given.to_owned() })
    }

    fn form() -> Form {
        Form::default().needs("thread_id", form::id(), "The thread.")
    }
}

/// The channel that a frame is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelTarget(pub ChannelId);

impl Draft for ChannelTarget {
    fn read(frame: &mut Fields) -> ApiResult<Self> {
        let id = frame.get("channel_id").and_then(Value::as_str).and_then(ChannelId::parse);
        id.map(Self).ok_or_else(|| ApiError::forbidden("Not a member of this channel"))
    }

    fn form() -> Form {
        Form::default().needs("channel_id", form::id(), "The channel.")
    }
}

/// The bot that a frame is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BotTarget(pub String);

impl Draft for BotTarget {
    fn read(frame: &mut Fields) -> ApiResult<Self> {
        required("bot_id", frame.get("bot_id")).map(|bot| Self(bot.to_owned()))
    }

    fn form() -> Form {
        Form::default().needs("bot_id", form::text().min_length(Some(1)), "The bot's id or name.")
    }
}

/// The artifact that a frame is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactTarget(pub String);

impl Draft for ArtifactTarget {
    fn read(frame: &mut Fields) -> ApiResult<Self> {
        key(frame.get("artifact_key")).map(|key| Self(key.to_owned()))
    }

    fn form() -> Form {
        Form::default().needs("artifact_key", key_schema(), "The artifact's name within the thread.")
    }
}

/// The revision that a change is based on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedRevision(pub Option<i64>);

impl Draft for ExpectedRevision {
    fn read(frame: &mut Fields) -> ApiResult<Self> {
        let Some(given) = frame.get("expected_revision").filter(|value| !value.is_null()) else {
            return Ok(Self(None));
        };
        let revision = integer(given).filter(|revision| *revision >= 1);
        let refusal = || ApiError::validation("expected_revision must be an integer of at least 1");
        revision.map(|revision| Self(Some(revision))).ok_or_else(refusal)
    }

    fn form() -> Form {
        let revision = form::nullable(form::whole(1, i64::MAX));
        Form::default().takes("expected_revision", revision, "The revision that the change is based on.")
    }
}

/// What an admin's socket wants to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// A channel.
    pub channel_id: Option<String>,
    /// A thread.
    pub thread_id: Option<String>,
}

impl Draft for Topics {
    fn read(frame: &mut Fields) -> ApiResult<Self> {
        let mut topic = |field: &str| match frame.remove(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(id)) => Ok(Some(id)),
            Some(_) => Err(ApiError::validation(format!("{field} must be text"))),
        };
        Ok(Self { channel_id: topic("channel_id")?, thread_id: topic("thread_id")? })
    }

    fn form() -> Form {
        Form::default().takes("channel_id", form::nullable(form::text()), "A channel.").takes(
            "thread_id",
            form::nullable(form::text()),
            "A thread.",
        )
    }
}

/// Where a client left off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeFrom {
    /// The epoch of the last event that it has.
    pub epoch: String,
    /// The number of that event.
    pub since_seq: u64,
}

impl Draft for ResumeFrom {
    fn read(frame: &mut Fields) -> ApiResult<Self> {
        let epoch = frame.get("epoch").and_then(Value::as_str);
        let since = frame.get("since_seq").and_then(Value::as_u64);
        match (epoch, since) {
            (Some(epoch), Some(since_seq)) => Ok(Self { epoch: epoch.to_owned(), since_seq }),
            _ => Err(ApiError::validation("resume needs `epoch` (text) and `since_seq` (a number)")),
        }
    }

    fn form() -> Form {
        Form::default().needs("epoch", form::text(), "The epoch of the last event that the client has.").needs(
            "since_seq",
            form::whole(0, i64::MAX),
            "The number of that event.",
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read<T: Draft>(frame: Value) -> ApiResult<T> {
        T::read_frame(&mut frame.as_object().unwrap().clone())
    }

    #[test]
    fn targets_are_named() {
        let id = ThreadId::random().to_string();
        assert_eq!(read::<ThreadTarget>(json!({ "thread_id": id })).unwrap().given, id);
        assert_eq!(read::<ThreadTarget>(json!({"thread_id": "x"})).unwrap_err().status(), 404);
        assert_eq!(read::<ThreadTarget>(json!({})).unwrap_err().status(), 400);
        assert_eq!(read::<ChannelTarget>(json!({"channel_id": 1})).unwrap_err().status(), 403);
        assert_eq!(read::<BotTarget>(json!({"bot_id": ""})).unwrap_err().status(), 400);
        assert_eq!(read::<ArtifactTarget>(json!({"artifact_key": "a b"})).unwrap_err().status(), 400);
    }

    #[test]
    fn revisions_count_from_one() {
        assert_eq!(read::<ExpectedRevision>(json!({"expected_revision": 2.0})).unwrap(), ExpectedRevision(Some(2)));
        assert_eq!(read::<ExpectedRevision>(json!({"expected_revision": null})).unwrap(), ExpectedRevision(None));
        for bad in [json!(0), json!("1"), json!(1.5)] {
            assert!(read::<ExpectedRevision>(json!({ "expected_revision": bad })).is_err());
        }
    }

    #[test]
    fn only_sockets_subscribe_and_resume() {
        let topics: Topics = read(json!({"channel_id": null, "thread_id": "any"})).unwrap();
        assert_eq!(topics, Topics { channel_id: None, thread_id: Some("any".into()) });
        assert_eq!(read::<Topics>(json!({"thread_id": 1})).unwrap_err().message(), "thread_id must be text");
        assert_eq!(read::<ResumeFrom>(json!({"epoch": "e", "since_seq": 0})).unwrap().since_seq, 0);
        for bad in [json!({"epoch": "e"}), json!({"epoch": "e", "since_seq": -1}), json!({"since_seq": 1})] {
            assert!(read::<ResumeFrom>(bad).is_err());
        }
    }
}
