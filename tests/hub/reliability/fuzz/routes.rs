//! Every route with random paths, queries, headers and bodies, called by all kinds of callers; and uploads.
//!
//! The answer is never a 5xx, and a refusal has a code. Some calls destroy their caller or the organisation, so both are
//! made anew from time to time.

use futures_util::StreamExt;

use super::{Noise, Patient, on_patients, roomy_org, scaled};
use crate::harness::*;

on_patients! { routes, uploads }

/// Calls made with one organisation.
const EPISODE: usize = 250;
/// Calls under way at a time.
const AT_ONCE: usize = 8;

/// Routes that end callers; called less often than others, so that there are callers left for those.
const ENDS: [&str; 9] = [
    "DELETE /api/me",
    "POST /api/me/rotate-token",
    "POST /api/org/rotate-secret",
    "POST /api/orgs/{org_id}/rotate-secret",
    "DELETE /api/orgs/{org_id}",
    "PATCH /api/orgs/{org_id}",
    "DELETE /api/bots/{id}",
    "PATCH /api/org/bots/{bot_id}/status",
    "DELETE /api/org/sessions/{reference}",
];

/// A route of the inventory.
#[derive(Clone)]
struct Route {
    method: String,
    path: String,
    /// A body that fits, where the document shows one.
    body: Option<Value>,
    query: Vec<String>,
}

async fn inventory(hub: &TestHub) -> Vec<Route> {
    let document = hub.anonymous().get("/openapi.json").await.ok();
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let shown = &operation["requestBody"]["content"]["application/json"];
            let body = shown.get("example").or_else(|| shown["examples"].as_object()?.values().next()?.get("value"));
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let query = parameters.iter().filter(|it| it["in"] == "query").map(|it| it.text("name")).collect();
            routes.push(Route { method: method.to_uppercase(), path: path.clone(), body: body.cloned(), query });
        }
    }
    assert!(routes.len() > 80, "the inventory");
    routes
}

async fn routes(patient: &Patient, mut noise: Noise) -> usize {
    let hub = patient.hub();
    let inventory = inventory(hub).await;
    let (cases, mut done, mut statuses) = (scaled(5_000), 0, std::collections::BTreeMap::new());
    while done < cases {
        let callers = callers(hub, &mut noise).await;
        let calls: Vec<Call> = (0..EPISODE).map(|_| call(&mut noise, &inventory, &callers)).collect();
        let mut answers = futures_util::stream::iter(calls).map(Call::answered).buffer_unordered(AT_ONCE);
        while let Some(reply) = answers.next().await {
            judge(&reply);
            *statuses.entry(reply.status).or_insert(0) += 1;
            done += 1;
        }
    }
    println!("{statuses:?}");
    assert!(statuses.get(&200).is_some_and(|good| good * 20 > cases), "too few calls get anywhere: {statuses:?}");
    done
}

fn judge(reply: &Reply) {
    assert!(reply.status < 500, "{}: {} {}", reply.what, reply.status, reply.text);
    if reply.status >= 400 && !reply.what.starts_with("HEAD") {
        assert!(reply["code"].is_string(), "{}: {}", reply.what, reply.text);
    }
    let kind = reply.header("content-type").unwrap_or_default();
    assert!(reply.text.is_empty() || !kind.is_empty(), "{} has no content type", reply.what);
}

