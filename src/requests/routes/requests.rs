//! Requests: asking, reading, listing, withdrawing.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, delete, get, post, web};

use super::body::JsonBody;
use super::forms::NewRequest;
use super::views::{Done, Outcome, RequestPage};
use super::{examples, request_id};
use crate::principal::Principal;
use crate::rules::views::RequestView;
use crate::rules::{Faults, Filters, read_create};
use crate::service::Requests;
use hxa_domain::error::{ApiError, ApiResult};
use hxa_domain::query::Query;
use hxa_hub::hub::Hub;
use hxa_web::Answer;
use hxa_web::answer::{created, json, ok, written};
use hxa_web::middleware::is_head;
use hxa_web::stream::Gate;

/// Longest time that a read may wait for the answer, in seconds.
const LONGEST_WAIT_S: u64 = 60;

/// Marks the answer to a repetition, as on all routes that take a key.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Ask a person
///
/// For agents. The request goes to the responder at once; the answer to this call shows it as it was submitted. With an
/// `idempotency_key` that the agent has used before, the request of then is answered with 200, or 409 if it was another one.
#[utoipa::path(
    tag = "Coordination", operation_id = "requests_create",
    request_body(content = NewRequest, example = json!(examples::new_request())),
    responses(
        (status = 201, description = "The request", body = RequestView, example = json!(examples::submitted())),
        (status = 200, description = "The request that was made under this key before", body = RequestView,
            example = json!(examples::pending())),
        (status = 400, description = "`VALIDATION_ERROR` with `details` and `faults`"),
        (status = 403, description = "`FORBIDDEN`: no agent, or `AUTO_APPROVE` against the organisation's policy"),
        (status = 409, description = "`IDEMPOTENCY_MISMATCH`; `LIMIT_REACHED`: too many open requests"),
    ),
)]
#[post("/v1/requests")]
pub async fn create(requests: web::Data<Requests>, principal: Principal, mut body: JsonBody) -> Answer {
    let agent = principal.agent()?;
    let draft = read_create(body.take())?;
    let made = requests.create(agent, draft).await?;
    if !made.is_replay {
        return created(&RequestView::submitted(&made.request));
    }
    let mut response = ok(&RequestView::of(&made.request))?;
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// Get a request
///
/// The first GET of the agent that asked delivers the answer: RESPONDED becomes DELIVERED. HEAD and reads by others deliver
/// nothing. With `wait` the response comes as soon as the request is decided, or after so many seconds as it is then.
#[utoipa::path(
    tag = "Coordination", operation_id = "request_get",
    params(
        ("id" = String, Path, description = "The request", example = json!(examples::REQUEST)),
        ("wait" = Option<u64>, Query, description = "Seconds to wait for the answer, 0 to 60", example = json!(30)),
    ),
    responses(
        (status = 200, description = "The request", body = RequestView, example = json!(examples::delivered())),
        (status = 400, description = "A `wait` that is no number from 0 to 60"),
        (status = 404, description = "No such request for the caller"),
    ),
)]
#[get("/v1/requests/{id}")]
pub async fn show(
    requests: web::Data<Requests>,
    principal: Principal,
    id: web::Path<String>,
    request: HttpRequest,
) -> Answer {
    let (id, wait) = (request_id(&id)?, wait_of(request.query_string())?);
    let found = match principal.agent() {
        Ok(agent) if !is_head(&request) && wait.is_zero() => requests.deliver(agent, id).await?,
        Ok(agent) if !is_head(&request) => unless_gone(&request, requests.wait(agent, id, wait)).await?,
        _ => requests.find(&principal, id).await?,
    };
    ok(&RequestView::of(&found))
}

/// How long to wait.
fn wait_of(query: &str) -> Result<Duration, Faults> {
    let query = Query::parse(query);
    let Some(text) = query.get("wait") else { return Ok(Duration::ZERO) };
    let seconds = text.parse::<u64>().ok().filter(|seconds| *seconds <= LONGEST_WAIT_S);
    let seconds = seconds.filter(|_| text.bytes().all(|digit| digit.is_ascii_digit()));
    let fault = || Faults::one("wait", format!("Expected a whole number of seconds from 0 to {LONGEST_WAIT_S}"));
    seconds.map(Duration::from_secs).ok_or_else(fault)
}

