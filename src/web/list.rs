//! Lists as responses: bounded in bytes, and always resumable.
//!
//! A list is serialized row by row until it reaches the response limit; the first row is always included, so that a
//! client can reach every row. Pages then say that there is more and where. Lists that clients know as bare arrays stay
//! arrays: a `Link` header names the rest, and `X-Has-More` says that there is one. Serialization runs on the thread
//! that has read the rows, not on one that serves.

use actix_web::http::header::{HeaderName, HeaderValue, LINK};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::answer::{shrink_to_fit, written};
use super::client::base_url;
use crate::dialect::Dialect;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::query::Query;
use hxa_hub::hub::Hub;
use hxa_store::page::Page;

/// Says that an array is not the whole list.
const HAS_MORE: HeaderName = HeaderName::from_static("x-has-more");

/// Rows of an array that has no limit of its own; no list of ours has had more.
pub const ARRAY_ROWS: i64 = 10_000;

/// Where an array goes on: a parameter of the same route.
pub type Next = (&'static str, String);

/// An array that was written, and where it goes on if it does.
#[derive(Debug)]
pub struct Listed {
    body: Vec<u8>,
    next: Option<Next>,
}

/// How a page names its parts.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// The list.
    pub rows: &'static str,
    /// Where it goes on, in pages that say so.
    pub cursor: Option<&'static str>,
}

impl Shape {
    /// `{items, has_more, next_cursor?}`.
    pub const ITEMS: Self = Self { rows: "items", cursor: Some("next_cursor") };
    /// `{messages, has_more}`: clients know the last message's id.
    pub const MESSAGES: Self = Self { rows: "messages", cursor: None };
    /// `{events, has_more, cursor?}`.
    pub const EVENTS: Self = Self { rows: "events", cursor: Some("cursor") };
}

/// Writes a value as JSON.
///
/// # Errors
/// 500 when it cannot be written.
pub fn put<T: Serialize + ?Sized>(body: &mut Vec<u8>, value: &T) -> ApiResult<()> {
    serde_json::to_writer(body, value).map_err(|error| {
        log::error!(error:% = error; "cannot serialize a response");
        ApiError::internal()
    })
}

/// Writes rows with commas between them until `most` bytes are full; returns how many there are. Rows for which `goes_with`
/// (their position) holds are not parted from the one before.
fn put_rows<T: Serialize>(
    body: &mut Vec<u8>,
    most: usize,
    rows: impl Iterator<Item = T>,
    goes_with: impl Fn(usize) -> bool,
) -> ApiResult<usize> {
    let begin = body.len();
    let (mut kept, mut group) = (0, (0, begin));
    for (position, row) in rows.enumerate() {
        if !goes_with(position) {
            group = (position, body.len());
        }
        if position > 0 {
            body.push(b',');
        }
        put(body, &row)?;
        if body.len().saturating_sub(begin) > most && group.0 > 0 {
            body.truncate(group.1);
            return Ok(group.0);
        }
        kept = position.saturating_add(1);
    }
    Ok(kept)
}

/// About the bytes of a row; a body that is grown as it is written is copied again and again.
const ROW: usize = 400;

/// An empty body with room for about so many bytes, and no more than `most`.
fn room_for(about: usize, most: usize) -> Vec<u8> {
    Vec::with_capacity(about.min(most).max(256))
}

/// About the bytes of so many rows.
fn bytes_of(rows: usize) -> usize {
    rows.saturating_mul(ROW)
}

/// An array of rows, of which `next` says where the list goes on behind it.
///
/// # Errors
/// 500 when a row cannot be written.
pub fn array<'r, R, T: Serialize>(
    most: usize,
    page: &'r Page<R>,
    view: impl Fn(&'r R) -> T,
    next: impl Fn(&R) -> Next,
) -> ApiResult<Listed> {
    array_of_groups((most, bytes_of(page.rows.len())), page, view, next, |_, _| false)
}

