//! What somebody clicked in Slack, read from the body of a request: a form whose field `payload` is JSON.
//!
//! The body must have been found genuine first ([`signature`](crate::signature)); it is still read as if by a stranger:
//! its size and its texts are bounded, and whatever is not as Slack documents it is an [`Unreadable`], never a panic.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use url::form_urlencoded;

use crate::text::{ID, VALUE};

/// Longest body. Slack sends the clicked message along, percent-encoded: nine bytes for a character of Chinese.
pub const MOST_BYTES: usize = 256 * 1024;
/// Actions of one request; Slack sends one for a click on a button.
pub const MOST_ACTIONS: usize = 25;
/// Longest id of Slack, and longest name of a user, in characters; Slack's are shorter.
const NAME: usize = 80;
/// Longest address.
const ADDRESS: usize = 2000;

/// Why a body is not an interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is longer than [`MOST_BYTES`].
    #[error("the body is too large")]
    TooLarge,
    /// The form has no field `payload`, or several.
    #[error("the form must have one field `payload`")]
    Form,
    /// The payload is not a JSON object with a type.
    #[error("`payload` must be a JSON object with a `type`")]
    Payload,
    /// A part of the payload is missing, or has another type or length.
    #[error("`payload` does not have the form of block actions")]
    Shape,
    /// There is no user, or one without an id.
    #[error("`payload` names no user")]
    User,
    /// There are more actions than [`MOST_ACTIONS`].
    #[error("`payload` has too many actions")]
    Actions,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interaction {
    /// Somebody used elements of a message.
    BlockActions(BlockActions),
    /// Something else, such as a shortcut, or a use of no element: nothing to do.
    Other,
}

/// A use of elements of a message.
#[derive(Clone, PartialEq, Eq)]
pub struct BlockActions {
    /// Who did it.
    pub user: User,
    /// What was used, at least one element and usually only one.
    pub actions: Vec<Action>,
    /// The conversation of the message.
    pub channel: Option<String>,
    /// The message.
    pub message_ts: Option<String>,
    /// Where an answer may be sent for half an hour. The address itself is a secret.
    pub response_url: Option<String>,
}

/// Addresses of answers stay out of logs.
impl fmt::Debug for BlockActions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockActions")
            .field("user", &self.user)
            .field("actions", &self.actions)
            .field("channel", &self.channel)
            .field("message_ts", &self.message_ts)
            .field("response_url", &self.response_url.as_ref().map(|_| "***"))
            .finish()
    }
}

/// Somebody in Slack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The id, such as `U012AB3CD`. Unique within the workspace, and all that identifies a user.
    pub id: String,
    /// The name at that moment, if it is usable. Users can change theirs.
    pub name: Option<String>,
    /// The workspace.
    pub team: Option<String>,
}

/// The use of one element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// What the element does.
    pub action_id: String,
    /// The block that it is in.
    pub block_id: Option<String>,
    /// What a button carries.
    pub value: Option<String>,
}

/// Reads the body of a request.
///
/// # Errors
/// Why it is no interaction.
pub fn parse(body: &[u8]) -> Result<Interaction, Unreadable> {
    if body.len() > MOST_BYTES {
        return Err(Unreadable::TooLarge);
    }
    let mut payloads = form_urlencoded::parse(body).filter(|(name, _)| name == "payload").map(|(_, value)| value);
    let (Some(payload), None) = (payloads.next(), payloads.next()) else { return Err(Unreadable::Form) };
    let Object(kind): Object<Kind> = serde_json::from_str(&payload).map_err(|_| Unreadable::Payload)?;
    if kind.kind != "block_actions" {
        return Ok(Interaction::Other);
    }
    let Object(raw): Object<RawActions> = serde_json::from_str(&payload).map_err(|_| Unreadable::Shape)?;
    raw.check()
}

/// What every interaction has.
#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct RawActions {
    user: Option<Object<RawUser>>,
    actions: Option<Vec<Object<RawAction>>>,
    channel: Option<Object<RawId>>,
    container: Option<Object<RawContainer>>,
    message: Option<Object<RawMessage>>,
    response_url: Option<String>,
}

#[derive(Deserialize)]
struct RawUser {
    id: Option<String>,
    name: Option<String>,
    username: Option<String>,
    team_id: Option<String>,
}

#[derive(Deserialize)]
struct RawAction {
    action_id: String,
    block_id: Option<String>,
    value: Option<String>,
}

#[derive(Deserialize)]
struct RawId {
    id: String,
}

#[derive(Deserialize)]
struct RawContainer {
    message_ts: Option<String>,
}

#[derive(Deserialize)]
struct RawMessage {
    ts: Option<String>,
}

impl RawActions {
    fn check(self) -> Result<Interaction, Unreadable> {
        let user = self.user.and_then(|Object(user)| user.check()).ok_or(Unreadable::User)?;
        let actions = self.actions.unwrap_or_default();
        if actions.is_empty() {
            return Ok(Interaction::Other);
        }
        if actions.len() > MOST_ACTIONS {
            return Err(Unreadable::Actions);
        }
        let actions = actions.into_iter().map(|Object(action)| action.check()).collect::<Option<Vec<_>>>();
        let in_container = self.container.and_then(|Object(container)| container.message_ts);
        let ts = in_container.or_else(|| self.message.and_then(|Object(message)| message.ts));
        Ok(Interaction::BlockActions(BlockActions {
            user,
            actions: actions.ok_or(Unreadable::Shape)?,
            channel: self.channel.map(|Object(channel)| channel.id).filter(|id| is_id(id)),
            message_ts: ts.filter(|ts| is_id(ts)),
            response_url: self.response_url.filter(|url| is_within(url, ADDRESS)),
        }))
    }
}

impl RawUser {
    fn check(self) -> Option<User> {
        let id = self.id.filter(|id| is_id(id))?;
        let name = self.name.into_iter().chain(self.username).find(|name| is_name(name));
        Some(User { id, name, team: self.team_id.filter(|team| is_id(team)) })
    }
}

impl RawAction {
    fn check(self) -> Option<Action> {
        let is_good = is_within(&self.action_id, ID)
            && self.block_id.as_ref().is_none_or(|id| is_within(id, ID))
            && self.value.as_ref().is_none_or(|value| is_within(value, VALUE));
        is_good.then_some(Action { action_id: self.action_id, block_id: self.block_id, value: self.value })
    }
}

fn is_within(text: &str, most: usize) -> bool {
    text.chars().count() <= most && !text.contains('\0')
}

/// Ids of Slack, and times of messages, are letters, digits and a few signs.
fn is_id(text: &str) -> bool {
    (1..=NAME).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && is_within(text, NAME) && !text.chars().any(char::is_control)
}

/// What must be a JSON object; a list of its fields in order would be taken as well otherwise.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
    }
}

#[cfg(test)]
mod tests;
