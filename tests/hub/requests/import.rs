//! Moving in from the original service: its `hcp.db` is added to an organisation, and its agents go on with their keys.

use std::path::PathBuf;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use hxa_connect::domain::secrets::secret_hash;
use hxa_connect::requests::rules::RequestId;
use hxa_connect::requests::rules::times::iso;

use crate::harness::*;

const SCHEMA: &str = include_str!("import.sql");
const HOUR: i64 = 3_600_000;
const ADA: &str = "hcp_ada0000000000000000000000000000000000000000000000000000000000000";
const BOB: &str = "hcp_bob0000000000000000000000000000000000000000000000000000000000000";
const REVOKED: &str = "hcp_dead000000000000000000000000000000000000000000000000000000000000";

/// The original service's database, and when its requests were made.
struct Old {
    _folder: tempfile::TempDir,
    file: PathBuf,
    conn: SqliteConnection,
    then: i64,
    events: i64,
}

impl Old {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hcp.db");
        let mut conn = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
        // Damaged rows refer to nothing.
        conn.batch_execute("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = OFF").unwrap();
        conn.batch_execute(SCHEMA).unwrap();
        Self { _folder: folder, file, conn, then: now_ms() - 2 * HOUR, events: 0 }
    }

    /// The id of the n-th request or event.
    fn id(&self, n: i64) -> String {
        format!("{}{n:016}", &RequestId::first_of(self.then + n).to_string()[..10])
    }

    fn insert(&mut self, table: &str, row: &Value) {
        let row = row.as_object().unwrap();
        let value = |value: &Value| match value {
            Value::Null => "NULL".to_owned(),
            Value::String(text) => format!("'{}'", text.replace('\'', "''")),
            other => format!("'{other}'"),
        };
        let names: Vec<&str> = row.keys().map(String::as_str).collect();
        let values: Vec<String> = row.values().map(value).collect();
        let insert = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "));
        self.conn.batch_execute(&insert).unwrap();
    }

    /// The n-th request, with its first event.
    fn request(&mut self, n: i64, agent: &str, changes: Value) -> String {
        let (id, made) = (self.id(n), iso(self.then + n));
        let mut row = json!({
            "request_id": id, "agent_id": agent, "intent": "APPROVAL", "urgency": "HIGH", "state": "PENDING_RESPONSE",
            "context_package": {"summary": format!("Request {n}")},
            "timeout_policy": {"timeout_seconds": 4 * 3600, "fallback": "BLOCK"},
            "routing_hints": {"responder_id": "dora", "channel": "portal"}, "responder_id": "dora",
            "submitted_at": made, "updated_at": made, "timeout_at": iso(self.then + n + 4 * HOUR),
        });
        changes.as_object().unwrap().iter().for_each(|(key, value)| row[key] = value.clone());
        self.insert("coordination_requests", &row);
        self.event(&id, "CR_SUBMITTED", agent, "AGENT");
        id
    }

    fn event(&mut self, request: &str, kind: &str, actor: &str, actor_type: &str) -> String {
        self.events += 1;
        let (id, at) = (self.id(self.events), iso(self.then + self.events));
        let row = json!({
            "event_id": id, "request_id": request, "event_type": kind, "actor": actor, "actor_type": actor_type,
            "payload": {"urgency": "HIGH", "intent": "APPROVAL"}, "created_at": at,
        });
        self.insert("audit_events", &row);
        id
    }

    fn key(&mut self, id: &str, hash: &str, agent: &str, revoked_at: Option<&str>) {
        let at = iso(self.then);
        let row = json!({
            "key_id": id, "key_hash": hash, "agent_id": agent, "label": "Default API Key", "created_at": at,
            "revoked_at": revoked_at,
        });
        self.insert("api_keys", &row);
    }

    fn keys(&mut self) {
        self.key("k1", &secret_hash(ADA), "ada", None);
        self.key("k2", &secret_hash(BOB), "bob the 2nd", None);
        self.key("k3", &secret_hash(REVOKED), "ada", Some("2026-02-01 12:00:00"));
    }
}

/// One request of every kind.
struct Requests {
    open: String,
    missed: String,
    on_their_way: [String; 3],
    responded: String,
    delivered: String,
    ended: [String; 2],
    of_bob: String,
}

fn answered(old: &Old, state: &str) -> Value {
    let at = iso(old.then + 60_000);
    json!({
        "state": state, "response_data": {"decision": "approved", "comment": "LGTM"}, "responded_by": "dora",
        "responded_at": at, "updated_at": at, "delivered_at": if state == "DELIVERED" { json!(at) } else { json!(null) },
    })
}

