//! That the readers and the schemas of bodies and frames know the same fields.
//!
//! A field is known to a reader when what it holds makes a difference. Fields that no schema names are looked for among all
//! words of this crate's sources.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;

use serde_json::{Value, json};
use utoipa::PartialSchema;

use super::Draft;
use crate::artifact::{ArtifactDraft, ArtifactUpdate};
use crate::channel::ChannelDraft;
use crate::error::ApiResult;
use crate::grants::{InviteRequest, RotationRequest, TicketRequest, TokenRequest};
use crate::keys::KeyRequest;
use crate::login::{LoginRequest, OldLoginRequest};
use crate::message::{ChannelMessageDraft, DirectMessageDraft, ThreadMessageDraft};
use crate::operation::{ArtifactTarget, BotTarget, ChannelTarget, ExpectedRevision, ResumeFrom, ThreadTarget, Topics};
use crate::orgs::{JoinDecision, OrgDraft, OrgFounding, OrgPatch, RoleChange};
use crate::people::{LinkRequest, PasswordChange, PersonDraft, PersonPatch};
use crate::profile::{MetadataChange, ProfilePatch, RegisterRequest, Renaming};
use crate::settings::SettingsPatch;
use crate::text::Fields;
use crate::thread::{Invitation, Labelling, OrgInvitation, OrgThreadPatch, ThreadDraft, ThreadPatch};
use crate::webhook::{Rotation, WebhookPatch};

type Names = BTreeSet<String>;

/// What a field is given to see whether it matters.
fn values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(1.5),
        json!(""),
        json!("x"),
        json!("\u{0}"),
        json!([]),
        json!(["\u{0}"]),
        json!({}),
    ]
}

/// All words in quotes in the sources of this crate.
fn words() -> Names {
    fn collect(folder: &Path, words: &mut Names) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, words);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let quoted = text.split('"').filter(|word| !word.is_empty());
                let is_word = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                words.extend(quoted.filter(is_word).map(str::to_owned));
            }
        }
    }
    let mut words = Names::new();
    collect(Path::new(env!("CARGO_MANIFEST_DIR")), &mut words);
    assert!(words.contains("expected_revision"), "{words:?}");
    words
}

/// A reader under test, with bodies that have all its fields between them.
struct Case<'a, T> {
    read: fn(&mut Fields) -> ApiResult<T>,
    known: Names,
    bodies: &'a [Value],
}

impl<T: Debug> Case<'_, T> {
    fn outcome(&self, mut fields: Fields) -> String {
        format!("{:?}", (self.read)(&mut fields))
    }

    fn check(&self, words: &Names) {
        let about = std::any::type_name::<T>();
        for body in self.bodies {
            let read = (self.read)(&mut fields(body));
            assert!(read.is_ok(), "{about} refuses {body}: {read:?}");
            for value in values() {
                let mut strange = fields(body);
                strange.extend(words.difference(&self.known).map(|word| (word.clone(), value.clone())));
                let (with, without) = (self.outcome(strange), self.outcome(fields(body)));
                assert_eq!(with, without, "{about} reads a field that its schema does not have, of value {value}");
            }
        }
        for name in &self.known {
            assert!(self.bodies.iter().any(|body| self.matters(body, name)), "{about} does not read {name}");
        }
    }

    fn matters(&self, body: &Value, name: &str) -> bool {
        let before = self.outcome(fields(body));
        let mut without = fields(body);
        without.shift_remove(name);
        let with = |value: Value| {
            let mut changed = fields(body);
            changed.insert(name.to_owned(), value);
            changed
        };
        let changes = values().into_iter().map(with).chain([without]);
        changes.map(|changed| self.outcome(changed)).any(|after| after != before)
    }
}

fn fields(body: &Value) -> Fields {
    body.as_object().unwrap().clone()
}

/// The names of all properties of a schema, whichever of several it is.
fn properties(schema: &Value) -> Names {
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    let others = schema["oneOf"].as_array().into_iter().flatten().flat_map(properties);
    own.chain(others).collect()
}

