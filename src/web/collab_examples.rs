//! Example objects of collaboration for the OpenAPI document: real responses of a hub.

use serde_json::{Value, json};

/// A bot's id.
pub const ADA: &str = "0199c82c-c000-7254-85f0-35c117a6cc64";
/// Another bot's id.
pub const BOB: &str = "0199c82c-c000-7254-85f0-35c2420ffaa0";
/// A channel's id.
pub const CHANNEL: &str = "0199c830-1f40-7254-85f0-35c4737e02d7";
/// A thread's id.
pub const THREAD: &str = "0199c831-06a0-7254-85f0-35cfdc058ee3";
/// A message's id.
pub const MESSAGE: &str = "0199c831-2db0-7254-85f0-35d0c3a51b7e";
/// A join request.
pub const JOIN_REQUEST: &str = "0199c833-5b10-7254-85f0-35d5a1c4e211";
/// An organisation.
pub const ORG: &str = "0199c82c-8c00-7254-85f0-35b00d3c9f11";
const AT: i64 = 1_760_000_283_000;

/// A direct message.
#[must_use]
pub fn channel_message() -> Value {
    json!({
        "id": MESSAGE, "channel_id": CHANNEL, "sender_id": ADA, "content": "Is the build green?",
        "content_type": "text", "parts": [{ "type": "text", "content": "Is the build green?" }], "created_at": AT,
    })
}

/// A direct message in a list.
#[must_use]
pub fn named_channel_message() -> Value {
    with(channel_message(), json!({ "sender_name": "ada" }))
}

/// A message in the inbox.
#[must_use]
pub fn inbox_item() -> Value {
    with(named_channel_message(), json!({ "channel_name": null }))
}

/// A channel.
#[must_use]
pub fn channel() -> Value {
    json!({ "id": CHANNEL, "org_id": ORG, "type": "direct", "name": null, "created_at": AT })
}

/// Members of a channel.
#[must_use]
pub fn members() -> Value {
    json!([{ "id": ADA, "name": "ada", "online": true }, { "id": BOB, "name": "bob", "online": false }])
}

/// A thread.
#[must_use]
pub fn thread() -> Value {
    json!({
        "id": THREAD, "org_id": ORG, "topic": "Release 1.4", "tags": ["release"], "status": "active",
        "initiator_id": ADA, "channel_id": null, "context": "{\"branch\":\"main\"}", "close_reason": null,
        "permission_policy": "{\"close\":[\"initiator\"]}", "visibility": "public", "join_policy": "open",
        "revision": 1, "created_at": AT, "updated_at": AT, "last_activity_at": AT, "resolved_at": null,
    })
}

/// A thread with its participants.
#[must_use]
pub fn thread_with_participants() -> Value {
    with(thread(), json!({ "participant_count": 2, "participants": participants() }))
}

/// Participants of a thread.
#[must_use]
pub fn participants() -> Value {
    json!([
        { "bot_id": ADA, "name": "ada", "online": true, "label": null, "joined_at": AT },
        { "bot_id": BOB, "name": "bob", "online": false, "label": "reviewer", "joined_at": AT },
    ])
}

/// A thread in a list.
#[must_use]
pub fn listed_thread() -> Value {
    with(thread(), json!({ "participant_count": 2 }))
}

/// A thread in the admin's list.
#[must_use]
pub fn org_thread() -> Value {
    with(listed_thread(), json!({ "participants": participants() }))
}

/// A participant's row.
#[must_use]
pub fn participant() -> Value {
    json!({ "thread_id": THREAD, "bot_id": BOB, "label": "reviewer", "joined_at": AT })
}

/// A message in a thread.
#[must_use]
pub fn thread_message() -> Value {
    json!({
        "id": MESSAGE, "thread_id": THREAD, "sender_id": ADA, "content": "@bob please review",
        "content_type": "text", "parts": [{ "type": "text", "content": "@bob please review" }], "reply_to_id": null,
        "created_at": AT, "mentions": [{ "bot_id": BOB, "name": "bob" }], "mention_all": false, "metadata": null,
        "sender_name": "ada",
    })
}

/// A request to join a thread.
#[must_use]
pub fn join_request() -> Value {
    json!({
        "id": JOIN_REQUEST, "thread_id": THREAD, "bot_id": BOB, "status": "pending",
        "requested_at": AT, "resolved_at": null, "resolved_by": null, "bot_name": "bob",
    })
}

/// A version of an artifact.
#[must_use]
pub fn artifact() -> Value {
    json!({
        "id": "0199c832-9cb8-7254-85f0-35d1f2c0a9d4", "thread_id": THREAD, "artifact_key": "release-notes.md",
        "type": "markdown", "title": "Release notes", "content": "# 1.4", "language": null, "url": null,
        "mime_type": null, "contributor_id": ADA, "version": 1, "format_warning": false, "created_at": AT,
        "updated_at": AT,
    })
}

/// Events a bot missed.
#[must_use]
pub fn catchup_events() -> Value {
    json!([
        {
            "event_id": "0199c831-06a0-7254-85f0-35d2c8a0b1f3", "occurred_at": AT, "type": "thread_invited",
            "thread_id": THREAD, "topic": "Release 1.4", "inviter": ADA,
        },
        {
            "event_id": "0199c831-2db0-8e16-b4a9-40c1d7f3a552", "occurred_at": AT + 10_000,
            "type": "thread_message_summary", "thread_id": THREAD, "topic": "Release 1.4", "count": 3,
            "last_at": AT + 10_000,
        },
    ])
}

/// A page of anything.
#[must_use]
pub fn page(item: Value) -> Value {
    json!({ "items": [item], "has_more": true, "next_cursor": "eyJ0IjoxNzYwMDAwMjgzMDAwLCJpZCI6IjAxOTljODMxIn0" })
}

fn with(mut object: Value, more: Value) -> Value {
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}
