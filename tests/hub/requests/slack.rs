//! Slack: messages that ask and change, answers by buttons, and what happens when Slack does not answer or the hub is killed.

use std::time::{Duration, Instant};

use crate::harness::*;

on_both_databases! {
    a_request_is_posted_and_its_message_follows_it with on_slack,
    what_was_written_takes_no_effect with on_slack,
    options_are_chosen_by_buttons with on_slack,
    only_slack_clicks with on_slack,
    strangers_are_refused_unless_the_organisation_lets_them with on_slack,
    rights_are_those_of_the_request with on_slack,
    who_is_late_is_told_so with on_slack,
    whoever_is_asked_next_is_told with on_slack,
    rate_limits_and_faults_are_waited_for with on_slack,
    after_the_last_failure_the_portal_remains with on_slack,
    without_slack_the_portal_remains,
}

const DORA: (&str, &str) = ("U0DORA", "dora.slack");
const STRANGER: (&str, &str) = ("U0OTHER", "otto");

/// An organisation with ada, and dora who is known in Slack.
async fn cast(hub: &TestHub) -> (Org, Bot, SlackChannel) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    let dora = org.person("dora", "responder").await;
    org.patch_person(&dora, json!({"slack_user_id": DORA.0})).await.ok();
    (org, ada, FakeSlack::shared().channel())
}

async fn ask_with(ada: &Bot, channel: &SlackChannel, mut fields: Value) -> String {
    fields["routing_hints"] = channel.hints("dora");
    ada.ask(question_with("dora", fields)).await.status(201).text("request_id")
}

async fn ask(ada: &Bot, channel: &SlackChannel) -> String {
    ask_with(ada, channel, json!({})).await
}

/// The delivery of a request's message, once it has this status.
async fn delivery(org: &Org, id: &str, status: &str) -> Value {
    eventually(async || org.request(id).await.ok()["slack"].clone(), |slack| slack["status"] == status).await
}

async fn said(call: Call) -> String {
    call.await.ok().text("text")
}

async fn a_request_is_posted_and_its_message_follows_it(hub: TestHub) {
    let (org, ada, channel) = cast(&hub).await;
    let id = ask(&ada, &channel).await;
    let post = channel.took(1).await.remove(0);
    assert_eq!(post.method, "chat.postMessage");
    assert_eq!(post.authorization, format!("Bearer {SLACK_TOKEN}"));
    assert_eq!(post.body["text"], "[HCP] APPROVAL request from ada: Deploy?");
    let link = format!("<https://hub.example/portal/?responder_id=dora&amp;request_id={id}|Open in the portal>");
    assert!(post.text().contains(&link), "{}", post.text());
    let sent = delivery(&org, &id, "sent").await;
    assert_eq!((&sent["channel_id"], &sent["error"]), (&json!(channel.id), &Value::Null));
    assert!(sent["message_ts"].is_string());
    let text = said(from_slack(&hub, &channel.click(DORA, "hcp_approve", &id))).await;
    assert_eq!(text, format!("Request approved. (ID: {id})"));
    let update = channel.took(2).await.remove(1);
    assert_eq!((update.method.as_str(), &update.body["ts"]), ("chat.update", &sent["message_ts"]));
    assert!(update.text().contains("*Answered:* approved by dora") && update.buttons().is_empty(), "{}", update.text());
    let answered = ada.request(&id).await.ok();
    assert_eq!(
        (&answered["response_data"], &answered["responded_by"]),
        (&json!({"decision": "approved"}), &json!("dora"))
    );
    let events = org.request_audit(&format!("?request_id={id}")).await.ok();
    let find = |kind: &str| {
        events["events"].as_array().unwrap().iter().find(|event| event["event_type"] == kind).unwrap().clone()
    };
    assert_eq!(find("SLACK_NOTIFIED")["payload"], json!({"channel_id": channel.id}));
    assert_eq!(
        (&find("CR_RESPONDED")["actor"], &find("SLACK_INTERACTION")["actor_type"]),
        (&json!("slack:U0DORA"), &json!("HUMAN"))
    );
    let cancelled = ask(&ada, &channel).await;
    channel.took(3).await;
    ada.cancel(&cancelled).await.ok();
    assert!(channel.took(4).await[3].text().contains("*Cancelled* by ada"));
    ask_with(&ada, &channel, json!({"timeout_policy": {"timeout_seconds": 1, "fallback": "BLOCK"}})).await;
    assert!(channel.took(6).await[5].text().contains("*Timed out* (fallback BLOCK)"));
    eventually(async || hub.metric("hub_slack_waiting").await, |waiting| *waiting == 0.0).await;
}