fn body<T: Draft + PartialSchema + Debug>(words: &Names, bodies: &[Value]) {
    let known = properties(&serde_json::to_value(T::schema()).unwrap());
    Case { read: T::read, known, bodies }.check(words);
}

fn frame<T: Draft + Debug>(words: &Names, body: Value) {
    let known = T::frame_form().names().map(str::to_owned).collect();
    Case { read: T::read_frame, known, bodies: &[body] }.check(words);
}

fn message() -> Value {
    json!({
        "to": "bob", "content": "c", "content_type": "text", "parts": [{"type": "text", "content": "p"}],
        "metadata": {"a": 1}, "reply_to": "m",
    })
}

fn thread() -> Value {
    json!({
        "topic": "t", "tags": ["a"], "participants": ["bob"], "channel_id": "c", "context": "x",
        "permission_policy": {"write": ["*"]}, "visibility": "members", "join_policy": "approval",
    })
}

fn change() -> Value {
    json!({
        "status": "closed", "close_reason": "manual", "context": "x", "topic": "t", "tags": ["a"],
        "permission_policy": {"write": ["*"]}, "visibility": "members", "join_policy": "approval",
    })
}

fn artifact(type_field: &str) -> Value {
    json!({
        "artifact_key": "k", type_field: "json", "title": "t", "content": "{}", "language": "l", "url": "u",
        "mime_type": "m",
    })
}

fn profile() -> Value {
    json!({
        "bio": "b", "role": "r", "function": "f", "team": "t", "status_text": "s", "timezone": "z",
        "active_hours": "h", "version": "v", "runtime": "r", "tags": ["t"], "languages": ["l"], "protocols": {"p": 1},
    })
}

#[test]
fn bodies_about_conversations() {
    let words = words();
    body::<ThreadDraft>(&words, &[thread()]);
    body::<ThreadPatch>(&words, &[change()]);
    body::<OrgThreadPatch>(&words, &[change()]);
    body::<DirectMessageDraft>(&words, &[message()]);
    body::<ChannelMessageDraft>(&words, &[message()]);
    body::<ThreadMessageDraft>(&words, &[message()]);
    body::<ArtifactDraft>(&words, &[artifact("type")]);
    body::<ArtifactUpdate>(&words, &[json!({"content": "c", "title": "t"})]);
    body::<Invitation>(&words, &[json!({"bot_id": "bob", "label": "l"})]);
    body::<OrgInvitation>(&words, &[json!({"bot_id": "bob", "label": "l"})]);
    body::<Labelling>(&words, &[json!({"label": "l"})]);
    body::<ChannelDraft>(&words, &[json!({"type": "direct", "members": ["ada", "bob"]})]);
}

#[test]
fn bodies_about_bots_and_organisations() {
    let words = words();
    let mut registration = fields(&json!({
        "org_id": "o", "ticket": "t", "org_secret": null, "name": "bob", "metadata": {"a": 1}, "webhook_url": "u",
        "webhook_secret": "s", "webhook_events": ["message"],
    }));
    registration.extend(fields(&profile()));
    body::<RegisterRequest>(&words, &[Value::Object(registration)]);
    body::<ProfilePatch>(&words, &[profile()]);
    body::<MetadataChange>(&words, &[json!({"metadata": 1})]);
    body::<Renaming>(&words, &[json!({"name": "bob"})]);
    body::<TokenRequest>(&words, &[json!({"scopes": ["read"], "label": "l", "expires_in": 5})]);
    body::<KeyRequest>(&words, &[json!({"agent_id": "ada", "label": "l", "allow_respond": true, "expires_in": 5})]);
    body::<RotationRequest>(&words, &[json!({"grace_seconds": 5, "revoke_tokens": true})]);
    body::<TicketRequest>(&words, &[json!({"reusable": true, "skip_approval": true, "expires_in": 5})]);
    body::<InviteRequest>(&words, &[json!({"max_uses": 5, "expires_in": 5, "label": "l"})]);
    body::<WebhookPatch>(&words, &[json!({"webhook_url": "u", "webhook_events": ["message"]})]);
    body::<Rotation>(&words, &[json!({"secret": "s", "overlap_seconds": 5})]);
    body::<SettingsPatch>(
        &words,
        &[json!({
            "messages_per_minute_per_bot": 1, "threads_per_hour_per_bot": 1, "file_upload_mb_per_day_per_bot": 1,
            "message_ttl_days": 1, "thread_auto_close_days": 1, "artifact_retention_days": 1,
            "default_thread_permission_policy": null, "join_approval_required": true,
        })],
    );
    body::<OrgDraft>(&words, &[json!({"name": "acme", "persist_messages": true})]);
    body::<OrgFounding>(&words, &[json!({"invite_code": "c", "name": "acme"})]);
    body::<OrgPatch>(&words, &[json!({"name": "acme", "status": "active"})]);
    body::<RoleChange>(&words, &[json!({"auth_role": "admin"})]);
    body::<JoinDecision>(&words, &[json!({"status": "active", "reason": "r"})]);
}

