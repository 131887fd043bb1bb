//! That the chain notices what was changed, removed, inserted or cut off.

use diesel::connection::SimpleConnection;
use serde_json::json;

use super::*;
use crate::rules::machine::Input;
use crate::samples::{NOW, Sample, approval, dora};

fn execute(sample: &mut Sample, sql: &str) -> QueryResult<()> {
    sample.conn.batch_execute(sql)
}

fn verified(sample: &mut Sample) -> Result<Verified, Broken> {
    let org = sample.org.to_string();
    verify(&mut sample.conn, &org).unwrap()
}

fn reason(sample: &mut Sample) -> (Option<i64>, String) {
    let broken = verified(sample).unwrap_err();
    (broken.seq, broken.reason.into_owned())
}

/// A chain of nine rows: three requests.
fn nine() -> Sample {
    let mut sample = Sample::new();
    (0..3).for_each(|_| drop(sample.ask(&json!({}))));
    sample
}

/// Whoever can change the schema can also let the triggers go.
const UNGUARDED: &str = "DROP TRIGGER request_audit_keeps_rows; DROP TRIGGER request_audit_loses_none";

#[test]
fn a_chain_goes_on_over_commits_and_is_one_per_organisation() {
    let mut sample = nine();
    let first = sample.org;
    let whole = verified(&mut sample).unwrap();
    assert_eq!((whole.rows, whole.purged, whole.head.len()), (9, 0, 64));
    sample.org = OrgId::at(NOW);
    sample.add_org(sample.org);
    let kept = sample.ask(&json!({}));
    sample.happen(&kept, approval("dora"), &dora());
    assert_eq!(verified(&mut sample).unwrap().rows, 4);
    sample.org = first;
    assert_eq!(verified(&mut sample).unwrap(), whole);
    assert_eq!(list_orgs(&mut sample.conn).unwrap().len(), 2);
}

#[test]
fn rows_can_neither_be_edited_nor_removed_by_hand() {
    let mut sample = nine();
    for sql in [
        "UPDATE request_audit SET actor = 'emil'",
        "DELETE FROM request_audit WHERE seq = 9",
        "DELETE FROM request_audit",
        "REPLACE INTO request_audit SELECT * FROM request_audit",
    ] {
        let refused = execute(&mut sample, sql).unwrap_err().to_string();
        assert!(refused.contains("append-only") || refused.contains("UNIQUE"), "{sql}: {refused}");
    }
    assert_eq!(verified(&mut sample).unwrap().rows, 9);
}

#[test]
fn what_was_edited_removed_inserted_or_cut_off_is_noticed() {
    let change = |sql: &str| {
        let mut sample = nine();
        execute(&mut sample, UNGUARDED).unwrap();
        execute(&mut sample, sql).unwrap();
        reason(&mut sample)
    };
    for column in ["actor", "payload", "event_type", "hash", "request_id"] {
        let (seq, why) = change(&format!("UPDATE request_audit SET {column} = {column} || ' ' WHERE seq = 4"));
        assert_eq!(seq, Some(4), "{column}: {why}");
    }
    assert_eq!(change("UPDATE request_audit SET created_at = 1 WHERE seq = 5").0, Some(5));
    let (seq, why) = change("DELETE FROM request_audit WHERE seq IN (4, 5)");
    assert_eq!((seq, why.as_str()), (Some(6), "2 rows before it are missing: it should be row 4"));
    let (seq, why) = change("DELETE FROM request_audit WHERE seq > 7");
    assert_eq!((seq, why.contains("newest rows are missing")), (None, true), "{why}");
    let copy = "INSERT INTO request_audit SELECT org_id, event_id || '0', seq, request_id, event_type, actor, actor_type, \
                payload, created_at, hash FROM request_audit WHERE seq = ";
    assert_eq!(change(&format!("{copy} 3")).0, Some(3));
    assert_eq!(change(&format!("{copy} 9")).0, Some(9));
    assert!(change("DELETE FROM request_audit; DELETE FROM request_audit_heads").1.contains("head is missing"));
    assert!(change("UPDATE request_audit_heads SET hash = 'x'").1.contains("not that of its head"));
    assert!(change("UPDATE request_audit_heads SET purged_hash = 'x'").1.contains("damaged"));
    let foreign = "INSERT INTO coordination_requests SELECT replace(id, '0', '1') AS id, org_id, bot_id, agent_id, intent, urgency, \
                   state, context, response_schema, allow_edit, timeout_policy, routing_hints, trace_id, idempotency_key, body_hash, \
                   responder_id, responder_key, thread_id, thread_owed, level, progress, response_data, responded_by, responded_at, \
                   submitted_at, updated_at, timeout_at, delivered_at, due_at, slack, revision FROM coordination_requests LIMIT 1";
    assert!(change(foreign).1.contains("no audit event"));
}

