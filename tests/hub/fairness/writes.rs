//! Every write has a budget, per bot and per organisation: who uses up its own is told so, and nobody else notices.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hxa_connect::domain::budget::Budget;
use hxa_connect::hub::config::Config;

use crate::harness::*;

on_both_databases! {
    every_kind_of_write_has_a_budget with small,
    an_organisation_has_a_budget_too with small,
    sockets_and_rest_draw_on_the_same_budget with small,
    what_carries_more_costs_more,
    what_an_organisation_raises_raises_its_budgets with small,
    refusals_that_are_noted_have_a_budget with few_refusals,
    registrations_are_charged_to_their_ticket with few_registrations,
    logins_and_founders_have_a_budget with few_logins,
}

/// Members of three kinds may make eight writes a minute, their organisation twelve.
fn small(config: &mut Config) {
    let budgets = &mut config.budgets;
    for budget in [
        &mut budgets.messages,
        &mut budgets.threads,
        &mut budgets.memberships,
        &mut budgets.artifacts,
        &mut budgets.files,
        &mut budgets.profiles,
        &mut budgets.credentials,
        &mut budgets.admin,
    ] {
        *budget = Budget::per_minute(8, 12);
    }
}

fn few_refusals(config: &mut Config) {
    config.budgets.refusals = Budget::per_minute(3, 5);
}

fn few_registrations(config: &mut Config) {
    config.budgets.registrations = Budget::per_minute(4, 10);
}

fn few_logins(config: &mut Config) {
    config.budgets.logins = Budget::per_minute(2, 4);
    config.budgets.registrations = Budget::per_minute(3, 5);
}

/// Writes until a budget is used up; how many were made, and the refusal.
async fn until_refused<Fut: Future<Output = Reply>>(mut write: impl FnMut(usize) -> Fut) -> (usize, Reply) {
    for n in 0..40 {
        let reply = write(n).await;
        if reply.status == 429 {
            return (n, reply);
        }
        assert!(reply.status < 300, "{}: {:.300}", reply.status, reply.text);
    }
    panic!("nothing was ever refused");
}

/// The refusal says what is used up, by whom, and when to come back.
fn check(kind: &str, whose: &str, reply: Reply) {
    let wait = reply.header("retry-after").unwrap_or_else(|| panic!("{kind}: no Retry-After")).to_owned();
    assert_eq!(reply.header("ratelimit-policy").is_some(), reply.header("ratelimit-remaining").is_some());
    assert!(reply.header("ratelimit-limit").is_some_and(|limit| limit.parse::<u32>().is_ok()), "{kind}");
    let body = reply.refused(429, "RATE_LIMITED");
    assert_eq!((body["limit"].as_str(), body["scope"].as_str()), (Some(kind), Some(whose)), "{body}");
    assert_eq!(body["retry_after"].to_string(), wait, "{body}");
    assert!(body["error"].as_str().unwrap().contains(whose), "{body}");
}

