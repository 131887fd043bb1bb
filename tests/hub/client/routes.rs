//! The Rust client has a method for every route of the OpenAPI document: one tour calls them all, and the hub's own
//! metrics tell which routes it has answered.

use std::collections::BTreeSet;

use hxa_client::{
    AuditQuery, BotFilter, BotPageQuery, Client, Cursor, DeliveryQuery, JoinPolicy, JoinStatus, Login, NewArtifact,
    NewInviteCode, NewKey, NewPerson, NewThread, NewTicket, NewToken, OrgSettingsUpdate, OrgStatus, OrgThreadQuery,
    OrgUpdate, PersonQuery, PersonRole, PersonUpdate, Profile, Role, Scope, Slice, ThreadQuery, ThreadStatus,
    TokenRotation, WebhookUpdate, Window, WorkspaceQuery,
};

use crate::harness::*;
use crate::webhooks::delivery::{ada_to_hooked_bob, quick};

on_both_databases! { every_route_has_a_method with quick }

/// Pages for people and programs that are no data, what Slack calls, and routes for clients of before 1.1.
const WITHOUT: [&str; 14] = [
    "GET /",
    "GET /api/channels",
    "GET /api/config/get",
    "GET /api/health",
    "GET /api/system-presence",
    "GET /llms.txt",
    "GET /skill.md",
    "GET /v0/api/channels",
    "PATCH /api/org/agents/{agent_id}/role",
    "PATCH /v0/api/org/agents/{agent_id}/role",
    "POST /api/register",
    "POST /slack/interactions",
    "POST /v0/api/auth/login",
    "POST /v0/api/channels",
];

