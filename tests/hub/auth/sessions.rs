//! People's sessions: their limit, their list, and what ends them.

use crate::harness::*;

on_both_databases! {
    sessions_are_listed_and_ended,
    parallel_logins_keep_the_limit,
    sessions_end_with_their_token_and_bot,
    owners_see_and_end_their_own_sessions,
    logins_with_a_scoped_token_end_no_other_sessions,
}

pub async fn sessions_are_listed_and_ended(hub: TestHub) {
    let org = hub.with_org("a").await;
    let bots = org.bots(["ada", "bob", "cleo", "dora", "emil", "finn", "gwen", "hana"]).await;
    let mut humans = Vec::new();
    for bot in &bots {
        for n in 0..3 {
            humans.push(bot.human(&format!("{} {n}", bot.id)).await);
        }
    }
    let mut listed = Vec::new();
    loop {
        let page = org.get(format!("/api/org/sessions?limit=7&offset={}", listed.len())).await.ok();
        listed.extend(page.items("items").iter().cloned());
        if page["has_more"] == false {
            break;
        }
    }
    assert_eq!(listed.len(), 25);
    let times: Vec<i64> = listed.iter().map(|session| session.int("created_at")).collect();
    assert!(times.is_sorted_by(|a, b| a > b), "{times:?}");
    assert_eq!(
        (&listed[0]["owner_name"], &listed[24]["role"]),
        (&json!(format!("{} 2", bots[7].id)), &json!("org_admin"))
    );
    let first = listed[23].text("ref");
    assert_eq!(org.delete(format!("/api/org/sessions/{first}")).await.ok(), json!({"deleted": true}));
    org.delete(format!("/api/org/sessions/{first}")).await.missing();
    humans[0].me().await.refused(401, "AUTH_REQUIRED");
    humans[1].me().await.ok();
    org.delete(format!("/api/org/sessions/{}", listed[24].text("ref"))).await.refused(400, "SELF_LOGOUT");
    org.delete("/api/org/sessions/nothing").await.refused(400, "INVALID_REF");
    let other = hub.with_org("b").await;
    other.delete(format!("/api/org/sessions/{}", listed[0].text("ref"))).await.missing();
    assert_eq!(other.get("/api/org/sessions").await.ok().items("items").len(), 1);
}

pub async fn parallel_logins_keep_the_limit(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let humans = futures_util::future::join_all((0..12).map(|n| {
        let ada = &ada;
        async move { ada.human(&n.to_string()).await }
    }));
    let humans = humans.await;
    let statuses = futures_util::future::join_all(humans.iter().map(|human| async { human.me().await.status }));
    assert_eq!(statuses.await.iter().filter(|status| **status == 200).count(), 5);
    assert_eq!(org.get("/api/org/sessions").await.ok().items("items").len(), 6);
}

pub async fn sessions_end_with_their_token_and_bot(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let token = ada.post("/api/me/tokens", json!({"scopes": ["read"]})).await.ok();
    let by_token = ada.by(Caller::bearer(&hub, &token.text("token"))).human("Ann").await;
    let (by_primary, of_bob) = (ada.human("Ben").await, bob.human("Cy").await);
    by_token.me().await.ok();
    ada.delete(format!("/api/me/tokens/{}", token.id())).await.ok();
    by_token.me().await.refused(401, "AUTH_REQUIRED");
    by_primary.me().await.ok();
    assert_eq!(org.get("/api/org/sessions").await.ok().items("items").len(), 3);
    ada.delete("/api/me").await.ok();
    by_primary.me().await.refused(401, "SESSION_INVALID");
    of_bob.me().await.ok();
    assert_eq!(org.get("/api/org/sessions").await.ok()["items"].all("owner_name"), ["Cy", "?"]);
}

/// Somebody who left a browser logged in elsewhere had to ask an organisation's admin to end that session.
pub async fn owners_see_and_end_their_own_sessions(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let (here, lost, of_bob) = (ada.human("Ann").await, ada.human("Ann, at the library").await, bob.human("Cy").await);
    let mut socket = lost.socket().await;
    for caller in [&*here as &Caller, &*ada] {
        let listed = caller.get("/api/me/sessions").await.ok();
        assert_eq!(listed["items"].all("owner_name"), ["Ann, at the library", "Ann"]);
        assert!(listed["items"].all("bot_id").iter().all(|bot| *bot == ada.id), "{listed}");
    }
    let page = here.get("/api/me/sessions?limit=1&offset=1").await.ok();
    assert_eq!((page["items"].all("owner_name"), &page["has_more"]), (vec!["Ann"], &json!(false)));
    let reference = |listed: &Value, n: usize| listed["items"][n].text("ref");
    let listed = here.get("/api/me/sessions").await.ok();
    let foreign = reference(&of_bob.get("/api/me/sessions").await.ok(), 0);
    let admins = org.get("/api/org/sessions").await.ok();
    let admins = admins.items("items").iter().find(|session| session["role"] == "org_admin").unwrap().text("ref");
    for other in [foreign, admins, "0".repeat(16)] {
        here.delete(format!("/api/me/sessions/{other}")).await.missing();
    }
    here.delete("/api/me/sessions/nothing").await.refused(400, "INVALID_REF");
    here.delete(format!("/api/me/sessions/{}", reference(&listed, 1))).await.refused(400, "SELF_LOGOUT");
    let target = reference(&listed, 0);
    assert_eq!(here.delete(format!("/api/me/sessions/{target}")).await.ok(), json!({"deleted": true}));
    assert_eq!(socket.closed().await, 4002);
    lost.me().await.refused(401, "AUTH_REQUIRED");
    for session in [&here, &of_bob] {
        session.me().await.ok();
    }
    let row = &org.audit("auth.session_force_logout").await[0];
    assert_eq!((&row["bot_id"], &row["target_id"]), (&json!(ada.id), &json!(target)));
    let detail = json!({"target_role": "bot_owner", "target_bot_id": ada.id, "revoked_by": ada.id});
    assert_eq!(row["detail"], detail);
    let reader = ada.scoped(&["read"]).await.human("Ben").await;
    reader.get("/api/me/sessions").await.refused(403, "INSUFFICIENT_SCOPE");
    org.get("/api/me/sessions").await.forbidden();
    ada.delete(format!("/api/me/sessions/{}", reference(&listed, 1))).await.ok();
    here.me().await.refused(401, "AUTH_REQUIRED");
}

/// Whoever had a token for the profile only could log its owner out, by logging in often enough.
pub async fn logins_with_a_scoped_token_end_no_other_sessions(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let mut owners = Vec::new();
    for n in 0..5 {
        owners.push(ada.human(&format!("owner {n}")).await);
    }
    let (profile, reader) = (ada.scoped(&["profile"]).await, ada.scoped(&["read"]).await);
    let of_reader = reader.human("reader").await;
    let mut guests = Vec::new();
    for n in 0..7 {
        guests.push(profile.human(&format!("guest {n}")).await);
    }
    for session in owners.iter().chain([&of_reader]) {
        session.get("/api/auth/session").await.ok();
    }
    let mut statuses = Vec::new();
    for guest in &guests {
        statuses.push(guest.get("/api/auth/session").await.status);
    }
    assert_eq!(statuses, [401, 401, 200, 200, 200, 200, 200], "the oldest of its own");
    ada.human("one more").await;
    owners[0].me().await.refused(401, "AUTH_REQUIRED");
    of_reader.me().await.ok();
    let listed = ada.get("/api/me/sessions?limit=100").await.ok();
    assert_eq!(listed.items("items").len(), 11);
}