/// The same where some rows are not parted from those before them, of `about` so many bytes: a body that is grown as it is
/// written is copied again and again.
///
/// # Errors
/// As [`array()`].
pub fn array_of_groups<'r, R, T: Serialize>(
    (most, about): (usize, usize),
    page: &'r Page<R>,
    view: impl Fn(&'r R) -> T,
    next: impl Fn(&R) -> Next,
    are_one: impl Fn(&R, &R) -> bool,
) -> ApiResult<Listed> {
    let mut body = room_for(about, most);
    body.push(b'[');
    let goes_with = |position: usize| {
        let before = position.checked_sub(1).and_then(|before| page.rows.get(before));
        before.zip(page.rows.get(position)).is_some_and(|(before, row)| are_one(before, row))
    };
    let kept = put_rows(&mut body, most, page.rows.iter().map(view), goes_with)?;
    body.push(b']');
    let is_whole = kept == page.rows.len() && !page.has_more;
    let last = kept.checked_sub(1).and_then(|last| page.rows.get(last));
    Ok(Listed { body: shrink_to_fit(body), next: if is_whole { None } else { last.map(next) } })
}

/// The newest of `page`, which lists the newest first, as an array with the oldest first. The list goes on `before` the
/// time of its first row.
///
/// # Errors
/// 500 when a row cannot be written.
pub fn newest<'r, R, T: Serialize>(
    most: usize,
    page: &'r Page<R>,
    view: impl Fn(&'r R) -> T,
    time: impl Fn(&R) -> i64,
) -> ApiResult<Listed> {
    // Nearly always everything fits, and then the order is no matter.
    let mut body = room_for(bytes_of(page.rows.len()), most);
    body.push(b'[');
    let goes_with = |position: usize| {
        let at = |position: usize| page.rows.iter().rev().nth(position).map(&time);
        position.checked_sub(1).and_then(at) == at(position)
    };
    let mut kept = put_rows(&mut body, most, page.rows.iter().rev().map(&view), goes_with)?;
    if kept < page.rows.len() {
        let goes_with = |position: usize| {
            let at = |position: usize| page.rows.get(position).map(&time);
            position.checked_sub(1).and_then(at) == at(position)
        };
        body.truncate(1);
        kept = put_rows(&mut body, most, page.rows.iter().map(&view), goes_with)?;
        body.truncate(1);
        let rows = page.rows.get(..kept).unwrap_or_default();
        put_rows(&mut body, usize::MAX, rows.iter().rev().map(&view), |_| false)?;
    }
    body.push(b']');
    let is_whole = kept == page.rows.len() && !page.has_more;
    let oldest = kept.checked_sub(1).and_then(|last| page.rows.get(last));
    let next = |row: &R| ("before", time(row).to_string());
    Ok(Listed { body: shrink_to_fit(body), next: if is_whole { None } else { oldest.map(next) } })
}

/// Writes a page `{rows, has_more, cursor?}`; `cursor` names the row behind which the list goes on.
///
/// # Errors
/// 500 when a row cannot be written.
pub fn put_page<'r, R, T: Serialize>(
    body: &mut Vec<u8>,
    (shape, most): (Shape, usize),
    page: &'r Page<R>,
    cursor: impl Fn(&R) -> String,
    view: impl Fn(&'r R) -> T,
) -> ApiResult<()> {
    body.push(b'{');
    put(body, shape.rows)?;
    body.extend_from_slice(b":[");
    let kept = put_rows(body, most, page.rows.iter().map(view), |_| false)?;
    let has_more = page.has_more || kept < page.rows.len();
    body.extend_from_slice(if has_more { b"],\"has_more\":true" } else { b"],\"has_more\":false" });
    let last = kept.checked_sub(1).and_then(|last| page.rows.get(last));
    if let (true, Some(key), Some(last)) = (has_more, shape.cursor, last) {
        body.push(b',');
        put(body, key)?;
        body.push(b':');
        put(body, &cursor(last))?;
    }
    body.push(b'}');
    Ok(())
}

/// A page alone.
///
/// # Errors
/// As [`put_page`].
pub fn page<'r, R, T: Serialize>(
    shape: (Shape, usize),
    page: &'r Page<R>,
    cursor: impl Fn(&R) -> String,
    view: impl Fn(&'r R) -> T,
) -> ApiResult<Vec<u8>> {
    let mut body = room_for(bytes_of(page.rows.len()), shape.1);
    put_page(&mut body, shape, page, cursor, view)?;
    Ok(shrink_to_fit(body))
}