/// Gives up once the client has gone: what nobody reads must not count as delivered.
async fn unless_gone<T>(request: &HttpRequest, work: impl Future<Output = ApiResult<T>>) -> ApiResult<T> {
    let gate = request.conn_data::<Rc<Gate>>().cloned();
    let mut work = pin!(work);
    poll_fn(|context| {
        if gate.as_ref().is_some_and(|gate| gate.has_peer_ended()) {
            return Poll::Ready(Err(ApiError::unavailable("The client has gone")));
        }
        work.as_mut().poll(context)
    })
    .await
}

/// List requests
///
/// Newest first; filters are exact and all must match. Agents see their own requests, responders what asks or asked them,
/// coordinators, auditors and admins all. Nothing is delivered by a list.
#[utoipa::path(
    tag = "Coordination", operation_id = "requests_list",
    params(
        ("agent_id" = Option<String>, Query, description = "Only of the agent of this name", example = json!("ada")),
        ("state" = Option<String>, Query, description = "Only in this state, or in one of several with commas between",
            example = json!("PENDING_RESPONSE")),
        ("intent" = Option<String>, Query, description = "Only for this", example = json!("APPROVAL")),
        ("urgency" = Option<String>, Query, description = "Only of this urgency", example = json!("HIGH")),
        ("responder_id" = Option<String>, Query, description = "Only those that ask this responder",
            example = json!("ops-lead")),
        ("trace_id" = Option<String>, Query, description = "Only of this trace", example = json!("run-17")),
        ("since" = Option<String>, Query, description = "Submitted at or after this time, ISO 8601 or ms",
            example = json!("2026-12-01")),
        ("until" = Option<String>, Query, description = "Submitted before this time", example = json!("2026-12-02")),
        ("limit" = Option<i64>, Query, description = "At most so many, 0 to 1,000, 50 by default", example = json!(50)),
        ("offset" = Option<i64>, Query, description = "After so many; not together with `cursor`", example = json!(0)),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before",
            example = json!(examples::CURSOR)),
    ),
    responses(
        (status = 200, description = "The requests", body = RequestPage, example = json!(examples::request_page())),
        (status = 400, description = "A filter that can never match, naming what can; a key given twice"),
    ),
)]
#[get("/v1/requests")]
pub async fn list(
    hub: web::Data<Hub>,
    requests: web::Data<Requests>,
    principal: Principal,
    request: HttpRequest,
) -> Answer {
    let (filters, page) = Filters::read(request.query_string())?;
    let listed = requests.list(&principal, filters, page).await?;
    let work = move || json(&RequestPage::of(&listed));
    written(hub.store().work_for(Some(principal.org().id), work).await??)
}

/// Cancel a request
///
/// By the agent that asked, a coordinator or an admin, while the request is open.
#[utoipa::path(
    tag = "Coordination", operation_id = "request_cancel",
    params(("id" = String, Path, description = "The request", example = json!(examples::REQUEST))),
    responses(
        (status = 200, description = "It is cancelled", body = Done, example = json!(examples::done("cancelled"))),
        (status = 404, description = "No such request for the caller"),
        (status = 409, description = "`INVALID_TRANSITION`; the text names the state"),
    ),
)]
#[delete("/v1/requests/{id}")]
pub async fn cancel(requests: web::Data<Requests>, principal: Principal, id: web::Path<String>) -> Answer {
    let id = request_id(&id)?;
    requests.cancel(&principal, id).await?;
    ok(&Done { status: Outcome::Cancelled, request_id: id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_whole_seconds_of_a_minute() {
        let wait = |query: &str| wait_of(query).ok().map(|wait| wait.as_secs());
        for (query, seconds) in [("", 0), ("wait=0", 0), ("x=1&wait=60", 60), ("wait=007", 7)] {
            assert_eq!(wait(query), Some(seconds), "{query}");
        }
        for query in ["wait=", "wait=61", "wait=-1", "wait=1.5", "wait=+1", "wait=1e1", "wait=99999999999999999999"] {
            assert_eq!(wait(query), None, "{query}");
        }
    }
}