async fn what_was_written_takes_no_effect(hub: TestHub) {
    let (_, ada, channel) = cast(&hub).await;
    let (evil, long) = ("<!channel> & <https://evil.example|portal>", "&".repeat(5_000));
    ask_with(&ada, &channel, json!({"context_package": {"summary": evil, "detail": long}})).await;
    let post = channel.took(1).await.remove(0);
    assert!(post.text().contains("&lt;!channel&gt; &amp; &lt;https://evil.example|portal&gt;"), "{}", post.text());
    let texts = post.body["blocks"].as_array().unwrap().iter().filter_map(|block| block["text"]["text"].as_str());
    let texts: Vec<&str> = texts.collect();
    assert!(texts.iter().all(|text| text.chars().count() <= 3000));
    assert!(texts[3].ends_with("&amp;…") && texts[4].starts_with("<https://hub.example/portal/"), "{texts:?}");
}

async fn options_are_chosen_by_buttons(hub: TestHub) {
    let (_, ada, channel) = cast(&hub).await;
    let options: Vec<Value> =
        ["Red", "Green", "Blue"].iter().map(|label| json!({"key": label.to_lowercase(), "label": label})).collect();
    let choice = json!({"intent": "DECISION", "response_schema": {"type": "choice", "options": options}});
    let id = ask_with(&ada, &channel, choice).await;
    assert_eq!(channel.took(1).await[0].buttons(), ["hcp_option_0", "hcp_option_1", "hcp_option_2"]);
    for action in ["hcp_approve", "hcp_option_3"] {
        assert!(said(from_slack(&hub, &channel.click(DORA, action, &id))).await.contains("no such button"));
    }
    said(from_slack(&hub, &channel.click(DORA, "hcp_option_1", &id))).await;
    assert_eq!(ada.request(&id).await.ok()["response_data"], json!({"choice": "green"}));
    eventually(async || channel.taken(), |calls| calls.iter().any(|call| call.text().contains("Green by dora"))).await;
}

async fn only_slack_clicks(hub: TestHub) {
    let (org, ada, channel) = cast(&hub).await;
    let id = ask(&ada, &channel).await;
    let body = slack_form(&channel.click(DORA, "hcp_approve", &id).to_string());
    let (now, secret) = (now_ms() / 1000, SLACK_SECRETS[0]);
    let refused = [
        signed_by(&hub, "another secret", now, &body),
        signed_by(&hub, "", now, &body),
        signed_by(&hub, secret, now - 301, &body),
        signed_by(&hub, secret, now + 310, &body),
        signed_by(&hub, secret, now, &body).without("x-slack-signature"),
        signed_by(&hub, secret, now, &body).without("x-slack-request-timestamp"),
        signed_by(&hub, secret, now, &body).header("x-slack-request-timestamp", (now - 1).to_string()),
        signed_by(&hub, secret, now, &body).header("x-slack-signature", "v0=00"),
    ];
    for call in refused {
        call.await.refused(401, "INVALID_CREDENTIALS");
    }
    assert_eq!(org.request(&id).await.ok()["state"], "PENDING_RESPONSE");
    for payload in ["null", "[]", "3", "{", "{}", "", r#"{"type":"block_actions"}"#] {
        let unreadable = signed_by(&hub, secret, now, &slack_form(payload)).await.invalid();
        assert_eq!(unreadable["error"], "Invalid payload", "{payload}");
    }
    signed_by(&hub, secret, now, "other=1").await.invalid();
    let long = slack_form(&"x".repeat(300_000));
    signed_by(&hub, secret, now, &long).await.refused(413, "PAYLOAD_TOO_LARGE");
    for payload in [json!({"type": "shortcut"}), channel.click(DORA, "other", &id)] {
        let reply = from_slack(&hub, &payload).await;
        assert_eq!(reply.ok(), json!({}));
    }
    assert_eq!(said(from_slack(&hub, &channel.click(DORA, "hcp_approve", NOBODY))).await, "Request not found");
    let portal = ada.asked().await;
    assert_eq!(said(from_slack(&hub, &channel.click(DORA, "hcp_approve", &portal))).await, "Request not found");
    // The secret before is good while it is being replaced; a request is good once.
    signed_by(&hub, SLACK_SECRETS[1], now, &body).await.ok();
    assert_eq!(org.request(&id).await.ok()["state"], "RESPONDED");
    signed_by(&hub, SLACK_SECRETS[1], now, &body).await.refused(401, "INVALID_CREDENTIALS");
}

