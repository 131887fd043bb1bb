//! What reads texts and bodies, called directly: the bulk of the cases. Each takes or refuses its input, and what it takes
//! it would take again.

use hxa_connect::domain;
use hxa_connect::domain::artifact::{ArtifactType, repair_json};
use hxa_connect::domain::cursor::Cursor;
use hxa_connect::domain::draft::Draft;
use hxa_connect::domain::fold::{folded, pattern};
use hxa_connect::domain::text::Fields;
use hxa_connect::files::rules as files;
use serde_json::{Value, json};

use super::{Noise, count, noise, scaled};

#[test]
fn bodies() {
    let (mut noise, cases) = (noise("bodies"), scaled(30_000));
    noise.words = ["ada", "bob", "k", "2026-01-01", "notes.md"].map(str::to_owned).to_vec();
    for _ in 0..cases {
        let mut body = noise.object(4);
        read_everything(&body);
        let good = json!({
            "content": "c", "parts": [{"type": "text", "content": "p"}, {"type": "image", "url": "/api/files/x"}],
            "metadata": {"a": 1}, "topic": "t", "tags": ["a"], "participants": ["ada"], "visibility": "public",
            "permission_policy": {"write": ["*"]}, "status": "closed", "close_reason": "manual", "artifact_key": "k",
            "type": "json", "name": "reviewer", "scopes": ["read"], "expires_in": 5, "webhook_url": "https://a.example/",
        });
        if let Value::Object(fields) = noise.mutated(good) {
            body = fields;
        }
        read_everything(&body);
    }
    count(2 * cases);
}

/// Three drafts, each read as a body and as a frame.
trait Drafts {
    fn read(body: &Fields);
}

impl<A: Draft, B: Draft, C: Draft> Drafts for (A, B, C) {
    fn read(body: &Fields) {
        let copy = || body.clone();
        drop((A::read(&mut copy()), B::read(&mut copy()), C::read(&mut copy())));
        drop((A::read_frame(&mut copy()), B::read_frame(&mut copy()), C::read_frame(&mut copy())));
    }
}

fn read<D: Drafts>(body: &Fields) {
    D::read(body);
}

fn read_everything(body: &Fields) {
    use domain::{artifact, channel, grants, login, message, operation, orgs};
    use domain::{parts, policy, profile, scope, settings, thread, webhook};
    let taken = parts::validate(body.get("parts").cloned().unwrap_or_default());
    if let Ok(mut parts) = taken {
        let again = parts::validate(Value::Array(parts.clone())).expect("what was taken is taken again");
        assert_eq!(again, parts);
        drop(parts::derive_content(&parts));
        parts::normalise_for_events(&mut parts);
    }
    drop(parts::metadata_text(body.get("metadata")));
    drop(domain::artifact::key(body.get("artifact_key")));
    drop(thread::tags(body.get("tags")));
    drop(thread::context(body.get("context")));
    drop(thread::label(body.get("label")));
    drop(scope::ScopeSet::from_request(body.get("scopes")));
    drop(webhook::events(body));
    read::<(artifact::ArtifactDraft, artifact::ArtifactUpdate, channel::ChannelDraft)>(body);
    read::<(message::DirectMessageDraft, message::ChannelMessageDraft, message::ThreadMessageDraft)>(body);
    read::<(thread::ThreadDraft, thread::ThreadPatch, thread::OrgThreadPatch)>(body);
    read::<(thread::Invitation, thread::OrgInvitation, thread::Labelling)>(body);
    read::<(profile::ProfilePatch, profile::RegisterRequest, profile::Renaming)>(body);
    read::<(profile::MetadataChange, grants::TokenRequest, grants::InviteRequest)>(body);
    read::<(grants::TicketRequest, grants::RotationRequest, settings::SettingsPatch)>(body);
    read::<(orgs::OrgDraft, orgs::OrgFounding, orgs::OrgPatch)>(body);
    read::<(orgs::RoleChange, orgs::JoinDecision, login::LoginRequest)>(body);
    read::<(login::OldLoginRequest, webhook::WebhookPatch, webhook::Rotation)>(body);
    read::<(operation::ThreadTarget, operation::ChannelTarget, operation::BotTarget)>(body);
    read::<(operation::ArtifactTarget, operation::ExpectedRevision, operation::Topics)>(body);
    drop(operation::ResumeFrom::read(&mut body.clone()));
    let policy = body.get("permission_policy").map(policy::PermissionPolicy::from_request);
    if let Some(Ok(Some(policy))) = policy {
        assert_eq!(policy::PermissionPolicy::from_stored(policy.text()).to_value(), policy.to_value());
    }
}

