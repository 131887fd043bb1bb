//! How the cost of each rule grows with what comes in: every input at half of its limit and at its limit.
//!
//! `cargo bench --bench growth` prints the table that docs/PERFORMANCE.md keeps. Twice the input may cost twice as much; what
//! costs more than three times as much is marked and fails the run.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hxa_connect::domain::cursor::Cursor;
use hxa_connect::domain::ids::{BotId, OrgId};
use hxa_connect::domain::policy::PermissionPolicy;
use hxa_connect::domain::query::Query;
use hxa_connect::domain::scope::ScopeSet;
use hxa_connect::domain::{artifact, fold, idempotency, mentions, parts, provenance, text, thread};
use hxa_connect::hub::fanout::event::{Audience, Event};
use hxa_connect::hub::ws_tickets::{TicketCredential, TicketHolder, WsTickets};
use hxa_connect::web::dialect::Dialect;
use hxa_connect::web::ws::frame::Frame;
use serde_json::{Map, Value, json};

/// So many times the cost for twice the input is too much, when it is found in each of so many tries.
const STEEP: u32 = 3;
const TRIES: usize = 5;

/// A rule and its input of a size.
type Rule = Box<dyn Fn()>;

/// A rule's name, the limit of its input, and what makes the rule of an input of so many.
type Case = (&'static str, usize, fn(usize) -> Rule);

/// What is measured: the input, its limit, and the rule over an input of a size.
const CASES: &[Case] = &[
    ("mentions in a message, of 200 participants (bytes)", 65_536, |n| mentioned("@b1 @zz @b199 ", n)),
    ("`@` without a name (bytes)", 65_536, |n| mentioned("@", n)),
    ("`@所有人` followed by more text (bytes)", 65_536, |n| mentioned("@所有人们", n)),
    ("one very long name (bytes)", 65_536, |n| mentioned("@a-a-", n)),
    ("parts of a message (parts)", 50, |n| {
        over(json!(vec![part(5_000); n]), |value| drop(parts::validate(value.clone())))
    }),
    ("text of a part (bytes)", 256_000, |n| over(json!([part(n)]), |value| drop(parts::validate(value.clone())))),
    ("content derived from parts (parts)", 50, |n| {
        over(vec![part(5_000); n], |parts| drop(parts::derive_content(parts)))
    }),
    ("keys of metadata (keys)", 1_600, |n| over(object(n), |value| drop(parts::metadata_text(Some(value))))),
    ("depth of metadata (levels)", 120, |n| over(deep(n), |value| drop(parts::metadata_text(Some(value))))),
    ("JSON text in metadata (bytes)", 16_384, |n| {
        over(format!("{{\"provenance\":\"{}\"}}", "\\\"".repeat(n / 2)), |given| {
            drop(provenance::strip_forged(Value::from(given.as_str())));
        })
    }),
    ("JSON text of JSON text (levels)", 12, |n| {
        over((0..n).fold("{\"provenance\":1}".to_owned(), |inner, _| Value::from(inner).to_string()), |given| {
            drop(provenance::strip_forged(Value::from(given.as_str())));
        })
    }),
    ("tags (tags)", 10, |n| over(json!(vec!["t".repeat(64); n]), |value| drop(thread::tags(Some(value))))),
    ("context of a thread (bytes)", 65_000, |n| {
        over(json!({"c": "x".repeat(n)}), |value| drop(thread::context(Some(value))))
    }),
    ("labels of a policy (labels for each action)", 4, |n| {
        let labels = vec!["l".repeat(128); n];
        let policy = json!({"invite": labels, "remove": labels, "write": labels, "close": labels, "artifact": labels});
        over(policy, |value| drop(PermissionPolicy::from_request(value)))
    }),
    ("JSON artifact, valid (bytes)", 1_048_576, |n| settled("[1, 2], ", n, "[", "0]")),
    ("JSON artifact, repaired (bytes)", 1_048_576, |n| settled("{'a': 'b',}, ", n, "[", "]")),
    ("JSON artifact of commas and blanks (bytes)", 1_048_576, |n| settled(",          ", n, "", "")),
    ("JSON artifact of quotes (bytes)", 1_048_576, |n| settled("'\\'", n, "", "")),
    ("JSON artifact of brackets (bytes)", 1_048_576, |n| settled("[", n, "", "")),
    ("cursor (bytes)", 512, |n| over("A".repeat(n), |text| drop(Cursor::decode(text)))),
    ("text of a search (characters)", 200, |n| over("ſΣkå".repeat(n / 4), |text| drop(fold::pattern(text)))),
    ("searched text (bytes)", 65_536, |n| over("ſΣkå".repeat(n / 7), |text| drop(fold::folded(text.clone())))),
    ("fields of a query (fields)", 10_000, |n| over("a=b&".repeat(n), |text| drop(Query::parse(text)))),
    ("escapes in a query (bytes)", 100_000, |n| {
        over("%41".repeat(n / 3), |text| {
            black_box(text::is_percent_encoded_text(text));
        })
    }),
    ("scopes of a token (names)", 10_000, |n| {
        over(json!(vec!["full"; n]), |value| drop(ScopeSet::from_request(Some(value))))
    }),
    ("fingerprint of a request (fields)", 50_000, |n| {
        over(object(n), |value| drop(value.as_object().map(|fields| idempotency::fingerprint("send", false, fields))))
    }),
    ("fields of a frame (fields)", 50_000, |n| {
        over(format!("{{\"type\":\"x\",\"ref\":1,{}", object(n).to_string().trim_start_matches('{')), |text| {
            drop(Frame::parse(text))
        })
    }),
    ("depth of a frame (levels)", 600_000, |n| over("[".repeat(n), |text| drop(Frame::parse(text)))),
    ("event in the /v0 dialect (bytes)", 1_000_000, |n| {
        over(json!({"type": "thread_artifact", "artifact": {"content": "x".repeat(n)}}).to_string(), |frame| {
            drop(Dialect::V0.frame(frame));
        })
    }),
    ("participants of an event (bots)", 200, |n| {
        over((0..n).map(|_| BotId::random()).collect::<Vec<_>>(), |bots| {
            let audience = Audience::Members { bots: Arc::from(bots.as_slice()), topic: OrgId::random().uuid() };
            drop(Event::new("thread_participant", &json!({ "bots": bots }), audience));
        })
    }),
    ("outstanding tickets while one is issued and redeemed (tickets)", 100_000, |n| {
        // Room for more than wait, because an organisation alone gets no more than its share.
        let tickets = WsTickets::new(n, 4 * n);
        for _ in 0..n {
            drop(tickets.issue(ticket_holder(), 0));
        }
        over(ticket_holder(), move |holder| {
            // A refusal would be cheap and show as a rule that gets cheaper.
            drop(tickets.issue(holder.clone(), 0).map(|ticket| black_box(tickets.redeem(&ticket, 0))));
        })
    }),
];

fn ticket_holder() -> TicketHolder {
    TicketHolder {
        org: OrgId::random(),
        member: BotId::random().uuid(),
        credential: TicketCredential::Token("0".repeat(64)),
    }
}

fn over<T: 'static>(input: T, rule: impl Fn(&T) + 'static) -> Rule {
    Box::new(move || rule(black_box(&input)))
}

