//! Queries that make sense are read, others are refused with what would.

use proptest::prelude::*;

use super::*;

fn page(query: &str) -> Page {
    Filters::read(query).unwrap().1
}

fn fault(query: &str) -> (String, String) {
    let faults = Filters::read(query).unwrap_err();
    assert_eq!(faults.all().len(), 1, "{query}");
    (faults.all()[0].path.clone(), faults.all()[0].message.clone())
}

#[test]
fn filters_are_read() {
    let query = "agent_id=ada&state=RESPONDED,DELIVERED&intent=INPUT&urgency=LOW&responder_id=d%20o&trace_id=t&since=5&until=1970-01-02&x=1&x=2";
    let (filters, page) = Filters::read(query).unwrap();
    let expected = Filters {
        agent_id: Some("ada".into()),
        states: vec![State::Responded, State::Delivered],
        intent: Some(Intent::Input),
        urgency: Some(Urgency::Low),
        responder_id: Some("d o".into()),
        trace_id: Some("t".into()),
        since: Some(5),
        until: Some(86_400_000),
    };
    assert_eq!((filters, page), (expected, Page { limit: 50, offset: 0, cursor: None }));
    let (filters, page) = AuditFilters::read("request_id=nothing&event_type=CR_VOTED&actor=dora").unwrap();
    assert_eq!((filters.request_id.as_deref(), filters.event_type), (Some("nothing"), Some(AuditKind::Voted)));
    assert_eq!(page.limit, 100);
}

#[test]
fn unknown_words_are_refused_with_those_that_are_known() {
    let (path, message) = fault("state=PENDING");
    assert_eq!(path, "state");
    assert!(message.contains("PENDING_RESPONSE") && message.ends_with("received 'PENDING'"), "{message}");
    for query in ["state=pending_response", "intent=X", "urgency=high", "state=RESPONDED,,DELIVERED"] {
        fault(query);
    }
    assert!(AuditFilters::read("event_type=CR_NOTHING").is_err());
}

#[test]
fn a_key_is_given_once() {
    for query in ["state=ROUTING&state=ROUTING", "limit=5&limit=5", "agent_id=a&agent_id=b", "cursor=a&cursor=b"] {
        assert_eq!(fault(query).1, "Must be given once", "{query}");
    }
}

#[test]
fn pages_are_bounded() {
    for (query, limit) in
        [("", 50), ("limit=1", 1), ("limit=0", 0), ("limit=1001", 1000), ("limit=99999999999999999999", 1000)]
    {
        assert_eq!(page(query).limit, limit, "{query}");
    }
    assert_eq!(page("offset=7").offset, 7);
    for query in [
        "limit=-1",
        "limit=1.9",
        "limit=abc",
        "limit=",
        "limit=1e3",
        "limit=+1",
        "limit=%201",
        "offset=-1",
        "offset=x",
        "offset=99999999999999999999",
        "cursor=x",
        "since=yesterday",
        "until=",
        "agent_id=%00",
        "trace_id=",
    ] {
        fault(query);
    }
    let cursor = Cursor::new(5, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
    assert_eq!(page(&format!("cursor={}", cursor.encode())).cursor, Some(cursor.clone()));
    assert_eq!(fault(&format!("cursor={}&offset=0", cursor.encode())).0, "cursor");
}

proptest! {
    #[test]
    fn any_query_can_be_read(query in any::<String>(), key in "(limit|offset|cursor|state|since|agent_id)", value in any::<String>()) {
        for query in [query, format!("{key}={value}")] {
            if let Ok((_, page)) = Filters::read(&query) {
                prop_assert!((0..=limits::LIST_MAX).contains(&page.limit) && (0..=limits::OFFSET_MAX).contains(&page.offset));
            }
            let _ = AuditFilters::read(&query);
        }
    }
}