#[test]
fn texts() {
    let (mut noise, cases) = (noise("texts"), scaled(80_000));
    noise.words = ["@bob", "limit=5", "W/\"7\"", "{\"a\":1,}", "[::ffff:127.0.0.1]", "https://", "0x7f.1"]
        .map(str::to_owned)
        .to_vec();
    for _ in 0..cases {
        let text = noise.text();
        let query = domain::query::Query::parse(&text);
        drop((query.limit("limit", 50, 200), query.offset("offset"), query.optional_time("since")));
        drop((
            domain::query::before(Some(&text)),
            domain::query::leading_int(&text),
            domain::etag::if_match(Some(&text)),
        ));
        for cursor in [Cursor::decode(&text), Cursor::decode_readable(&text)].into_iter().flatten() {
            assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }
        let name = files::clean_name(&text);
        assert!(!name.contains(['/', '\\', '\0', '\r', '\n']) && name.len() <= 255, "{text:?} became {name:?}");
        assert_eq!(files::clean_name(&name), name);
        let header = files::content_disposition(Some("text/plain"), &name);
        assert!(header.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{header:?}");
        if let Ok(kind) = files::declared_type(Some(&text)) {
            drop(files::sniff(kind, &noise.bytes(64)));
        }
        let settled = repair_json(text.clone());
        if settled.artifact_type == ArtifactType::Json {
            serde_json::from_str::<serde::de::IgnoredAny>(&settled.content).expect("what is kept as JSON is JSON");
        }
        assert_eq!(folded(folded(text.clone())), folded(text.clone()));
        assert!(pattern(&text).len() >= text.chars().count());
        drop(domain::parts::shown_from_text(Some(&text), &text));
        assert_eq!(domain::scope::ScopeSet::from_stored(&text).iter().count(), 0, "{text:?} gives a right");
        drop(domain::ids::ThreadId::parse(&text).map(|id| id.to_string()));
        drop(domain::idempotency::key("key", &text));
        assert!(domain::cursor::preview(&text).chars().count() <= text.chars().count().min(204));
    }
    count(cases);
}

#[test]
fn addresses() {
    let (mut noise, cases) = (noise("addresses"), scaled(30_000));
    let none = domain::address::AllowList::parse([]).unwrap();
    for _ in 0..cases {
        let number = noise.next() as u32;
        let host = match noise.below(6) {
            0 => format!("{number}"),
            1 => format!("{number:#x}"),
            2 => format!("{}.{}", noise.below(256), noise.below(1 << 24)),
            3 => format!("[::ffff:{:x}:{:x}]", number >> 16, number & 0xffff),
            4 => noise.text(),
            _ => std::net::Ipv4Addr::from_bits(number).to_string(),
        };
        let text = format!("https://{host}/hook");
        if let Ok(url) = domain::address::WebhookUrl::parse(&text, false, &none) {
            let literal = url.literal_address();
            assert!(literal.is_none_or(domain::address::is_public), "{text} leads to {literal:?}");
        }
    }
    count(cases);
}

/// A configuration from a random file and environment is read or refused with a sentence that shows no secret.
#[test]
fn configurations() {
    use hxa_connect::hub::config::{Config, SETTINGS};
    let (mut noise, cases) = (noise("configurations"), scaled(2_000));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hub.toml");
    for _ in 0..cases {
        let mut file = String::new();
        for _ in 0..noise.below(6) {
            let setting = noise.pick(SETTINGS);
            let value = toml_value(&mut noise);
            file.push_str(&format!("[{}]\n{} = {value}\n", setting.area, setting.key));
        }
        let file = if noise.once_in(4) { noise.garbled(&file) } else { file.into_bytes() };
        std::fs::write(&path, file).unwrap();
        let mut environment =
            std::collections::HashMap::from([("HXA_CONNECT_AUTH_REDIS_URL".to_owned(), "s3cret".to_owned())]);
        environment.insert("REDIS_URL".to_owned(), "http://s3cret@h/".to_owned());
        for _ in 0..noise.below(4) {
            let setting = noise.pick(SETTINGS);
            environment.insert(setting.env[0].to_owned(), noise.text());
        }
        let flags = hxa_connect::hub::config::Flags { file: Some(path.clone()), ..Default::default() };
        match Config::load_with(&flags, &environment) {
            Ok(loaded) => drop((loaded.config.problems(), loaded.config.warnings())),
            Err(error) => assert!(!error.to_string().contains("s3cret"), "{error}"),
        }
    }
    count(cases);
}

fn toml_value(noise: &mut Noise) -> String {
    match noise.below(5) {
        0 => noise.below(5000).to_string(),
        1 => (noise.next() as i64).to_string(),
        2 => "true".to_owned(),
        3 => format!("[{}]", noise.below(9)),
        _ => format!("{:?}", noise.text()),
    }
}