fn every_kind(old: &mut Old) -> Requests {
    let keyed = json!({"idempotency_key": "deploy 7", "trace_id": "t"});
    let late = iso(old.then + 2 + 600_000);
    let policy = json!({"timeout_seconds": 4 * 3600, "fallback": "ESCALATE", "escalation_responder_id": "emil"});
    let missed = json!({"timeout_policy": {"timeout_seconds": 600, "fallback": "AUTO_REJECT"}, "timeout_at": late});
    let escalated = json!({"state": "ESCALATED", "timeout_policy": policy, "responder_id": "emil"});
    let (responded, delivered) = (answered(old, "RESPONDED"), answered(old, "DELIVERED"));
    Requests {
        open: old.request(1, "ada", keyed),
        missed: old.request(2, "ada", missed),
        on_their_way: [
            old.request(3, "ada", json!({"state": "SUBMITTED"})),
            old.request(4, "ada", json!({"state": "ROUTING"})),
            old.request(5, "ada", escalated),
        ],
        responded: old.request(6, "ada", responded),
        delivered: old.request(7, "ada", delivered),
        ended: [
            old.request(8, "ada", json!({"state": "TIMED_OUT"})),
            old.request(9, "ada", json!({"state": "CANCELLED"})),
        ],
        of_bob: old.request(10, "bob the 2nd", json!({})),
    }
}

/// Rows that are no requests, events and keys of this hub, and a request that nothing tells of.
fn damage(old: &mut Old) -> String {
    let lost = old.request(20, "cleo", json!({"state": "LOST"}));
    old.request(21, "cleo", json!({"context_package": "{"}));
    old.request(22, "cleo", json!({"context_package": {"summary": "x".repeat(20_000)}}));
    old.event(&lost, "CR_FORGOTTEN", "cleo", "AGENT");
    old.event(&old.id(99), "CR_ROUTING", "system", "SYSTEM");
    old.key("k4", "no hash", "cleo", None);
    let silent = old.request(30, "ada", json!({"state": "CANCELLED"}));
    old.conn.batch_execute(&format!("DELETE FROM audit_events WHERE request_id = '{silent}'")).unwrap();
    silent
}

fn import(target: &Database, old: &Old, more: &[&str]) -> (bool, String) {
    let from = old.file.to_str().unwrap();
    let args: Vec<&str> = ["import", "--from", from].into_iter().chain(more.iter().copied()).collect();
    let outcome = cli_on(target, &args);
    (outcome.status.success(), String::from_utf8([outcome.stdout, outcome.stderr].concat()).unwrap())
}

