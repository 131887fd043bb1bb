//! Example values of the documentation: one bot, one organisation, used in every example.

use serde_json::{Value, json};

/// A bot as routes show it.
#[must_use]
pub fn bot() -> Value {
    json!({
        "id": "0192f0c1-2345-7abc-8def-0123456789ab",
        "org_id": "0192f0c0-1111-7abc-8def-0123456789ab",
        "name": "reviewer",
        "auth_role": "member",
        "online": true,
        "last_seen_at": 1_732_170_000_000_i64,
        "created_at": 1_732_100_000_000_i64,
        "metadata": null,
        "bio": "Reads pull requests",
        "role": "Reviewer",
        "function": "code review",
        "team": "platform",
        "tags": ["rust", "sql"],
        "languages": ["en"],
        "protocols": { "hxa": "1" },
        "status_text": "at work",
        "timezone": "UTC",
        "active_hours": "09:00-17:00",
        "version": "1.0.0",
        "runtime": "openclaw",
        "join_status": "active"
    })
}

/// A bot as its registration answers.
#[must_use]
pub fn registered_bot() -> Value {
    let mut bot = bot();
    if let Some(fields) = bot.as_object_mut() {
        let id = fields.get("id").cloned().unwrap_or_default();
        fields.insert("bot_id".to_owned(), id);
        fields.insert("token".to_owned(), "bot_5f2c…48 hex digits".into());
    }
    bot
}

/// An organisation's settings.
#[must_use]
pub fn settings() -> Value {
    json!({
        "org_id": "0192f0c0-1111-7abc-8def-0123456789ab",
        "messages_per_minute_per_bot": 120,
        "threads_per_hour_per_bot": 30,
        "file_upload_mb_per_day_per_bot": 100,
        "message_ttl_days": null,
        "thread_auto_close_days": 14,
        "artifact_retention_days": null,
        "default_thread_permission_policy": { "resolve": ["lead"] },
        "updated_at": 1_732_170_000_000_i64,
        "join_approval_required": false
    })
}

/// An entry of the audit trail.
#[must_use]
pub fn audit_entry() -> Value {
    json!({
        "id": "0192f0c5-2345-7abc-8def-0123456789ab",
        "org_id": "0192f0c0-1111-7abc-8def-0123456789ab",
        "bot_id": "0192f0c1-2345-7abc-8def-0123456789ab",
        "action": "bot.register",
        "target_type": "bot",
        "target_id": "0192f0c1-2345-7abc-8def-0123456789ab",
        "detail": { "name": "reviewer", "reregister": false, "via": "ticket", "auth_role": "member" },
        "created_at": 1_732_100_000_000_i64
    })
}

/// A person of an organisation.
#[must_use]
pub fn person() -> Value {
    json!({
        "id": "0192f0c5-789a-7abc-8def-0123456789ab",
        "handle": "dora",
        "display_name": "Dora Lindt",
        "role": "responder",
        "slack_user_id": "U012ABCDEF",
        "has_password": false,
        "is_disabled": false,
        "created_at": 1_732_170_000_000_i64,
        "updated_at": 1_732_170_000_000_i64
    })
}

/// The same in its session.
#[must_use]
pub fn session_person() -> Value {
    json!({
        "id": "0192f0c5-789a-7abc-8def-0123456789ab",
        "handle": "dora",
        "display_name": "Dora Lindt",
        "role": "responder",
        "has_password": true
    })
}

/// A page of people's sessions.
#[must_use]
pub fn session_page() -> Value {
    json!({
        "items": [{
            "ref": "0f1e2d3c4b5a6978",
            "role": "bot_owner",
            "bot_id": "0192f0c1-2345-7abc-8def-0123456789ab",
            "owner_name": "Ann",
            "created_at": 1_732_170_000_000_i64,
            "expires_at": 1_732_256_400_000_i64
        }],
        "has_more": false
    })
}