/// The answer with an array.
///
/// # Errors
/// Never; the type is that of every handler.
pub fn answer(hub: &Hub, request: &HttpRequest, listed: Listed) -> ApiResult<HttpResponse> {
    let mut response = written(listed.body)?;
    let link = listed.next.and_then(|next| HeaderValue::from_str(&link(hub, request, &next)).ok());
    if let Some(link) = link {
        response.headers_mut().insert(LINK, link);
        response.headers_mut().insert(HAS_MORE, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The same route with the same parameters, from another place on.
fn link(hub: &Hub, request: &HttpRequest, (key, value): &Next) -> String {
    let prefix =
        if Dialect::of_request(request) == Dialect::V0 && !request.path().starts_with("/v0/") { "/v0" } else { "" };
    let query = Query::parse(request.query_string()).with(key, value);
    format!("<{}{prefix}{}?{query}>; rel=\"next\"", base_url(request, hub.config()), request.path())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rows(of: &[i64], has_more: bool) -> Page<i64> {
        Page { rows: of.to_vec(), has_more }
    }

    fn text(listed: &Listed) -> &str {
        std::str::from_utf8(&listed.body).unwrap()
    }

    fn behind(row: &i64) -> Next {
        ("after", row.to_string())
    }

    #[test]
    fn an_array_stops_at_its_bound_and_always_has_a_row() {
        let of = |most, has_more| array(most, &rows(&[11, 22, 33], has_more), |row| *row, behind).unwrap();
        for (most, expected, next) in
            [(0, "[11]", Some("11")), (4, "[11]", Some("11")), (5, "[11,22]", Some("22")), (8, "[11,22,33]", None)]
        {
            let listed = of(most, false);
            assert_eq!((text(&listed), listed.next.as_ref().map(|next| next.1.as_str())), (expected, next));
        }
        assert_eq!(of(100, true).next, Some(("after", "33".to_owned())));
        let none = array(0, &rows(&[], false), |row| *row, behind).unwrap();
        assert_eq!((text(&none), &none.next), ("[]", &None));
    }

    #[test]
    fn what_belongs_together_is_not_parted() {
        let of = |most| {
            array_of_groups((most, 0), &rows(&[10, 21, 22, 30], false), |row| *row, behind, |a, b| a / 10 == b / 10)
        };
        assert_eq!(text(&of(5).unwrap()), "[10]");
        assert_eq!(text(&of(8).unwrap()), "[10,21,22]");
        let first =
            array_of_groups((0, 0), &rows(&[21, 22, 30], false), |row| *row, behind, |a, b| a / 10 == b / 10).unwrap();
        assert_eq!((text(&first), &first.next), ("[21,22]", &Some(("after", "22".to_owned()))));
    }

    #[test]
    fn the_newest_are_kept_and_come_last() {
        let of = |most| newest(most, &rows(&[55, 44, 33, 33, 22], false), |row| *row, |row| *row).unwrap();
        assert_eq!((text(&of(100)), of(100).next), ("[22,33,33,44,55]", None));
        assert_eq!((text(&of(11)), of(11).next), ("[33,33,44,55]", Some(("before", "33".to_owned()))));
        assert_eq!(
            (text(&of(8)), of(8).next),
            ("[44,55]", Some(("before", "44".to_owned()))),
            "an instant is not parted"
        );
        assert_eq!(text(&of(0)), "[55]");
    }

    #[test]
    fn pages_say_where_they_go_on() {
        let of = |most, shape| -> Value {
            let body = page((shape, most), &rows(&[11, 22], false), ToString::to_string, |row| *row).unwrap();
            serde_json::from_slice(&body).unwrap()
        };
        assert_eq!(of(9, Shape::ITEMS), json!({"items": [11, 22], "has_more": false}));
        assert_eq!(of(0, Shape::ITEMS), json!({"items": [11], "has_more": true, "next_cursor": "11"}));
        assert_eq!(of(0, Shape::MESSAGES), json!({"messages": [11], "has_more": true}));
        assert_eq!(of(0, Shape::EVENTS), json!({"events": [11], "has_more": true, "cursor": "11"}));
    }
}