async fn every_route_has_a_method(hub: TestHub) {
    let anybody = hub.client();
    the_hub(&anybody).await;
    let (org, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    let (a, b) = (ada.client(), bob.client());
    let admin_bot = org.admin_bot("admin").await;
    let admin = admin_bot.client();
    messages_and_bots(&a, &b, &bob).await;
    receiver.took(1).await;
    threads(&a, &b, &bob).await;
    org_threads(&admin, &a, &b, &bob).await;
    deliveries(&admin, &b, &bob).await;
    let login = Login::OrgAdmin { org_id: org.id.clone(), org_secret: org.secret.clone() };
    let (session, _) = anybody.log_in(&login).await.unwrap();
    people(&session, &anybody, &org).await;
    organisation(&session, &anybody, &bob, &org).await;
    let login = Login::SuperAdmin { admin_secret: ADMIN_SECRET.to_owned() };
    platform(&anybody.log_in(&login).await.unwrap().0, &anybody).await;
    own_account(&anybody, &b).await;
    let document = anybody.openapi().await.unwrap();
    let routes = document["paths"].as_object().unwrap().iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    let metrics = String::from_utf8(anybody.metrics().await.unwrap().to_vec()).unwrap();
    let has_answered = |route: &String| {
        let is_good = |line: &str| line.contains(&format!("route=\"{route}\",status=\"2"));
        metrics.lines().any(|line| line.starts_with("hub_http_requests_total{") && is_good(line))
    };
    // What agents ask people is the matter of the client in sdk/typescript.
    let is_mine = |route: &String| !route.contains(" /v1/");
    let missing: BTreeSet<String> = routes.filter(is_mine).filter(|route| !has_answered(route)).collect();
    assert_eq!(missing, WITHOUT.iter().map(|&route| route.to_owned()).collect::<BTreeSet<_>>());
}

async fn the_hub(anybody: &Client) {
    assert_eq!(anybody.health().await.unwrap().status, "ok");
    anybody.is_live().await.unwrap();
    anybody.is_ready().await.unwrap();
    assert!(anybody.version().await.unwrap().hub_version.is_some());
    assert_eq!(anybody.stats().await.unwrap().org_count, 0);
    anybody.metrics().await.unwrap();
}

async fn messages_and_bots(a: &Client, b: &Client, bob: &Bot) {
    let sent = a.send(&bob.id, "one").await.unwrap();
    a.send_to_channel(&sent.channel_id, "two").await.unwrap();
    assert_eq!(b.inbox(0).await.unwrap().len(), 2);
    b.channel(&sent.channel_id).await.unwrap();
    b.channels(&bob.id).await.unwrap();
    b.channel_messages(&sent.channel_id, Window::default()).await.unwrap();
    b.catchup_all(0).await.unwrap();
    b.catchup_count(0).await.unwrap();
    b.workspace(&WorkspaceQuery::default()).await.unwrap();
    assert_eq!(a.bots(&BotFilter::default()).await.unwrap().len(), 3);
    assert_eq!(a.peers().await.unwrap().len(), 2);
    assert_eq!(a.bot(&bob.id).await.unwrap().name, a.bot_by_name("bob").await.unwrap().name);
    let file = a.upload("a.txt", None, "text").await.unwrap();
    b.file_info(&file.id).await.unwrap();
    b.download(&file.id, None).await.unwrap().bytes().await.unwrap();
}

async fn threads(a: &Client, b: &Client, bob: &Bot) {
    let (topic, join_policy) = ("t".to_owned(), Some(JoinPolicy::Approval));
    let thread = a.create_thread(&NewThread { topic, join_policy, ..NewThread::default() }).await.unwrap();
    a.thread(&thread.id).await.unwrap();
    a.update_thread(&thread.id, ThreadStatus::Reviewing).await.unwrap();
    assert_eq!(a.threads(&ThreadQuery::default()).await.unwrap().items.len(), 1);
    a.send_to_thread(&thread.id, "one").await.unwrap();
    a.send_to_thread(&thread.id, "two").await.unwrap();
    a.thread_messages(&thread.id, Window::default()).await.unwrap();
    let newest = a.thread_messages_page(&thread.id, None, 1).await.unwrap();
    let rest = a.thread_messages_page(&thread.id, newest.next_cursor.as_deref(), 1).await.unwrap();
    assert_eq!([&newest.items[0].content, &rest.items[0].content], ["two", "one"]);
    for verdict in [false, true] {
        b.join_thread(&thread.id).await.unwrap();
        let request = a.join_requests(&thread.id).await.unwrap().remove(0);
        if verdict {
            a.approve_join_request(&thread.id, &request.id).await.unwrap();
        } else {
            a.reject_join_request(&thread.id, &request.id).await.unwrap();
        }
    }
    a.set_label(&thread.id, &bob.id, Some("label")).await.unwrap();
    a.remove_participant(&thread.id, &bob.id).await.unwrap();
    a.invite(&thread.id, &bob.id, Some("label")).await.unwrap();
    let artifact =
        NewArtifact { artifact_key: "k".to_owned(), content: Some("1".to_owned()), ..NewArtifact::default() };
    a.add_artifact(&thread.id, &artifact).await.unwrap();
    a.update_artifact(&thread.id, "k", "2").await.unwrap();
    assert_eq!(a.artifacts(&thread.id).await.unwrap().len(), 1);
    assert_eq!(a.artifact_versions(&thread.id, "k").await.unwrap().len(), 2);
}

async fn org_threads(admin: &Client, a: &Client, b: &Client, bob: &Bot) {
    let thread = &admin.org_threads(&OrgThreadQuery::default()).await.unwrap().items[0];
    assert_eq!(admin.org_thread(&thread.id).await.unwrap().topic, "t");
    admin.org_remove_participant(&thread.id, &bob.id).await.unwrap();
    assert!(b.send_to_thread(&thread.id, "no").await.unwrap_err().is_code("JOIN_REQUIRED"));
    admin.org_invite(&thread.id, &bob.id, None).await.unwrap();
    assert_eq!(admin.org_thread_messages(&thread.id, None, 1).await.unwrap().items[0].content, "two");
    assert_eq!(admin.org_thread_artifacts(&thread.id).await.unwrap()[0].version, 2);
    assert_eq!(admin.search_messages("two").await.unwrap().messages.len(), 1);
    admin.update_org_thread(&thread.id, ThreadStatus::Closed).await.unwrap();
    assert_eq!(a.thread(&thread.id).await.unwrap().status, ThreadStatus::Closed);
}

async fn deliveries(admin: &Client, b: &Client, bob: &Bot) {
    assert!(b.webhook().await.unwrap().has_secret);
    assert!(admin.webhook_health("bob").await.unwrap().healthy);
    let delivered = &admin.webhook_deliveries(&bob.id, &DeliveryQuery::default()).await.unwrap().items;
    let oldest = delivered.last().unwrap();
    assert_eq!(admin.replay_delivery(&bob.id, &oldest.id).await.unwrap().id, oldest.id);
    let events = Some(Some(vec!["message".to_owned()]));
    let update = WebhookUpdate { events: events.clone(), ..WebhookUpdate::default() };
    assert_eq!(b.update_webhook(&update).await.unwrap().events, events.flatten());
    b.rotate_webhook_secret(Some("another-secret-of-some-length"), None).await.unwrap();
}

async fn organisation(session: &Client, anybody: &Client, bob: &Bot, org: &Org) {
    assert_eq!(session.org().await.unwrap().status, OrgStatus::Active);
    let update = OrgSettingsUpdate {
        message_ttl_days: Some(Some(30)),
        join_approval_required: Some(true),
        ..OrgSettingsUpdate::default()
    };
    assert_eq!(session.update_org_settings(&update).await.unwrap().message_ttl_days, Some(30));
    assert!(session.org_settings().await.unwrap().join_approval_required);
    assert!(session.bots_page(&BotPageQuery::default()).await.unwrap().items.len() > 2);
    session.set_bot_role(&bob.id, Role::Admin).await.unwrap();
    session.set_bot_role(&bob.id, Role::Member).await.unwrap();
    session.set_bot_status(&bob.id, JoinStatus::Rejected, Some("no")).await.unwrap();
    session.set_bot_status(&bob.id, JoinStatus::Active, None).await.unwrap();
    session.create_ticket(NewTicket { skip_approval: true, ..NewTicket::default() }).await.unwrap();
    let tickets = session.tickets(&Cursor::default()).await.unwrap().items;
    assert!(tickets.iter().any(|ticket| ticket.skip_approval));
    session.delete_ticket(tickets[0].id.as_ref().unwrap()).await.unwrap();
    let agent = NewKey { agent_id: "bob".to_owned(), label: Some("phone".to_owned()), ..NewKey::default() };
    let key = session.create_key(&agent).await.unwrap();
    assert!(key.key.as_ref().is_some_and(|secret| secret.starts_with("hcp_")) && key.bot_id == bob.id);
    assert_eq!(session.keys().await.unwrap()[0].label.as_deref(), Some("phone"));
    session.revoke_key(&key.id).await.unwrap();
    let (person, _) = anybody
        .log_in(&Login::Bot { token: bob.secret().to_owned(), owner_name: Some("Ann".to_owned()) })
        .await
        .unwrap();
    let sessions = session.org_sessions(Slice::default()).await.unwrap().items;
    let ann = sessions.iter().find(|session| session.owner_name.as_deref() == Some("Ann")).unwrap();
    session.end_org_session(&ann.reference).await.unwrap();
    assert!(person.me().await.unwrap_err().is_unauthorized());
    let doomed = org.bot_from(json!({"org_secret": org.secret, "name": "doomed"})).await;
    session.delete_bot(&doomed.id).await.unwrap();
    let names = session.tombstones(&org.id, &Cursor::default()).await.unwrap().items;
    assert_eq!(names[0].name, "doomed");
    session.release_name(&org.id, "doomed").await.unwrap();
    let query = AuditQuery { action: Some("bot.delete".to_owned()), ..AuditQuery::default() };
    assert_eq!(session.audit(&query).await.unwrap()[0].target_id, doomed.id);
    assert!(!session.rotate_own_org_secret().await.unwrap().is_empty());
}

async fn people(session: &Client, anybody: &Client, org: &Org) {
    let person = NewPerson {
        handle: "dora".to_owned(),
        display_name: None,
        role: PersonRole::Responder,
        slack_user_id: Some("U1".to_owned()),
    };
    let dora = session.create_person(&person).await.unwrap();
    let query = PersonQuery { handle: Some("DORA".to_owned()), ..PersonQuery::default() };
    assert_eq!(session.people(&query).await.unwrap().items, std::slice::from_ref(&dora));
    let update = PersonUpdate { slack_user_id: Some(None), ..PersonUpdate::default() };
    assert_eq!(session.update_person(&dora.id, &update).await.unwrap().slack_user_id, None);
    let link = session.create_login_link(&dora.id, false).await.unwrap();
    let (own, opened) = anybody.log_in(&Login::PersonLink { code: link.code }).await.unwrap();
    assert_eq!(opened.person.unwrap().role, PersonRole::Responder);
    let password = "a sentence of some length".to_owned();
    let (own, _) = own.set_password(&password, None).await.unwrap();
    assert!(own.session().await.unwrap().person.unwrap().has_password);
    let login = Login::Person { org_id: org.id.clone(), handle: "Dora".to_owned(), password };
    anybody.log_in(&login).await.unwrap();
    assert!(session.person(&dora.id).await.unwrap().has_password);
    session.delete_person(&dora.id).await.unwrap();
    assert!(own.session().await.unwrap_err().is_unauthorized());
}

async fn platform(session: &Client, anybody: &Client) {
    let org = session.create_org("second").await.unwrap();
    assert_eq!(session.orgs().await.unwrap().len(), 2);
    let suspended = OrgUpdate { status: Some(OrgStatus::Suspended), ..OrgUpdate::default() };
    assert_eq!(session.update_org(&org.id, &suspended).await.unwrap().status, OrgStatus::Suspended);
    assert_ne!(session.rotate_org_secret(&org.id).await.unwrap(), org.org_secret);
    let code = NewInviteCode { max_uses: 1, label: Some("one".to_owned()), expires_in: None };
    let code = session.create_invite_code(&code).await.unwrap();
    let founded = anybody.found_org(&code.code, "third").await.unwrap();
    assert_eq!(session.invite_codes().await.unwrap()[0].use_count, 1);
    session.revoke_invite_code(&code.id).await.unwrap();
    for id in [&org.id, &founded.id] {
        session.delete_org(id).await.unwrap();
    }
    assert_eq!(session.session().await.unwrap().role, "super_admin");
    session.log_out().await.unwrap();
}

async fn own_account(anybody: &Client, b: &Client) {
    b.me().await.unwrap();
    b.update_profile(&Profile { bio: Some("b".to_owned()), ..Profile::default() }).await.unwrap();
    b.set_metadata(&json!({})).await.unwrap();
    b.rename("yy").await.unwrap();
    let token = NewToken { scopes: vec![Scope::Read], label: Some("r".to_owned()), expires_in: Some(60_000) };
    let scoped = b.create_token(&token).await.unwrap();
    let reader = anybody.with_token(scoped.token.as_ref().unwrap()).unwrap();
    assert!(reader.send("ada", "no").await.unwrap_err().is_code("INSUFFICIENT_SCOPE"));
    assert_eq!(b.tokens().await.unwrap()[0].id, scoped.id);
    b.revoke_token(&scoped.id).await.unwrap();
    let rotated = b.rotate_token(TokenRotation::default()).await.unwrap();
    assert!(b.me().await.unwrap_err().is_unauthorized());
    let b = anybody.with_token(&rotated.token).unwrap();
    let login = Login::Bot { token: rotated.token, owner_name: None };
    let (person, session) = anybody.log_in(&login).await.unwrap();
    assert_eq!(session.bot_id, Some(rotated.bot_id));
    let sessions = b.sessions(Slice::default()).await.unwrap().items;
    b.end_session(&sessions[0].reference).await.unwrap();
    assert!(person.me().await.unwrap_err().is_unauthorized());
    assert_eq!(b.ws_ticket().await.unwrap().expires_in, 30);
    b.delete_me().await.unwrap();
}