async fn strangers_are_refused_unless_the_organisation_lets_them(hub: TestHub) {
    let (org, ada, channel) = cast(&hub).await;
    let id = ask(&ada, &channel).await;
    channel.took(1).await;
    assert_eq!(ada.get("/v1/policy").await.ok()["slack_names"], false);
    let click = channel.click(STRANGER, "hcp_reject", &id);
    assert!(said(from_slack(&hub, &click)).await.contains("not known"));
    let calls = eventually(async || channel.taken(), |calls| calls.len() > 1).await;
    assert_eq!((&calls[1].body["response_type"], calls[1].authorization.as_str()), (&json!("ephemeral"), ""));
    let policy = json!({"auto_approve": {}, "slack_names": true});
    org.call("PUT", "/v1/policy").json(&json!({"auto_approve": {}, "slack_names": 1})).await.invalid();
    assert_eq!(org.call("PUT", "/v1/policy").json(&policy).await.ok()["slack_names"], true);
    let mut again = click;
    again["trigger_id"] = json!("2");
    said(from_slack(&hub, &again)).await;
    let answered = ada.request(&id).await.ok();
    assert_eq!(
        (&answered["response_data"], &answered["responded_by"]),
        (&json!({"decision": "rejected"}), &json!("slack:otto"))
    );
}

async fn rights_are_those_of_the_request(hub: TestHub) {
    let (org, ada, channel) = cast(&hub).await;
    let emil = org.person("emil", "responder").await;
    org.patch_person(&emil, json!({"slack_user_id": "U0EMIL"})).await.ok();
    let id = ask(&ada, &channel).await;
    let click = channel.click(("U0EMIL", "emil"), "hcp_approve", &id);
    assert_eq!(said(from_slack(&hub, &click)).await, "Request not found");
    org.patch_person(&emil, json!({"role": "coordinator", "is_disabled": true})).await;
    let mut again = click.clone();
    again["trigger_id"] = json!("2");
    let text = said(from_slack(&hub, &again)).await;
    assert!(text == "Request not found" || text.contains("not known"), "{text}");
    let other = hub.with_org("b").await;
    let stranger = other.person("dora", "coordinator").await;
    other.patch_person(&stranger, json!({"slack_user_id": "U0EVIL"})).await.ok();
    assert!(said(from_slack(&hub, &channel.click(("U0EVIL", "dora"), "hcp_approve", &id))).await.contains("not known"));
    assert_eq!(org.request(&id).await.ok()["state"], "PENDING_RESPONSE");
}

async fn who_is_late_is_told_so(hub: TestHub) {
    let (org, ada, channel) = cast(&hub).await;
    let id = ask(&ada, &channel).await;
    delivery(&org, &id, "sent").await;
    org.approve(&id).await.ok();
    channel.took(2).await;
    let text = said(from_slack(&hub, &channel.click(DORA, "hcp_reject", &id))).await;
    assert_eq!(text, "Request is already in state: RESPONDED");
    let calls = channel.took(4).await;
    assert_eq!(calls[2].body["text"], text.as_str());
    assert!(
        calls[3].body["replace_original"] == true && calls[3].text().contains("*Answered:* approved"),
        "{:?}",
        calls[3]
    );
    assert_eq!(org.request(&id).await.ok()["response_data"]["decision"], "approved");
}

async fn whoever_is_asked_next_is_told(hub: TestHub) {
    let (org, ada, channel) = cast(&hub).await;
    let timeout = json!({"timeout_seconds": 1, "fallback": "ESCALATE", "escalation_responder_id": "emil"});
    let id = ask_with(&ada, &channel, json!({"timeout_policy": timeout})).await;
    let calls = channel.took(3).await;
    let methods: Vec<&str> = calls.iter().map(|call| call.method.as_str()).collect();
    assert_eq!(methods, ["chat.postMessage", "chat.update", "chat.postMessage"]);
    assert!(calls[1].text().contains("*Reassigned* to emil") && calls[1].buttons().is_empty());
    assert!(calls[2].text().contains("responder_id=emil") && !calls[2].buttons().is_empty());
    // Both messages say how it ended.
    let calls = channel.took(5).await;
    let ends: Vec<&str> =
        calls[3..].iter().filter(|call| call.text().contains("*Timed out*")).map(|call| call.method.as_str()).collect();
    assert_eq!(ends, ["chat.update", "chat.update"]);
    assert_eq!(org.request(&id).await.ok()["state"], "TIMED_OUT");
}

