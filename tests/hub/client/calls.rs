//! Calls of the Rust client: what they send and how they read the answers of a real hub.

use futures_util::TryStreamExt;
use hxa_client::{
    ArtifactType, Change, Client, CloseReason, Error, JoinPolicy, JoinStatus, Joined, Login, Missed, NewArtifact,
    NewMessage, NewThread, NewTicket, Profile, Registration, Role, ThreadStatus, ThreadUpdate, Window, WorkspaceQuery,
};
use hxa_connect::hub::config::Config;

use crate::harness::*;

on_both_databases! {
    a_bot_registers_and_introduces_itself,
    direct_messages_are_sent_and_read,
    an_inbox_is_polled,
    what_was_missed_is_listed,
    threads_change_by_revision,
    threads_are_joined,
    artifacts_have_versions,
    files_come_back with small_files,
    refusals_are_typed,
}

fn small_files(config: &mut Config) {
    config.files.max_file_size_mb = 1;
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

async fn pair(hub: &TestHub) -> ([Bot; 2], [Client; 2]) {
    let bots = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let clients = [bots[0].client(), bots[1].client()];
    (bots, clients)
}

async fn a_bot_registers_and_introduces_itself(hub: TestHub) {
    let anybody = hub.client();
    let login = Login::SuperAdmin { admin_secret: ADMIN_SECRET.to_owned() };
    let (platform, session) = anybody.log_in(&login).await.unwrap();
    assert_eq!((session.role.as_str(), session.org_id), ("super_admin", None));
    let org = platform.create_org("acme").await.unwrap();
    let login = Login::OrgAdmin { org_id: org.id.clone(), org_secret: org.org_secret };
    let (admin, session) = anybody.log_in(&login).await.unwrap();
    assert_eq!((session.role.as_str(), session.org_id.as_ref()), ("org_admin", Some(&org.id)));
    let ticket = admin.create_ticket(NewTicket { reusable: true, ..NewTicket::default() }).await.unwrap();
    assert!(ticket.reusable && !ticket.skip_approval);
    let registration = Registration {
        org_id: org.id.clone(),
        name: "ada".to_owned(),
        ticket: Some(ticket.code),
        profile: Profile { bio: text("counts"), tags: Some(vec!["a".to_owned()]), ..Profile::default() },
        ..Registration::default()
    };
    let registered = anybody.register(&registration).await.unwrap();
    let bot = &registered.bot;
    assert_eq!((bot.auth_role, bot.join_status, &bot.org_id), (Role::Member, JoinStatus::Active, &org.id));
    let ada = anybody.with_token(&registered.token).unwrap();
    let change = Profile { team: text("night"), cleared: vec!["bio".to_owned()], ..Profile::default() };
    let changed = ada.update_profile(&change).await.unwrap().profile;
    assert_eq!((changed.bio, changed.team, changed.tags), (None, text("night"), Some(vec!["a".to_owned()])));
    assert_eq!(ada.set_metadata(&json!({"n": [1]})).await.unwrap().metadata, json!({"n": [1]}));
    assert_eq!(ada.rename("ada2").await.unwrap().id, bot.id);
    admin.set_bot_role(&bot.id, Role::Admin).await.unwrap();
    let seen = ada.bot_by_name("ada2").await.unwrap();
    assert_eq!((seen.id.as_str(), seen.auth_role), (bot.id.as_str(), Role::Admin));
    admin.log_out().await.unwrap();
    let error = admin.session().await.unwrap_err();
    assert!(error.is_unauthorized(), "{error:?}");
}

async fn direct_messages_are_sent_and_read(hub: TestHub) {
    let ([ada, bob], [a, b]) = pair(&hub).await;
    let sent = a.send("bob", "one").await.unwrap();
    assert_eq!((sent.replayed, &sent.message.sender_id, sent.message.content.as_str()), (false, &ada.id, "one"));
    let link = json!({"type": "link", "url": "https://hub.example/"});
    let message = NewMessage { parts: vec![link.clone()], ..NewMessage::from("two") };
    a.send_to_channel(&sent.channel_id, message).await.unwrap();
    let rate = a.rate().expect("sending has a rate");
    assert!(rate.remaining + 2 == rate.limit && rate.policy.ends_with(";w=60"), "{rate:?}");
    let read = b.channel_messages(&sent.channel_id, Window::default()).await.unwrap();
    assert_eq!(read.iter().map(|message| message.content.as_str()).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(read[1].parts, [link]);
    let newest = b.channel_messages_page(&sent.channel_id, None, 1).await.unwrap();
    assert_eq!((newest.items[0].content.as_str(), newest.has_more), ("two", true));
    let rest = b.channel_messages_page(&sent.channel_id, Some(&newest.items[0].id), 5).await.unwrap();
    assert_eq!((rest.items[0].id.as_str(), rest.items.len(), rest.has_more), (sent.message.id.as_str(), 1, false));
    let channels = b.channels(&bob.id).await.unwrap();
    let mut members: Vec<&str> = channels[0].members.iter().map(|member| member.name.as_str()).collect();
    members.sort_unstable();
    assert_eq!((channels.len(), members), (1, vec!["ada", "bob"]));
}

async fn an_inbox_is_polled(hub: TestHub) {
    const SENT: usize = 230;
    let org = hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let (a, b) = (ada.client(), bob.client());
    for n in 0..SENT {
        a.send("bob", n.to_string()).await.unwrap();
    }
    b.send("ada", "not for the own inbox").await.unwrap();
    let (mut since, mut heard, mut polls) = (0, Vec::new(), 0);
    loop {
        let some = b.inbox(since).await.unwrap();
        polls += 1;
        match some.last() {
            Some(last) => since = last.created_at,
            None => break,
        }
        heard.extend(some.into_iter().map(|message| message.content));
    }
    assert_eq!(heard, (0..SENT).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(polls > 2, "{polls} polls");
}

async fn what_was_missed_is_listed(hub: TestHub) {
    let (_, [a, b]) = pair(&hub).await;
    a.send("bob", "one").await.unwrap();
    a.send("bob", "two").await.unwrap();
    let topic = "t".to_owned();
    let new = NewThread { topic, participants: vec!["bob".to_owned()], ..NewThread::default() };
    let thread = a.create_thread(&new).await.unwrap();
    a.send_to_thread(&thread.id, "three").await.unwrap();
    a.add_artifact(&thread.id, &notes("1")).await.unwrap();
    a.update_thread(&thread.id, ThreadStatus::Reviewing).await.unwrap();
    let missed = b.catchup_all(0).await.unwrap();
    let mut kinds: Vec<String> = missed
        .iter()
        .map(|event| match &event.missed {
            Missed::ThreadInvited { topic, .. } => format!("invited to {topic}"),
            Missed::ChannelMessageSummary { count, .. } => format!("{count} direct messages"),
            Missed::ThreadMessageSummary { count, .. } => format!("{count} in the thread"),
            Missed::ThreadArtifactAdded { artifact_key, version, .. } => format!("{artifact_key} {version}"),
            Missed::ThreadStatusChanged { from, to, .. } => format!("{from:?} to {to}"),
            other => panic!("{other:?}"),
        })
        .collect();
    kinds.sort_unstable();
    let expected =
        ["1 in the thread", "2 direct messages", "Some(\"active\") to reviewing", "invited to t", "notes.md 1"];
    assert_eq!(kinds, expected);
    let first = b.catchup(0, None, Some(1)).await.unwrap();
    let second = b.catchup(0, first.next_cursor.as_deref(), Some(1)).await.unwrap();
    assert_eq!((&first.items[0], &second.items[0]), (&missed[0], &missed[1]));
    assert!(first.has_more && first.items.len() == 1);
    assert_eq!(b.catchup_count(0).await.unwrap().total, 5);
    let workspace = b.workspace(&WorkspaceQuery::default()).await.unwrap();
    assert_eq!((workspace.dms.items.len(), workspace.threads.items[0].id.as_str()), (1, thread.id.as_str()));
}

async fn threads_change_by_revision(hub: TestHub) {
    let (_, [a, b]) = pair(&hub).await;
    let thread = a
        .create_thread(&NewThread {
            topic: "first".to_owned(),
            participants: vec!["bob".to_owned()],
            tags: Some(vec!["x".to_owned()]),
            context: Some(json!({"n": 1})),
            ..NewThread::default()
        })
        .await
        .unwrap();
    assert_eq!((thread.status, thread.context.as_deref()), (ThreadStatus::Active, Some("{\"n\":1}")));
    let rename = |topic: &str, expected| ThreadUpdate {
        topic: text(topic),
        expected_revision: Some(expected),
        ..ThreadUpdate::default()
    };
    let changed = a.update_thread(&thread.id, rename("second", thread.revision)).await.unwrap();
    assert_eq!((changed.topic.as_str(), changed.revision), ("second", thread.revision + 1));
    let error = b.update_thread(&thread.id, rename("third", thread.revision)).await.unwrap_err();
    let refusal = error.api().expect("a refusal");
    assert_eq!((refusal.status, refusal.code.as_str()), (409, "REVISION_CONFLICT"));
    assert_eq!(refusal.revision, Some(changed.revision));
    let again = b.update_thread(&thread.id, rename("third", changed.revision)).await.unwrap();
    assert_eq!(again.tags, Some(vec!["x".to_owned()]), "what is not named stays");
    let cleared: Change<Vec<String>> = Some(None);
    let cleared = ThreadUpdate { tags: cleared, context: Some(None), ..ThreadUpdate::default() };
    let bare = b.update_thread(&thread.id, cleared).await.unwrap();
    assert_eq!((bare.tags.unwrap_or_default(), bare.context), (Vec::<String>::new(), None));
    let closed = a.update_thread(&thread.id, ThreadStatus::Closed).await.unwrap();
    assert_eq!(closed.close_reason, Some(CloseReason::Manual));
    assert!(b.send_to_thread(&thread.id, "late").await.unwrap_err().is_code("THREAD_CLOSED"));
    let read = b.thread(&thread.id).await.unwrap();
    assert_eq!((read.revision, read.participants.unwrap().len()), (closed.revision, 2));
}

async fn threads_are_joined(hub: TestHub) {
    let ([_, bob], [a, b]) = pair(&hub).await;
    let open =
        |topic: &str, policy| NewThread { topic: topic.to_owned(), join_policy: Some(policy), ..NewThread::default() };
    let free = a.create_thread(&open("free", JoinPolicy::Open)).await.unwrap();
    assert!(matches!(b.join_thread(&free.id).await.unwrap(), Joined::Joined { .. }));
    assert_eq!(b.join_thread(&free.id).await.unwrap(), Joined::AlreadyJoined);
    assert_eq!(a.set_label(&free.id, "bob", Some("reviewer")).await.unwrap().label, text("reviewer"));
    b.remove_participant(&free.id, &bob.id).await.unwrap();
    let asked = a.create_thread(&open("asked", JoinPolicy::Approval)).await.unwrap();
    let Joined::Pending { request_id } = b.join_thread(&asked.id).await.unwrap() else { panic!("not pending") };
    let requests = a.join_requests(&asked.id).await.unwrap();
    assert_eq!((requests[0].id.as_str(), requests[0].bot_name.as_str()), (request_id.as_str(), "bob"));
    a.reject_join_request(&asked.id, &request_id).await.unwrap();
    let Joined::Pending { request_id } = b.join_thread(&asked.id).await.unwrap() else { panic!("not pending") };
    a.approve_join_request(&asked.id, &request_id).await.unwrap();
    assert_eq!(b.thread(&asked.id).await.unwrap().participants.unwrap().len(), 2);
    let closed = a.create_thread(&open("closed", JoinPolicy::InviteOnly)).await.unwrap();
    assert!(b.join_thread(&closed.id).await.unwrap_err().is_code("INVITE_ONLY"));
    assert_eq!(a.invite(&closed.id, "bob", None).await.unwrap().bot_id, bob.id);
}

fn notes(content: &str) -> NewArtifact {
    let (artifact_key, kind) = ("notes.md".to_owned(), Some(ArtifactType::Markdown));
    NewArtifact { artifact_key, kind, content: text(content), ..NewArtifact::default() }
}

async fn artifacts_have_versions(hub: TestHub) {
    let ([ada, _], [a, b]) = pair(&hub).await;
    let new = NewThread { topic: "t".to_owned(), participants: vec!["bob".to_owned()], ..NewThread::default() };
    let thread = a.create_thread(&new).await.unwrap();
    let first = a.add_artifact(&thread.id, &notes("# 1")).await.unwrap();
    assert_eq!((first.version, first.kind, first.contributor_id.as_ref()), (1, ArtifactType::Markdown, Some(&ada.id)));
    assert_eq!(b.update_artifact(&thread.id, "notes.md", "# 2").await.unwrap().version, 2);
    let odd = NewArtifact { artifact_key: "odd".to_owned(), kind: Some(ArtifactType::Json), ..notes("no JSON") };
    assert!(b.add_artifact(&thread.id, &odd).await.unwrap().format_warning);
    let newest = a.artifacts(&thread.id).await.unwrap();
    let shown: Vec<_> = newest.iter().map(|artifact| (artifact.artifact_key.as_str(), artifact.version)).collect();
    assert_eq!(shown, [("notes.md", 2), ("odd", 1)]);
    let versions = a.artifact_versions(&thread.id, "notes.md").await.unwrap();
    let contents: Vec<_> = versions.iter().map(|version| version.content.as_deref().unwrap()).collect();
    assert_eq!(contents, ["# 1", "# 2"]);
    assert!(a.add_artifact(&thread.id, &notes("again")).await.unwrap_err().is_code("CONFLICT"));
}

async fn files_come_back(hub: TestHub) {
    let ([ada, _], [a, b]) = pair(&hub).await;
    let content: Vec<u8> = (0..300_000_u32).map(|n| b'a' + u8::try_from(n % 23).unwrap()).collect();
    let stored = a.upload("résumé 1.csv", Some("text/csv"), content.clone()).await.unwrap();
    assert_eq!((stored.name.as_str(), stored.mime_type.as_deref()), ("résumé 1.csv", Some("text/csv")));
    let info = b.file_info(&stored.id).await.unwrap();
    assert_eq!((info.size, info.uploader_id.as_ref()), (300_000, Some(&ada.id)));
    let whole = b.download(&stored.id, None).await.unwrap();
    assert_eq!((whole.mime_type(), whole.size()), (Some("text/csv"), Some(300_000)));
    let pieces: Vec<hxa_client::Bytes> = whole.stream().try_collect().await.unwrap();
    assert!(pieces.concat() == content, "what was stored comes back");
    let part = b.download(&stored.id, Some((10, 19))).await.unwrap().bytes().await.unwrap();
    assert_eq!(part, content[10..20]);
    let parts = vec![json!({"type": "file", "name": stored.name, "url": stored.url, "mime_type": "text/csv"})];
    let message = NewMessage { parts: parts.clone(), ..NewMessage::default() };
    assert_eq!(a.send("bob", message).await.unwrap().message.parts, parts);
    let error = a.upload("big.txt", None, vec![b'x'; 1_100_000]).await.unwrap_err();
    assert_eq!(error.api().map(|refusal| (refusal.status, refusal.code.as_str())), Some((413, "FILE_TOO_LARGE")));
}

async fn refusals_are_typed(hub: TestHub) {
    let org = hub.with_org("a").await;
    org.settings(json!({"messages_per_minute_per_bot": 1})).await.ok();
    let [ada, _] = org.bots(["ada", "bob"]).await;
    let a = ada.client();
    let error = a.bot(NOBODY).await.unwrap_err();
    let refusal = error.api().expect("a refusal");
    assert_eq!((refusal.status, refusal.code.as_str(), refusal.retry_after), (404, "NOT_FOUND", None));
    assert!(refusal.request_id.is_some() && !refusal.message.is_empty(), "{refusal:?}");
    a.send("bob", "one").await.unwrap();
    let error = a.send("bob", "two").await.unwrap_err();
    assert!(error.is_code("RATE_LIMITED"), "{error:?}");
    assert!(error.retry_after().is_some_and(|wait| wait.as_secs() > 0), "{error:?}");
    assert_eq!(a.rate().map(|rate| (rate.limit, rate.remaining)), Some((1, 0)));
    let stranger = hub.client().with_token("bot_nobody").unwrap();
    assert!(stranger.me().await.unwrap_err().is_unauthorized());
    let way = Proxy::before(hub.address());
    way.set(Weather::Blackhole);
    let patience = std::time::Duration::from_millis(200);
    let deaf = ada.client_at(&way.url(hub.url())).tries(1).timeout(patience).build().unwrap();
    assert!(matches!(deaf.me().await, Err(Error::Timeout)));
    let lost = ada.client_at("http://127.0.0.1:1").tries(1).build().unwrap();
    assert!(matches!(lost.me().await, Err(Error::Network(_))));
    assert!(matches!(a.thread("..").await, Err(Error::Protocol(_))), "no other route is asked");
}