/// Everybody who can call, in an organisation of their own; the noise learns what there is.
async fn callers(hub: &TestHub, noise: &mut Noise) -> Vec<Caller> {
    let org = roomy_org(hub).await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let boss = org.admin_bot("boss").await;
    let thread = ada.thread("t", &[&bob, &boss]).await;
    let artifact = ada.artifact_add(&thread, json!({"artifact_key": "k", "content": "c"})).await.ok();
    let dm = ada.send(&bob, "c").await.ok();
    let closed = bob.thread("u", &[&ada]).await;
    let message = ada.say(&thread, "m").await.ok().text("id");
    let other = hub.with_org("other").await;
    let waiting = ada.thread_create(json!({"topic": "w", "join_policy": "approval"})).await.ok();
    let request = bob.join(&waiting).await.status(202).text("request_id");
    let foreign = other.bot("finn").await.thread("f", &[]).await;
    let token = ada.post("/api/me/tokens", json!({"scopes": ["read"]})).await.ok();
    noise.words = vec![
        ada.id.clone(),
        bob.id.clone(),
        boss.id.clone(),
        org.id.clone(),
        thread.id(),
        closed.id(),
        waiting.id(),
        foreign.id(),
        artifact.id(),
        dm.text("channel_id"),
        message,
        request,
        token.id(),
        token.text("token"),
        org.ticket.clone(),
        "ada".into(),
        "bob".into(),
        "k".into(),
        NOBODY.into(),
    ];
    let scoped = ada.scoped(&["read", "message"]).await;
    let human = bob.human("Ann").await;
    let mut callers: Vec<Caller> =
        [&ada, &ada, &ada, &bob, &boss, &boss, &scoped, &human].map(|bot| (**bot).clone()).to_vec();
    callers.extend([(*org).clone(), (*org).clone(), hub.super_admin().await.clone(), hub.anonymous()]);
    callers.push(Caller::bearer(hub, &noise.escaped("bot_\u{1}👍")));
    callers
}

/// A request to some route by somebody. The platform admin's session is shared, so it is kept from logging out.
fn call(noise: &mut Noise, inventory: &[Route], callers: &[Caller]) -> Call {
    let mut route = noise.pick(inventory).clone();
    let name = format!("{} {}", route.method, route.path);
    if ENDS.contains(&name.as_str()) && !noise.once_in(12) {
        route = noise.pick(inventory).clone();
    }
    let is_end = ["/api/auth/logout", "/api/auth/login", "/v0/api/auth/login"].contains(&route.path.as_str());
    let caller = if is_end { callers[0].hub.anonymous() } else { noise.pick(callers).clone() };
    let mut path = String::new();
    for part in route.path.split('/').skip(1) {
        let part = match part.starts_with('{') {
            true if noise.once_in(5) => noise.text(),
            true => noise.word(),
            false => part.to_owned(),
        };
        let part: String = part.chars().take(500).collect();
        path = format!("{path}/{}", noise.escaped(&part));
    }
    path.push('?');
    for name in &route.query {
        if noise.once_in(2) {
            let value: String =
                if noise.once_in(2) { noise.below(100).to_string() } else { noise.text().chars().take(300).collect() };
            path = format!("{path}{name}={}&", noise.escaped(&value));
        }
    }
    let method = match noise.below(30) {
        0 => *noise.pick(&["GET", "POST", "PATCH", "DELETE", "PUT", "OPTIONS", "HEAD", "BREW"]),
        _ => route.method.as_str(),
    };
    let mut call = caller.call(method, &path);
    // An address of its own each, so that failed logins do not lock everybody out.
    call = call.header("x-forwarded-for", format!("10.{}.{}.{}", noise.below(256), noise.below(256), noise.below(256)));
    if noise.once_in(4) {
        call = with_header(noise, call);
    }
    with_body(noise, call, &route)
}

fn with_header(noise: &mut Noise, call: Call) -> Call {
    let name = *noise.pick(&[
        "if-match",
        "if-none-match",
        "x-org-id",
        "idempotency-key",
        "x-request-id",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "origin",
        "cookie",
        "authorization",
        "range",
        "accept-encoding",
        "content-encoding",
        "expect",
    ]);
    let value: String = noise.text().chars().filter(|c| ('\u{20}'..'\u{7f}').contains(c)).take(400).collect();
    let value = if name == "expect" { "100-continue".to_owned() } else { value };
    call.header(name, value)
}