async fn rate_limits_and_faults_are_waited_for(hub: TestHub) {
    let (org, ada, channel) = cast(&hub).await;
    channel.then([SlackAnswer::Later("2"), SlackAnswer::Status(500), SlackAnswer::Error("internal_error")]);
    let start = Instant::now();
    let id = ask(&ada, &channel).await;
    eventually(async || hub.metric(r#"hub_slack_calls_total{result="limited"}"#).await, |calls| *calls == 1.0).await;
    // Nothing else is sent meanwhile either.
    let other = FakeSlack::shared().channel();
    ask(&ada, &other).await;
    other.took(1).await;
    assert!(start.elapsed() >= Duration::from_millis(1_900), "{:?}", start.elapsed());
    channel.took(1).await;
    assert_eq!(channel.calls().len(), 4);
    delivery(&org, &id, "sent").await;
    assert_eq!(ada.steps(&id).await.iter().filter(|step| *step == "SLACK_NOTIFIED").count(), 1);
}

async fn after_the_last_failure_the_portal_remains(hub: TestHub) {
    let (org, ada, channel) = cast(&hub).await;
    channel.always(SlackAnswer::Error("channel_not_found"));
    let id = ask(&ada, &channel).await;
    let failed = delivery(&org, &id, "failed").await;
    assert_eq!((&failed["error"], &failed["message_ts"]), (&json!("channel_not_found"), &Value::Null));
    assert_eq!(ada.steps(&id).await.last().unwrap(), "SLACK_FAILED");
    assert_eq!(channel.calls().len(), 1, "what is refused is not repeated");
    org.approve(&id).await.ok();
    assert_eq!(ada.request(&id).await.ok()["state"], "DELIVERED");
}

async fn without_slack_the_portal_remains(hub: TestHub) {
    let (org, ada, channel) = cast(&hub).await;
    let id = ask(&ada, &channel).await;
    let request = org.request(&id).await.ok();
    assert_eq!((&request["slack"]["status"], &request["slack"]["error"]), (&json!("failed"), &json!("not_configured")));
    assert_eq!(ada.steps(&id).await, ["CR_SUBMITTED", "CR_ROUTING", "CR_PENDING_RESPONSE", "SLACK_FAILED"]);
    from_slack(&hub, &channel.click(DORA, "hcp_approve", &id)).await.refused(401, "INVALID_CREDENTIALS");
    org.approve(&id).await.ok();
}

#[test]
fn kill_9_loses_no_message_sqlite() {
    block_on(kill_while_slack_is_away(Db::Sqlite));
}

#[test]
fn kill_9_loses_no_message_postgres() {
    block_on(kill_while_slack_is_away(Db::Postgres));
}

async fn kill_while_slack_is_away(kind: Db) {
    let Some(database) = Database::fresh(kind) else { return };
    let (url, secrets) = (FakeSlack::shared().url(), SLACK_SECRETS.join(","));
    let env = [("SLACK_BOT_TOKEN", SLACK_TOKEN), ("SLACK_SIGNING_SECRET", &*secrets), ("SLACK_API_BASE", &*url)];
    let mut process = ProcessHub::with_env(database, &env).await;
    let (org, ada, channel) = cast(&process.hub.clone()).await;
    let mut asked = Vec::new();
    for cycle in 0..3 {
        channel.always(if cycle == 1 { SlackAnswer::Cut } else { SlackAnswer::Taken });
        for _ in 0..10 {
            asked.push(ask(&ada, &channel).await);
        }
        tokio::time::sleep(Duration::from_millis(40 * cycle)).await;
        process.kill_9();
        process.start().await;
    }
    channel.always(SlackAnswer::Taken);
    for id in &asked {
        delivery(&org, id, "sent").await;
        let posts = channel.taken().into_iter().filter(|call| call.text().contains(id.as_str()));
        // A message that was taken at the moment of the kill comes once more.
        assert!((1..=4).contains(&posts.count()), "{id}");
        assert_eq!(ada.steps(id).await.iter().filter(|step| *step == "SLACK_NOTIFIED").count(), 1, "{id}");
    }
    let before = channel.taken().len();
    for id in &asked {
        org.approve(id).await.ok();
    }
    let calls = channel.took(before + asked.len()).await;
    assert!(calls[before..].iter().all(|call| call.method == "chat.update"));
}