#[track_caller]
fn imported(target: &Database, old: &Old, more: &[&str]) -> Value {
    let (is_ok, said) = import(target, old, &[more, &["--json"]].concat());
    assert!(is_ok, "{said}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[track_caller]
fn refused(target: &Database, old: &Old, more: &[&str], words: &str) {
    let (is_ok, said) = import(target, old, more);
    assert!(!is_ok && said.contains(words), "{words}: {said}");
}

/// What a report says of a table: rows read, stored and left out.
fn told(report: &Value, table: &str) -> [i64; 3] {
    let tables = report["tables"].as_array().unwrap();
    let found = tables.iter().find(|told| told["table"] == table).unwrap_or_else(|| panic!("no {table} in {report}"));
    ["read", "stored", "left_out"].map(|key| found[key].as_i64().unwrap())
}

fn verified(database: &Database) -> String {
    let outcome = cli_on(database, &["audit", "verify"]);
    let said = String::from_utf8([outcome.stdout, outcome.stderr].concat()).unwrap();
    assert!(outcome.status.success(), "{said}");
    said
}

fn on_both(body: impl AsyncFn(Database)) {
    for kind in [Db::Sqlite, Db::Postgres] {
        if let Some(database) = Database::fresh(kind) {
            block_on(body(database));
        }
    }
}

async fn stop(process: &mut ProcessHub) {
    process.signal("TERM");
    assert!(process.exited(DEADLINE * 3).await.success());
}

#[test]
fn agents_and_people_go_on_where_they_were() {
    on_both(async |database| {
        let mut old = Old::new();
        let requests = every_kind(&mut old);
        old.keys();
        let mut process = ProcessHub::on(database).await;
        let org = process.hub.with_org("a").await;
        refused(process.database(), &old, &[], "target:");
        stop(&mut process).await;
        // A dry run on what is there counts the same and leaves nothing behind that the next one meets.
        let dry = imported(process.database(), &old, &["--dry-run"]);
        let report = imported(process.database(), &old, &[]);
        assert_eq!(dry["tables"], report["tables"]);
        assert_eq!(told(&report, "coordination_requests"), [10, 10, 0], "{report}");
        assert_eq!(told(&report, "audit_events"), [10, 10, 0], "{report}");
        assert_eq!(told(&report, "api_keys"), [3, 2, 1], "{report}");
        assert!(report.to_string().contains("name responders that nobody is yet: dora, emil."), "{report}");
        assert!(verified(process.database()).contains("verified 10 rows of 1 organisation"));
        refused(process.database(), &old, &[], "has coordination requests already");
        process.start().await;
        let (hub, ada) = (&process.hub, Caller::bearer(&process.hub, ADA));
        go_on(&old, &ada, &org, &requests).await;
        let bob = Caller::bearer(hub, BOB);
        assert_eq!(bob.request(&requests.of_bob).await.ok()["agent_id"], "bob the 2nd");
        bob.request(&requests.open).await.missing();
        assert!(bob.asked().await.len() == 26, "a new one");
        Caller::bearer(hub, REVOKED).get("/v1/requests").await.status(401);
        verified(process.database());
    });
}

async fn go_on(old: &Old, ada: &Caller, org: &Org, requests: &Requests) {
    let ids = ada.request_ids("?limit=100").await;
    assert_eq!(ids.len(), 9, "{ids:?}");
    let open = ada.request(&requests.open).await.ok();
    assert_eq!((&open["state"], &open["agent_id"]), (&json!("PENDING_RESPONSE"), &json!("ada")));
    assert_eq!((open.text("submitted_at"), open.text("timeout_at")), (iso(old.then + 1), iso(old.then + 1 + 4 * HOUR)));
    let body = question_with(
        "dora",
        json!({
            "idempotency_key": "deploy 7", "trace_id": "t", "context_package": {"summary": "Request 1"},
            "timeout_policy": {"timeout_seconds": 4 * 3600, "fallback": "BLOCK"},
        }),
    );
    assert_eq!(ada.ask(body).await.ok().text("request_id"), requests.open, "repeated");
    let missed = ada.request_within(&requests.missed, 10).await.ok();
    assert_eq!((&missed["state"], &missed["responded_by"]), (&json!("DELIVERED"), &json!("system:auto_reject")));
    for id in &requests.on_their_way {
        let asked = eventually(async || org.request(id).await.ok(), |asked| asked["state"] == "PENDING_RESPONSE").await;
        let (responder, level) = if *id == requests.on_their_way[2] { ("emil", 1) } else { ("dora", 0) };
        assert_eq!((asked.text("responder_id").as_str(), &asked["escalation_level"]), (responder, &json!(level)));
    }
    assert_eq!(org.request(&requests.responded).await.ok()["state"], "RESPONDED");
    let read = ada.request(&requests.responded).await.ok();
    assert_eq!((&read["state"], &read["response_data"]["comment"]), (&json!("DELIVERED"), &json!("LGTM")));
    assert_eq!((read.text("responded_by"), read.text("responded_at")), ("dora".into(), iso(old.then + 60_000)));
    assert_eq!(ada.request(&requests.delivered).await.ok().text("delivered_at"), iso(old.then + 60_000));
    for (id, state) in requests.ended.iter().zip(["TIMED_OUT", "CANCELLED"]) {
        assert_eq!(ada.request(id).await.ok()["state"], state);
    }
    ada.approve(&requests.open).await.status(403);
    org.approve(&requests.open).await.ok();
    assert_eq!(ada.request(&requests.open).await.ok()["state"], "DELIVERED");
    assert_eq!(ada.steps(&requests.open).await, ["CR_SUBMITTED", "CR_RESPONDED", "CR_DELIVERED"]);
    let events = org.request_audit(&format!("?request_id={}", requests.open)).await.ok();
    let first = &events["events"][0];
    assert_eq!((first.text("event_id"), first.text("created_at")), (old.id(1), iso(old.then + 1)));
    assert_eq!((first["seq"].as_i64(), &first["payload"]["urgency"]), (Some(1), &json!("HIGH")));
}

#[test]
fn a_new_hub_gets_an_organisation_and_a_dry_run_makes_nothing() {
    on_both(async |database| {
        let mut old = Old::new();
        let requests = every_kind(&mut old);
        old.keys();
        let dry = imported(&database, &old, &["--dry-run", "--allow-respond"]);
        assert_eq!((told(&dry, "coordination_requests"), &dry["dry_run"]), ([10, 10, 0], &json!(true)));
        refused(&database, &old, &["--org", "nowhere"], "there is no organisation \"nowhere\"");
        imported(&database, &old, &["--allow-respond"]);
        let process = ProcessHub::on(database).await;
        let ada = Caller::bearer(&process.hub, ADA);
        let answer = json!({"response_data": {"decision": "approved"}, "responded_by": "dora"});
        ada.post(format!("/v1/requests/{}/respond", requests.open), answer).await.ok();
        let read = ada.request(&requests.open).await.ok();
        assert_eq!((&read["state"], &read["responded_by"]), (&json!("DELIVERED"), &json!("dora")));
        let orgs = process.hub.super_admin().await.get("/api/orgs").await.ok();
        assert!(orgs.to_string().contains("\"default\""), "{orgs}");
    });
}

#[test]
fn what_cannot_be_taken_is_said() {
    on_both(async |database| {
        let mut old = Old::new();
        every_kind(&mut old);
        old.keys();
        let silent = damage(&mut old);
        let report = imported(&database, &old, &[]);
        assert_eq!(told(&report, "coordination_requests"), [14, 11, 3], "{report}");
        // Those of the three requests, of an unknown kind, and of a request that is not there.
        assert_eq!(told(&report, "audit_events"), [15, 10, 5], "{report}");
        assert_eq!(told(&report, "api_keys"), [4, 2, 2], "{report}");
        let text = report.to_string();
        for words in [
            "its state is unknown",
            "its context_package cannot be read",
            "its context_package breaks a rule",
            "its event_type is unknown",
            "its request is not there",
            "it was revoked",
            "its key_hash is no SHA-256",
            "its agent_id is no name of a bot",
            "1 requests had no audit event",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(verified(&database).contains("verified 11 rows"));
        let process = ProcessHub::on(database).await;
        let ada = Caller::bearer(&process.hub, ADA);
        assert_eq!(ada.steps(&silent).await, ["CR_SUBMITTED"]);
        assert_eq!(ada.request(&silent).await.ok()["state"], "CANCELLED");
    });
}

#[test]
fn a_second_organisation_gets_what_the_first_has_not() {
    on_both(async |database| {
        let mut old = Old::new();
        every_kind(&mut old);
        old.keys();
        let mut process = ProcessHub::on(database).await;
        let (one, two) = (process.hub.with_org("one").await, process.hub.with_org("two").await);
        stop(&mut process).await;
        let database = process.database();
        refused(database, &old, &[], "say which with --org");
        imported(database, &old, &["--org", "one"]);
        let again = imported(database, &old, &["--org", &two.id, "--dry-run"]);
        assert_eq!(told(&again, "coordination_requests"), [10, 0, 10], "{again}");
        assert_eq!((told(&again, "audit_events"), told(&again, "api_keys")), ([10, 0, 10], [3, 0, 3]));
        let more = old.request(40, "cleo", json!({}));
        let report = imported(database, &old, &["--org", &two.id]);
        assert_eq!(told(&report, "coordination_requests"), [11, 1, 10], "{report}");
        assert_eq!(told(&report, "audit_events"), [11, 1, 10], "{report}");
        assert!(verified(database).contains("verified 11 rows of 2 organisations"));
        process.start().await;
        assert_eq!(two.request_ids("").await, [more]);
        assert_eq!(one.request_ids("?limit=100").await.len(), 10);
        verified(process.database());
    });
}

#[test]
fn options_that_mean_nothing_are_refused() {
    let (Some(target), Some(own)) = (Database::fresh(Db::Sqlite), Database::fresh(Db::Sqlite)) else { return };
    assert!(cli_on(&own, &["migrate"]).status.success());
    let old = Old::new();
    refused(&target, &old, &["--files", "/tmp"], "--files means nothing");
    let path = own.sqlite_path();
    for option in [&["--org", "a"][..], &["--allow-respond"]] {
        let args = [&["import", "--from", path.to_str().unwrap()], option].concat();
        let outcome = cli_on(&target, &args);
        let said = String::from_utf8(outcome.stderr).unwrap();
        assert!(!outcome.status.success() && said.contains("mean nothing for a database of this hub"), "{said}");
    }
    let report = imported(&target, &old, &[]);
    assert_eq!(told(&report, "coordination_requests"), [0, 0, 0], "an empty one");
}
