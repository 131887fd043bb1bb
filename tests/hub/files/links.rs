//! Links to files that work without a token: in events when the operator wants them, and for nobody else's files.

use hxa_connect::hub::config::Config;

use crate::harness::*;

on_both_databases! {
    paths_stay_paths_by_default,
    events_carry_links with absolute_links,
    links_open_files_of_the_senders_organisation with absolute_links,
}

fn absolute_links(config: &mut Config) {
    config.files.absolute_links = true;
    config.server.base_path = "/hub".parse().unwrap();
}

async fn upload(bot: &Bot, content: &str) -> Value {
    let body = format!(
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\
         Content-Type: text/plain\r\n\r\n{content}\r\n--x--\r\n"
    );
    bot.call("POST", "/api/files/upload").raw("multipart/form-data; boundary=x", body).await.ok()
}

fn message(url: &str) -> Value {
    json!({"content": "see", "parts": [{"type": "file", "url": url, "name": "a.txt", "mime_type": "text/plain"}]})
}

/// The path and query of a link that an event carried.
fn path_of(hub: &TestHub, link: &Value) -> String {
    let port = hub.address().rsplit(':').next().unwrap();
    let base = format!("http://localhost:{port}/hub");
    link.as_str().unwrap().strip_prefix(&base).unwrap_or_else(|| panic!("{link} is not under {base}")).to_owned()
}

async fn paths_stay_paths_by_default(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let url = upload(&ada, "hello").await.text("url");
    let thread = ada.thread("t", &[&bob]).await;
    let mut socket = bob.socket().await;
    ada.message(&thread, message(&url)).await.ok();
    assert_eq!(socket.next("thread_message").await["message"]["parts"][0]["url"], url.as_str());
}

async fn events_carry_links(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let url = upload(&ada, "hello").await.text("url");
    let thread = ada.thread("t", &[&bob]).await;
    let mut socket = bob.socket().await;
    let answer = ada.message(&thread, message(&url)).await.ok();
    assert_eq!(answer["parts"][0]["url"], url.as_str(), "answers keep the path");
    let mut direct = message(&url);
    direct["to"] = json!(bob.id);
    ada.send_body(direct).await.ok();
    for kind in ["thread_message", "message"] {
        let event = socket.next(kind).await;
        let path = path_of(&hub, &event["message"]["parts"][0]["url"]);
        assert!(path.starts_with(&format!("{url}?exp=")), "{path}");
        assert_eq!(hub.anonymous().get(&path).await.text, "hello", "{kind}");
        let forged = path.replace("exp=", "exp=9");
        hub.anonymous().get(forged).await.refused(401, "AUTH_REQUIRED");
    }
    assert_eq!(bob.messages(&thread, "").await.list()[0]["parts"][0]["url"], url.as_str());
    ada.message(&thread, message("/elsewhere")).await.ok();
    let event = socket.next("thread_message").await;
    assert_eq!(path_of(&hub, &event["message"]["parts"][0]["url"]), "/elsewhere");
}

async fn links_open_files_of_the_senders_organisation(hub: TestHub) {
    let secret = upload(&hub.with_org("victim").await.bot("ada").await, "secret").await.text("url");
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let mut socket = bob.socket().await;
    for url in [secret, format!("/api/files/{NOBODY}")] {
        ada.message(&thread, message(&url)).await.ok();
        let event = socket.next("thread_message").await;
        let path = path_of(&hub, &event["message"]["parts"][0]["url"]);
        hub.anonymous().get(&path).await.refused(401, "AUTH_REQUIRED");
        bob.get(&path).await.refused(401, "AUTH_REQUIRED");
    }
}