async fn every_kind_of_write_has_a_budget(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = &org.bots(["ada", "bob"]).await;
    let thread = &ada.thread("t", &[bob]).await;
    let id = || thread["id"].as_str().unwrap();
    let profile = |n: usize| ada.patch("/api/me/profile", json!({"bio": n.to_string()})).answered();
    let rename = |n: usize| ada.patch("/api/me/name", json!({"name": format!("ada{n}")})).answered();
    let hook =
        |n: usize| ada.patch("/api/me/webhook", json!({"webhook_url": format!("https://8.8.8.8/{n}")})).answered();
    let toggle = |n: usize| ada.status(thread, if n.is_multiple_of(2) { "blocked" } else { "active" }).answered();
    let artifact =
        |n: usize| ada.artifact_add(thread, json!({"artifact_key": n.to_string(), "content": "c"})).answered();
    let label =
        |n: usize| ada.patch(format!("/api/threads/{}/participants/bob", id()), json!({"label": n.to_string()}));
    let invite = |n: usize| if n.is_multiple_of(2) { ada.remove(thread, &bob.id) } else { ada.invite(thread, bob) };
    let token = |_: usize| ada.post("/api/me/tokens", json!({"scopes": ["read"]})).answered();
    let ticket = |_: usize| org.post("/api/org/tickets", json!({})).answered();
    let setting = |n: usize| org.settings(json!({"message_ttl_days": n + 1})).answered();
    let upload = |n: usize| ada.upload(&format!("{n}.txt"), "text").answered();
    let say = |n: usize| ada.say(thread, &n.to_string()).answered();
    check("profile", "bot", until_refused(profile).await.1);
    // One budget for the kind, not one for each route.
    check("profile", "bot", rename(0).await);
    check("profile", "bot", hook(0).await);
    check("thread", "bot", until_refused(toggle).await.1);
    check("artifact", "bot", until_refused(artifact).await.1);
    check("membership", "bot", until_refused(|n| invite(n).answered()).await.1);
    check("membership", "bot", label(0).await);
    check("credential", "bot", until_refused(token).await.1);
    // Its bot has used most of what the organisation has.
    check("credential", "organisation", until_refused(ticket).await.1);
    check("admin", "bot", until_refused(setting).await.1);
    check("file", "bot", until_refused(upload).await.1);
    check("message", "bot", until_refused(say).await.1);
    // Others of the organisation go on, and reading is free.
    bob.patch("/api/me/profile", json!({"bio": "y"})).await.ok();
    ada.me().await.ok();
    let metrics = hub.anonymous().get("/metrics").await;
    assert!(metrics.text.contains("hub_rate_limited_total{limit=\"artifact_bot\"} 1"), "{}", metrics.text);
}

async fn an_organisation_has_a_budget_too(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let dora = other.bot("dora").await;
    let bio = |bot: &Bot| bot.patch("/api/me/profile", json!({"bio": "b"})).answered();
    assert_eq!(until_refused(|_| bio(&ada)).await.0, 8);
    assert_eq!(until_refused(|_| bio(&bob)).await.0, 4);
    check("profile", "organisation", bio(&cleo).await);
    // Whoever is refused because of its organisation has spent nothing of its own.
    let own = bio(&cleo).await;
    assert_eq!(own.body["scope"], "organisation", "{}", own.text);
    bio(&dora).await.ok();
}

async fn sockets_and_rest_draw_on_the_same_budget(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = &org.bots(["ada", "bob"]).await;
    let thread = &ada.thread("t", &[bob]).await;
    let mut socket = bob.socket().await;
    let add = |n: usize| json!({"artifact_key": n.to_string(), "content": "c", "type": "text"});
    for n in 0..4 {
        bob.artifact_add(thread, add(n)).await.ok();
        let (mut frame, key) = (add(n), format!("s{n}"));
        frame["type"] = json!("artifact_add");
        frame["artifact_key"] = json!(key);
        frame["thread_id"] = thread["id"].clone();
        socket.op(frame).await.ack();
    }
    let frame = json!({"type": "artifact_add", "thread_id": thread["id"], "artifact_key": "late", "content": "c"});
    let refused = socket.op(frame).await.refused("RATE_LIMITED");
    assert_eq!((refused["limit"].as_str(), refused["scope"].as_str()), (Some("artifact"), Some("bot")), "{refused}");
    assert!(refused["retry_after"].as_u64().is_some_and(|wait| wait > 0) && refused.get("ref").is_some(), "{refused}");
    check("artifact", "bot", bob.artifact_add(thread, add(9)).await);
    assert_eq!(ada.artifacts(thread).await.list().len(), 8);
}