#[test]
fn bodies_about_people() {
    let words = words();
    let dora = json!({"handle": "dora", "display_name": "Dora", "role": "admin", "slack_user_id": "U1"});
    body::<PersonDraft>(&words, &[dora]);
    let change = json!({"display_name": "Dora", "role": "viewer", "slack_user_id": "U1", "is_disabled": true});
    body::<PersonPatch>(&words, &[change]);
    body::<LinkRequest>(&words, &[json!({"reset_password": true})]);
    body::<PasswordChange>(&words, &[json!({"password": "0123456789", "current_password": "9876543210"})]);
}

#[test]
fn logins() {
    let words = words();
    let sessions = [
        json!({"type": "bot", "token": "t", "owner_name": "Ann"}),
        json!({"type": "org_admin", "org_id": "o", "org_secret": "s"}),
        json!({"type": "super_admin", "admin_secret": "s"}),
        json!({"type": "person", "org_id": "o", "handle": "dora", "password": "p"}),
        json!({"type": "person_link", "code": "c"}),
    ];
    body::<LoginRequest>(&words, &sessions);
    let mut known = properties(&serde_json::to_value(OldLoginRequest::schema()).unwrap());
    known.extend(properties(&serde_json::to_value(LoginRequest::schema()).unwrap()));
    let ticket = json!({"org_id": "o", "org_secret": "s", "reusable": true, "skip_approval": true, "expires_in": 5});
    let bodies: Vec<Value> = sessions.into_iter().chain([ticket]).collect();
    Case { read: OldLoginRequest::read, known, bodies: &bodies }.check(&words);
}

#[test]
fn frames() {
    let words = words();
    frame::<ThreadDraft>(&words, thread());
    frame::<ThreadPatch>(&words, change());
    frame::<DirectMessageDraft>(&words, message());
    frame::<ChannelMessageDraft>(&words, message());
    frame::<ThreadMessageDraft>(&words, message());
    frame::<ArtifactDraft>(&words, artifact("artifact_type"));
    frame::<ArtifactUpdate>(&words, json!({"content": "c", "title": "t"}));
    frame::<Invitation>(&words, json!({"bot_id": "bob", "label": "l"}));
    let id = "0192f0c4-6789-7abc-8def-0123456789ab";
    frame::<ThreadTarget>(&words, json!({ "thread_id": id }));
    frame::<ChannelTarget>(&words, json!({ "channel_id": id }));
    frame::<BotTarget>(&words, json!({"bot_id": "bob"}));
    frame::<ArtifactTarget>(&words, json!({"artifact_key": "k"}));
    frame::<ExpectedRevision>(&words, json!({"expected_revision": 1}));
    frame::<Topics>(&words, json!({"channel_id": "c", "thread_id": "t"}));
    frame::<ResumeFrom>(&words, json!({"epoch": "e", "since_seq": 1}));
}

#[test]
fn a_refusal_waits_and_the_bytes_are_known() {
    let parsed = super::Parsed::<RoleChange>::of_body(fields(&json!({"auth_role": "none", "more": "12345"})));
    assert_eq!(parsed.bytes(), 9);
    assert!(parsed.peek().is_none());
    assert_eq!(parsed.draft().unwrap_err().status(), 400);
}
