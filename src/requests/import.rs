//! The database of the original service (`hcp.db`), added to an organisation: its keys go on working, its requests and audit
//! events keep their ids and times, its agents become bots.
//!
//! Responders become nobody: the original service knew names only. A request to a name that no person has waits under it, as
//! every request does. Open requests go on when the hub starts, which handles deadlines that have passed. The events are
//! chained in the order of their ids, which is why the organisation must not have a chain yet: whatever it holds would be
//! newer. The transaction, the walk and the report are those of every import.

mod agents;
mod event;
mod fields;
mod key;
mod notes;
mod request;
#[cfg(test)]
mod tests;
mod unaudited;

use std::collections::HashMap;
use std::sync::Arc;

use diesel::prelude::*;
use serde_json::{Map, Value, json};

use self::agents::{Agent, Agents};
use self::fields::Fields;
use crate::chain::{self, Entry};
use crate::rows::{Kept, seats};
use crate::rules::RequestId;
use crate::schema::coordination_requests;
use crate::writes::{SeatChange, Transition, write_all};
use hxa_domain::ids::{OrgId, TokenId};
use hxa_domain::scope::ScopeSet;
use hxa_store::import::{Adding, Foreign, ImportError, Table, TableReport, put_token};
use hxa_store::rows::{AuditRow, BotTokenRow};
use hxa_store::{DbConnection, audit};

/// The database of the original service.
pub const SOURCE: Foreign = Foreign {
    name: "a database of the Human Coordination Plane",
    tables: &[REQUESTS.name, KEYS.name, EVENTS.name],
    add,
};

const REQUESTS: Table = Table {
    name: "coordination_requests",
    key: &["request_id"],
    extra: &[
        (
            "escalations",
            "SELECT count(*) FROM audit_events e WHERE e.request_id = t.request_id AND e.event_type = 'CR_ESCALATED'",
        ),
        (
            "notified",
            "SELECT count(*) FROM audit_events e WHERE e.request_id = t.request_id AND e.event_type = 'SLACK_NOTIFIED'",
        ),
    ],
};
const KEYS: Table = Table { name: "api_keys", key: &["key_id"], extra: &[] };
const EVENTS: Table = Table { name: "audit_events", key: &["event_id"], extra: &[] };

/// How far ahead the clock of the other machine may have been, ms: a day.
const AHEAD_MS: i64 = 86_400_000;

fn add(adding: &mut Adding<'_>) -> Result<(), ImportError> {
    let org = adding.org();
    if chain::exists(adding.conn(), org)? || has_requests(adding.conn(), org)? {
        let text = "the organisation has coordination requests already: their audit chain is newer than all that would be \
                    added, and cannot be made anew. Name another organisation with --org; a database is imported once";
        return Err(ImportError::from(text.to_owned()));
    }
    let now = adding.now();
    let mut agents = Agents::load(adding.conn(), org, now)?;
    add_requests(adding, &mut agents)?;
    let keys = add_keys(adding, &mut agents)?;
    add_events(adding)?;
    let unaudited = unaudited::audit(adding.conn(), org, now)?;
    notes::keys(adding, keys);
    notes::unaudited(adding, unaudited);
    notes::responders(adding)
}

fn has_requests(conn: &mut DbConnection, org: OrgId) -> Result<bool, ImportError> {
    let own = coordination_requests::table.filter(coordination_requests::org_id.eq(org));
    Ok(diesel::select(diesel::dsl::exists(own)).get_result(conn)?)
}

/// What a row is called in the report, and all that was noted of it if it is kept.
fn note_changes(report: &mut TableReport, fields: &Fields, name: &str) {
    fields.changes().iter().for_each(|why| report.change(why, name));
}

fn add_requests(adding: &mut Adding<'_>, agents: &mut Agents) -> Result<(), ImportError> {
    let org = adding.org();
    adding.walk(&REQUESTS, REQUESTS.name, |conn, report, page| {
        let taken = owners(conn, &texts(&page, "request_id"))?;
        let mut new = Vec::with_capacity(page.len());
        for row in page {
            let mut fields = Fields::new(row);
            let name = fields.text("request_id").unwrap_or_default().to_owned();
            match request::read(&mut fields) {
                Ok(_) if taken.contains_key(&name) => {
                    report.skip("another organisation has a request of its id", &name)
                }
                Ok(read) => {
                    let agent = agents.find(conn, &read.agent)?;
                    if agent.name != read.agent {
                        fields
                            .changed("its agent_id is no name of a bot of its own, and stays; the bot has another one");
                    }
                    note_changes(report, &fields, &name);
                    new.push(as_new(Kept { request: Arc::new(read.request(org, agent.bot)), revision: 1 }));
                }
                Err(why) => report.skip(why, &name),
            }
        }
        write_all(conn, &new.iter().collect::<Vec<_>>())?;
        report.stored += i64::try_from(new.len()).unwrap_or(0);
        Ok(())
    })
}