/// A bot stored 400 artifacts of 1 MiB without meeting any rate; it may store nine at once now, and nine a minute.
async fn what_carries_more_costs_more(hub: TestHub) {
    let ada = &hub.with_org("a").await.bot("ada").await;
    let thread = &ada.thread("t", &[]).await;
    let large = "x".repeat(900_000);
    let add = |n: usize| ada.artifact_add(thread, json!({"artifact_key": n.to_string(), "content": large})).answered();
    let (stored, refused) = until_refused(add).await;
    // 55 units each out of 1,200, and what comes back while they are stored.
    assert!((21..=36).contains(&stored), "{stored}");
    assert!(refused["error"].as_str().unwrap().contains("costs 55 of 1200 units"), "{}", refused.text);
    check("artifact", "bot", refused);
    ada.artifact_add(thread, json!({"artifact_key": "small", "content": "c"})).await.ok();
}

async fn what_an_organisation_raises_raises_its_budgets(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = &org.bot("ada").await;
    let bio = |n: usize| ada.patch("/api/me/profile", json!({"bio": n.to_string()})).answered();
    assert_eq!(until_refused(bio).await.0, 8);
    org.settings(json!({"messages_per_minute_per_bot": 480})).await.ok();
    let (more, _) = until_refused(bio).await;
    assert!((24..=40).contains(&more), "four times as much: {more}");
    // As load tests raise them: nothing is limited any more.
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000_000})).await.ok();
    for n in 0..60 {
        bio(n).await.ok();
    }
}

async fn refusals_that_are_noted_have_a_budget(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = &org.bots(["ada", "bob"]).await;
    let policy = json!({"manage": ["initiator"], "write": ["initiator"]});
    let body = json!({"topic": "t", "participants": [bob.id], "permission_policy": policy});
    let thread = &ada.thread_create(body).await.ok();
    let denied = || bob.thread_patch(thread, json!({"visibility": "members"})).answered();
    for _ in 0..3 {
        denied().await.forbidden();
    }
    check("refusal", "bot", denied().await);
    check("refusal", "bot", bob.say(thread, "hello").await);
    let noted = org.audit("thread.permission_denied").await.len();
    assert_eq!(noted, 3, "what is beyond the budget leaves no row");
    // Who is not refused is not charged.
    ada.thread_patch(thread, json!({"topic": "new"})).await.ok();
    bob.thread_get(thread).await.ok();
}

async fn registrations_are_charged_to_their_ticket(hub: TestHub) {
    let org = hub.with_org("a").await;
    let register = |n: usize| org.register(json!({"ticket": org.ticket, "name": format!("bot{n}")})).answered();
    let (made, refused) = until_refused(register).await;
    assert_eq!(made, 4);
    check("registration", "bot", refused);
    let ticket = org.post("/api/org/tickets", json!({"reusable": true})).await.ok();
    org.register(json!({"ticket": ticket["ticket"], "name": "by-another-ticket"})).await.ok();
    org.admin_bot("by-the-secret").await;
    hub.with_org("b").await.bot("elsewhere").await;
}

async fn logins_and_founders_have_a_budget(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = &org.bots(["ada", "bob"]).await;
    let login = |bot: &Bot| {
        let body = json!({"type": "bot", "token": bot.secret(), "owner_name": "o"});
        hub.anonymous().post("/api/auth/login", body).answered()
    };
    let (made, refused) = until_refused(|_| login(ada)).await;
    assert_eq!(made, 2);
    check("login", "bot", refused);
    bob.human("Ann").await.me().await.ok();
    let code = hub.invite_code(json!({})).await;
    let found = |n: usize| {
        let body = json!({"invite_code": code, "name": format!("o{n}")});
        hub.anonymous().post("/api/platform/orgs", body).answered()
    };
    let (made, refused) = until_refused(found).await;
    assert_eq!(made, 3);
    check("registration", "bot", refused);
}