#[test]
fn a_row_that_was_appended_with_a_good_hash_is_noticed_too() {
    let mut sample = nine();
    let last = page_of(&mut sample.conn, &sample.org.to_string(), "").unwrap().pop().unwrap();
    let mut forged = AuditRow { seq: 10, event_id: format!("{}Z", last.event_id), ..last.clone() };
    forged.hash = hex(&hash_of(&forged, &unhex(&last.hash).unwrap()));
    insert(&mut sample.conn, &[forged]).unwrap();
    let (_, why) = reason(&mut sample);
    assert!(why.contains("inserted behind its newest"), "{why}");
}

#[test]
fn retention_lets_the_oldest_go_and_the_rest_stays_verifiable() {
    let mut sample = nine();
    let kept = sample.ask(&json!({}));
    sample.happen(&kept, Input::Cancel, &dora());
    let org = sample.org;
    assert_eq!(purge(&mut sample.conn, org, NOW).unwrap(), 0, "nothing is that old");
    assert_eq!(purge(&mut sample.conn, org, NOW + 5).unwrap(), 12);
    let rest = verified(&mut sample).unwrap();
    assert_eq!((rest.rows, rest.purged), (1, 12));
    assert_eq!(purge(&mut sample.conn, org, i64::MAX).unwrap(), 0, "the newest stays");
    assert!(execute(&mut sample, "DELETE FROM request_audit").is_err());
    sample.ask(&json!({}));
    assert_eq!(verified(&mut sample).unwrap().rows, 4);
}

#[test]
fn a_chain_goes_with_its_organisation() {
    let mut sample = nine();
    let org = sample.org;
    assert_eq!(delete(&mut sample.conn, org).unwrap(), 9);
    assert_eq!(delete(&mut sample.conn, org).unwrap(), 0);
}

#[test]
fn ids_ascend_also_behind_those_of_a_clock_that_was_ahead() {
    let org = OrgId::at(NOW);
    let ahead = AuditEventId::at(NOW + 90_000_000);
    let head = HeadRow { event_id: ahead.to_string(), ..HeadRow::genesis(org) };
    assert!(head.next_id(NOW) > ahead);
    let damaged = HeadRow { hash: "x".to_owned(), ..HeadRow::genesis(org) };
    assert_eq!((unhex(&damaged.hash), unhex(&hex(&GENESIS))), (None, Some(GENESIS)));
}

#[test]
fn an_export_is_a_line_of_json_for_each_row() {
    let mut sample = nine();
    let (org, mut lines) = (sample.org.to_string(), Vec::new());
    let taken: Result<(), DbError> = export(&mut sample.conn, &org, &(0..i64::MAX), |row| {
        lines.push(row.line());
        Ok(())
    });
    taken.unwrap();
    let first: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((lines.len(), &first["seq"], &first["event_type"]), (9, &json!(1), &json!("CR_SUBMITTED")));
    assert_eq!(
        (&first["payload"]["intent"], &first["created_at"]),
        (&json!("APPROVAL"), &json!("2023-11-14T22:13:20.000Z"))
    );
}
