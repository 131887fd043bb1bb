//! The bodies that hand a request over: `{responder_id}` to reassign it, `{responder_id, until}` to delegate it.

use serde_json::Value;

use super::faults::Faults;
use super::fields::{Noted, Object};
use super::{limits, times};
use hxa_domain::query::integer;

/// Who is asked instead.
///
/// # Errors
/// Everything that is wrong with the body.
pub fn read_reassign(body: Value) -> Result<String, Faults> {
    read(body, |mut body| body.needed_text("responder_id", limits::NAME_UNITS))
}

/// Who may answer as well, and until when, ms; the time comes in ISO 8601 or in ms.
///
/// # Errors
/// Everything that is wrong with the body.
pub fn read_delegate(body: Value) -> Result<(String, i64), Faults> {
    read(body, |mut body| {
        let to = body.needed_text("responder_id", limits::NAME_UNITS);
        let until = body.need("until").and_then(|until| {
            let time = until.as_str().map_or_else(|| integer(&until), times::parse);
            if time.is_none() {
                body.fault("until", "Expected a time in ISO 8601 or in milliseconds");
            }
            time
        });
        Some((to?, until?))
    })
}

fn read<T>(body: Value, fields: impl FnOnce(Object<'_>) -> Option<T>) -> Result<T, Faults> {
    let noted = Noted::default();
    let read = Object::of_body(body, &noted).and_then(fields);
    let faults = noted.into_inner();
    match read {
        Some(read) => faults.or(read),
        None => Err(faults),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn handing_over_names_somebody() {
        assert_eq!(read_reassign(json!({"responder_id": "emil"})).unwrap(), "emil");
        let body = json!({"responder_id": "emil", "until": "1970-01-01T00:00:05Z"});
        assert_eq!(read_delegate(body).unwrap(), ("emil".to_owned(), 5000));
        assert_eq!(read_delegate(json!({"responder_id": "emil", "until": 7})).unwrap().1, 7);
        for bad in [json!({}), json!([]), json!({"responder_id": ""}), json!({"responder_id": "e\u{0}"}), json!(null)] {
            assert!(read_reassign(bad.clone()).is_err(), "{bad}");
            assert!(read_delegate(bad.clone()).is_err(), "{bad}");
        }
        assert_eq!(read_delegate(json!({"responder_id": "e", "until": "x"})).unwrap_err().all()[0].path, "until");
    }
}