/// The public interface shows no tables; what one holds is looked at in the process.
#[test]
fn the_table_of_budgets_forgets_who_is_idle() {
    let Some(database) = Database::fresh(Db::Sqlite) else { return };
    run_beside(&database, &[quick], async |hub, inside| {
        let org = hub.with_org("a").await;
        for n in 0..20 {
            let bot = org.bot(&format!("bot{n}")).await;
            bot.patch("/api/me/profile", json!({"bio": "b"})).await.ok();
        }
        let used = || inside.orgs_in_use().iter().map(|org| org.budgets.members()).sum::<usize>();
        assert!(used() >= 20, "{}", used());
        let swept = async || {
            hxa_connect::hub::janitor::sweep_budgets(&inside);
            used()
        };
        eventually(swept, |left| *left == 0).await;
    });
}

/// A minute's worth comes back at once, nearly.
fn quick(config: &mut Config) {
    config.budgets.profiles = Budget::per_minute(600_000, 600_000);
    config.budgets.registrations = Budget::per_minute(600_000, 600_000);
    config.budgets.credentials = Budget::per_minute(600_000, 600_000);
    config.budgets.logins = Budget::per_minute(600_000, 600_000);
}

// --- what a neighbour notices ---

/// How long each attack lasts, and how many of its requests are under way.
const ATTACK: Duration = Duration::from_secs(1);
const AT_ONCE: usize = 32;

const ATTACKS: [&str; 11] = [
    "profiles",
    "renames",
    "denied changes",
    "tokens",
    "large artifacts",
    "invitations",
    "status changes",
    "registrations",
    "logins",
    "tickets",
    "settings",
];

/// One tenant writes as fast as it can, kind by kind; what its neighbour waits for an answer meanwhile is the figure.
#[test]
fn a_neighbour_hardly_notices() {
    for db in [Db::Sqlite, Db::Postgres] {
        block_on(neighbours(db));
    }
}

/// An organisation that attacks: bots, and what they write to.
struct Attacker {
    org: Org,
    bots: Vec<Bot>,
    threads: Vec<Value>,
    large: String,
}

impl Attacker {
    async fn new(hub: &TestHub) -> Self {
        let org = hub.with_org("hostile").await;
        let (mut bots, mut threads) = (Vec::new(), Vec::new());
        for n in 0..8 {
            bots.push(org.bot(&format!("bot{n}")).await);
        }
        let ids: Vec<&String> = bots.iter().map(|bot| &bot.id).collect();
        for bot in &bots {
            let policy = json!({"manage": ["initiator"]});
            let body = json!({"topic": "t", "permission_policy": policy, "participants": ids});
            threads.push(bot.thread_create(body).await.ok());
        }
        Self { org, bots, threads, large: "x".repeat(900_000) }
    }

    /// The `n`th request of an attack.
    fn request(&self, attack: &str, n: usize) -> Call {
        let (bot, thread) = (&self.bots[n % self.bots.len()], &self.threads[n % self.threads.len()]);
        let (next, name) = (&self.bots[(n + 1) % self.bots.len()], format!("n{n}"));
        match attack {
            "profiles" => bot.patch("/api/me/profile", json!({"bio": name})),
            "renames" => bot.patch("/api/me/name", json!({"name": name})),
            "denied changes" => next.thread_patch(thread, json!({"visibility": "members"})),
            "tokens" => bot.post("/api/me/tokens", json!({"scopes": ["read"]})),
            "large artifacts" => {
                let body = format!("{{\"artifact_key\":\"{name}\",\"content\":\"{}\"}}", self.large);
                bot.artifact_add(thread, json!({})).raw("application/json", body)
            }
            "invitations" if (n / 8).is_multiple_of(2) => bot.remove(thread, &next.id),
            "invitations" => bot.invite(thread, next),
            "status changes" => bot.status(thread, if (n / 8).is_multiple_of(2) { "blocked" } else { "active" }),
            "registrations" => self.org.register(json!({"ticket": self.org.ticket, "name": name})),
            "logins" => {
                let body = json!({"type": "bot", "token": bot.secret(), "owner_name": "o"});
                bot.hub.anonymous().post("/api/auth/login", body)
            }
            "tickets" => bot.call("POST", "/api/ws-ticket"),
            "settings" => self.org.settings(json!({"message_ttl_days": n + 1})),
            other => panic!("no attack is called {other}"),
        }
    }