fn mentioned(piece: &str, bytes: usize) -> Rule {
    let mut bots: Vec<(String, BotId)> = (0..200).map(|n| (format!("b{n}"), BotId::random())).collect();
    bots.sort();
    over(piece.repeat(bytes / piece.len()), move |text| {
        let known = |name: &str| {
            let at = bots.binary_search_by(|(other, _)| other.as_str().cmp(name)).ok()?;
            bots.get(at).map(|(name, id)| (*id, Arc::from(name.as_str())))
        };
        drop(mentions::scan(text, known));
    })
}

fn settled(piece: &str, bytes: usize, before: &str, after: &str) -> Rule {
    let text = format!("{before}{}{after}", piece.repeat(bytes / piece.len()));
    over(text, |text| drop(artifact::repair_json(text.clone())))
}

fn part(bytes: usize) -> Value {
    json!({"type": "text", "content": "x".repeat(bytes)})
}

fn object(keys: usize) -> Value {
    Value::Object((0..keys).map(|n| (format!("k{n}"), Value::from(n))).collect::<Map<_, _>>())
}

fn deep(levels: usize) -> Value {
    (0..levels).fold(Value::Null, |inner, _| Value::Array(vec![inner]))
}

/// The least time of one call, out of many.
fn least(rule: &Rule) -> Duration {
    let (mut least, began) = (Duration::MAX, Instant::now());
    while began.elapsed() < Duration::from_millis(60) {
        // So many calls in one measure that the clock does not matter.
        let (mut calls, since) = (0, Instant::now());
        while calls == 0 || since.elapsed() < Duration::from_micros(200) {
            rule();
            calls += 1;
        }
        least = least.min(since.elapsed() / calls);
    }
    least
}

fn main() {
    let mut table = String::from("| input | limit | at half | at the limit | times |\n|---|---|---|---|---|\n");
    let mut steep = Vec::new();
    for (name, limit, rule) in CASES {
        let (half_rule, whole_rule) = (rule(limit / 2), rule(*limit));
        let (mut half, mut whole) = (Duration::MAX, Duration::MAX);
        // A neighbour on the machine is steep too, but not each time.
        for _ in 0..TRIES {
            (half, whole) = (half.min(least(&half_rule)), whole.min(least(&whole_rule)));
            if whole < half * STEEP {
                break;
            }
        }
        let times = whole.as_secs_f64() / half.as_secs_f64();
        let micros = |span: Duration| format!("{:.1} µs", span.as_secs_f64() * 1e6);
        let _ = writeln!(table, "| {name} | {limit} | {} | {} | {times:.1} |", micros(half), micros(whole));
        if whole >= half * STEEP && !name.contains("JSON text of JSON text") {
            steep.push(*name);
        }
    }
    println!("{table}");
    assert!(steep.is_empty(), "grows faster than its input: {steep:?}");
}