/// A request that is written as it is; its events come later.
fn as_new(kept: Kept) -> Transition {
    let seats = seats(&kept.request).into_iter().map(|(key, until)| SeatChange::Put(key, until)).collect();
    Transition { kept, is_new: true, moves: false, thread_owed: None, seats, audit: Vec::new() }
}

fn texts(page: &[Map<String, Value>], key: &str) -> Vec<String> {
    page.iter().filter_map(|row| row.get(key)?.as_str().map(str::to_owned)).collect()
}

/// Which of these requests there are, and whose they are.
fn owners(conn: &mut DbConnection, ids: &[String]) -> Result<HashMap<String, OrgId>, ImportError> {
    use coordination_requests as r;
    let found: Vec<(RequestId, OrgId)> = r::table.filter(r::id.eq_any(ids)).select((r::id, r::org_id)).load(conn)?;
    Ok(found.into_iter().map(|(id, org)| (id.to_string(), org)).collect())
}

/// Adds the keys; how many.
fn add_keys(adding: &mut Adding<'_>, agents: &mut Agents) -> Result<i64, ImportError> {
    let scopes = if adding.allow_respond() { ScopeSet::RESPONDING_KEY } else { ScopeSet::KEY };
    let (org, now) = (adding.org(), adding.now());
    let mut added = 0;
    adding.walk(&KEYS, "bot_tokens", |conn, report, page| {
        for row in page {
            let mut fields = Fields::new(row);
            let name = fields.text("key_id").unwrap_or_default().to_owned();
            let read = match key::read(&mut fields, now) {
                Ok(read) => read,
                Err(why) => {
                    report.skip(why, &name);
                    continue;
                }
            };
            let agent = agents.find(conn, &read.agent)?;
            if !agent.is_active {
                fields.changed("its bot is not active in the organisation, so it cannot be used yet");
            }
            if put_key(conn, read, &Owner { agent, org, scopes, now })? {
                note_changes(report, &fields, &name);
                report.stored += 1;
                added += 1;
            } else {
                report.skip("the hub has the same key already", &name);
            }
        }
        Ok(())
    })?;
    Ok(added)
}

/// Whose a key is, and what it covers.
struct Owner {
    agent: Agent,
    org: OrgId,
    scopes: ScopeSet,
    now: i64,
}

/// Stores a key with its trail; false when it is there already.
fn put_key(conn: &mut DbConnection, key: key::Read, owner: &Owner) -> Result<bool, ImportError> {
    let Owner { agent, org, scopes, now } = owner;
    let token = BotTokenRow {
        id: TokenId::at(key.created_at),
        bot_id: agent.bot,
        token_hash: key.hash,
        scopes: scopes.to_stored(),
        label: key.label,
        expires_at: None,
        created_at: key.created_at,
        last_used_at: None,
        parent_id: None,
    };
    if !put_token(conn, &token)? {
        return Ok(false);
    }
    let detail = json!({
        "agent_id": agent.name, "bot_id": agent.bot, "label": token.label, "expires_at": null,
        "allow_respond": *scopes == ScopeSet::RESPONDING_KEY, "created_by": "import",
    });
    audit::insert(conn, &AuditRow::new(*org, *now, None, "key.create", "token", token.id, Some(detail)))?;
    Ok(true)
}

fn add_events(adding: &mut Adding<'_>) -> Result<(), ImportError> {
    let (org, latest) = (adding.org(), adding.now().saturating_add(AHEAD_MS));
    adding.walk(&EVENTS, "request_audit", |conn, report, page| {
        let known = owners(conn, &texts(&page, "request_id"))?;
        let mut new = Vec::with_capacity(page.len());
        for row in page {
            let mut fields = Fields::new(row);
            let name = fields.text("event_id").unwrap_or_default().to_owned();
            match event::read(&mut fields, latest) {
                Ok(read) if known.get(&read.request.to_string()) == Some(&org) => {
                    note_changes(report, &fields, &name);
                    new.push(read);
                }
                Ok(_) => report.skip("its request is not there", &name),
                Err(why) => report.skip(why, &name),
            }
        }
        let entries: Vec<_> =
            new.iter().map(|read| (read.id, Entry { org, request: read.request, draft: &read.draft })).collect();
        chain::append_as(conn, org, &entries)?;
        report.stored += i64::try_from(entries.len()).unwrap_or(0);
        Ok(())
    })
}