    /// Requests as fast as they are answered, for a while; how many, and how many of them were refused by a limit.
    async fn attack(&self, attack: &str) -> (usize, usize) {
        let until = Instant::now() + ATTACK * u32::try_from(chaos::times(1)).unwrap();
        let hand = async |hand: usize| {
            let (mut sent, mut limited) = (0, 0);
            while Instant::now() < until {
                let reply = self.request(attack, hand + sent * AT_ONCE).await;
                assert!(reply.status < 500, "{attack}: {} {:.300}", reply.status, reply.text);
                limited += usize::from(reply.status == 429 || reply["code"] == "LIMIT_REACHED");
                sent += 1;
            }
            (sent, limited)
        };
        let hands = join_all((0..AT_ONCE).map(hand)).await;
        hands.into_iter().fold((0, 0), |(sent, limited), hand| (sent + hand.0, limited + hand.1))
    }
}

/// Which attack is under way, and what each came to; told by the attacker, who has a thread to itself so that its own work
/// is not taken for the hub's.
type Course = Arc<Mutex<Vec<Option<(usize, usize)>>>>;

fn attacker(url: String, course: Course) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        block_on(async {
            let attacker = Attacker::new(&TestHub::at(&url)).await;
            for attack in ATTACKS {
                course.lock().unwrap().push(None);
                let outcome = attacker.attack(attack).await;
                *course.lock().unwrap().last_mut().unwrap() = Some(outcome);
            }
        });
    })
}

/// A message and a read, over and over, while the attacks go on; the waits, attack by attack.
async fn watch(bot: &Bot, thread: &Value, course: &Course) -> Vec<Vec<Duration>> {
    let mut waits = vec![Vec::new(); ATTACKS.len()];
    loop {
        let under_way = course.lock().unwrap().len();
        for call in [bot.say(thread, "hello"), bot.thread_get(thread)] {
            let since = Instant::now();
            call.await.ok();
            if let Some(waits) = under_way.checked_sub(1).and_then(|attack| waits.get_mut(attack)) {
                waits.push(since.elapsed());
            }
        }
        if course.lock().unwrap().get(ATTACKS.len() - 1).is_some_and(Option::is_some) {
            return waits;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn neighbours(db: Db) {
    let Some(mut process) = ProcessHub::fresh(db).await else { return };
    let org = process.hub.with_org("quiet").await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let bot = &org.bot("quiet").await;
    let (thread, course) = (&bot.thread("t", &[]).await, Course::default());
    let attacking = attacker(process.hub.url().to_owned(), course.clone());
    let waits = watch(bot, thread, &course).await;
    attacking.join().unwrap();
    let outcomes = course.lock().unwrap().clone();
    let mut slowest = Vec::new();
    for ((attack, mut waits), outcome) in ATTACKS.into_iter().zip(waits).zip(outcomes) {
        waits.sort();
        let p99 = waits[waits.len() * 99 / 100];
        let (sent, limited) = outcome.unwrap();
        let what = format!("{AT_ONCE} at once: {attack} ({sent} sent, {limited} refused)");
        chaos::attack(db, &what, None, &format!("p99 {}", chaos::span(p99)));
        slowest.push((p99, attack));
    }
    let (p99, attack) = slowest.into_iter().max().unwrap();
    let memory = process.memory_mib();
    chaos::figure(
        "R25",
        &format!("{db:?}: another tenant's p99 {} at worst ({attack}), {memory} MiB", chaos::span(p99)),
    );
    process.kill_9();
}