fn with_body(noise: &mut Noise, call: Call, route: &Route) -> Call {
    let good = route.body.clone().unwrap_or_else(|| json!({}));
    let good = with_known(noise, good);
    match noise.below(12) {
        0..=4 => {
            let body = noise.mutated(good);
            call.json(&body)
        }
        5..=7 => call.json(&good),
        8 => call.json(&noise.json(4)),
        9 => {
            let body = noise.garbled(&good.to_string());
            call.raw("application/json", body)
        }
        10 => {
            let kind = *noise.pick(&[
                "text/plain",
                "application/json; charset=utf-16",
                "multipart/form-data",
                "ada",
                "application/xml",
            ]);
            let body = noise.bytes(300);
            call.raw(kind, body)
        }
        _ => call,
    }
}

/// The document's example with ids and names that exist, and without hosts that would be looked up.
fn with_known(noise: &mut Noise, value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| {
                let known = match key.as_str() {
                    "to" | "bot_id" => json!(noise.word()),
                    "org_id" | "ticket" => json!(noise.word()),
                    "participants" | "members" => json!([noise.word()]),
                    "webhook_url" => {
                        json!(noise.pick(&["https://10.0.0.1/x", "https://127.1/", "ftp://1.2.3.4/", "https://[::]/"]))
                    }
                    _ => with_known(noise, value),
                };
                (key, known)
            })
            .collect(),
        other => other,
    }
}

async fn uploads(patient: &Patient, mut noise: Noise) -> usize {
    let (mut done, cases) = (0, scaled(1_000));
    let ada = roomy_org(patient.hub()).await.bot("ada").await;
    let mut stored = 0;
    while done < cases {
        let calls: Vec<Call> = (0..100).map(|_| upload(&mut noise, &ada)).collect();
        let mut answers = futures_util::stream::iter(calls).map(Call::answered).buffer_unordered(4);
        while let Some(reply) = answers.next().await {
            judge(&reply);
            stored += usize::from(reply.status == 200);
            done += 1;
        }
    }
    assert!(stored > cases / 20, "only {stored} of {cases} uploads were good");
    done
}

/// A form that is nearly right: several parts, odd names and types, a boundary that never comes.
fn upload(noise: &mut Noise, ada: &Bot) -> Call {
    let boundary = noise
        .pick(&["b", "----WebKitFormBoundaryA", "'()+_,-./:=?", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"])
        .to_string();
    let mut body = Vec::new();
    let parts = if noise.once_in(8) { noise.below(5) } else { 1 };
    for _ in 0..parts {
        let name = if noise.once_in(6) { noise.text() } else { "file".to_owned() };
        let file = if noise.once_in(3) { noise.text() } else { "a.txt".to_owned() };
        let file: String = file.chars().filter(|c| !"\r\n".contains(*c) || noise.once_in(10)).collect();
        let kind =
            *noise.pick(&["text/plain", "image/png", "application/pdf", "text/html", "x/y", "", "image/svg+xml"]);
        let disposition = match noise.below(12) {
            0 => noise.text(),
            1 => format!("form-data; name={name}; filename*=UTF-8''{}", noise.escaped(&file)),
            _ => format!("form-data; name=\"{name}\"; filename=\"{file}\""),
        };
        body.extend(
            format!("--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: {kind}\r\n\r\n").into_bytes(),
        );
        match noise.below(10) {
            0 => body.extend(vec![b'x'; noise.below(1_300_000)]),
            1 => body.extend(noise.bytes(500)),
            2 => body.extend(b"\x89PNG\r\n\x1a\n0000"),
            _ => body.extend(noise.text().into_bytes()),
        }
        body.extend(b"\r\n");
    }
    if !noise.once_in(10) {
        body.extend(format!("--{boundary}--\r\n").into_bytes());
    }
    if noise.once_in(10) {
        let at = noise.below(body.len() + 1);
        body.truncate(at);
    }
    let stated = if noise.once_in(15) { noise.escaped("other") } else { format!("\"{boundary}\"") };
    ada.call("POST", "/api/files/upload").raw(&format!("multipart/form-data; boundary={stated}"), body)
}
