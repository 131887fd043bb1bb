//! What people click in Slack: found to be Slack's, and decided by the rules of the request.
//!
//! A user of Slack is the person of the request's organisation who has that user's id; a stranger is refused, unless the
//! organisation lets strangers answer as `slack:<name>`. The click's answer is known within Slack's three seconds or goes on without
//! it. Whoever is refused is told so where only they see it; a message whose request has ended is brought up to date.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::HeaderMap;
use actix_web::rt;
use tokio::sync::Semaphore;

use crate::rules::{Request, RequestId, State, Via, Who};
use crate::service::Requests;
use crate::slack::messages::{Click, told};
use crate::slack::render::answer;
use crate::slack::secrets;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_hub::auth;
use hxa_hub::config::SlackConfig;
use hxa_hub::core::org_state::OrgState;
use hxa_slack::api::Reply;
use hxa_slack::interaction::{self, BlockActions, User};
use hxa_slack::signature::{SIGNATURE_HEADER, Signed, TIMESTAMP_HEADER};
use hxa_slack::{Interaction, Outcome, Refused, Verifier};

/// How long Slack is kept waiting; it gives up after three seconds.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// People who are told something at the same time; beyond that they are not, because nothing depends on it.
const TOLD_AT_ONCE: usize = 32;
/// What is told of a request that is not there for whoever clicks.
const MISSING: &str = "Request not found";

/// The clicks; see the module.
pub struct Clicks {
    requests: Arc<Requests>,
    verifier: Verifier,
    seats: Arc<Semaphore>,
}

/// What a click came to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcomes {
    /// The answer is stored.
    Taken,
    /// The request had ended before.
    Over(Arc<Request>),
    /// It changed nothing.
    Refused,
}

/// What a click came to, and what is said of it.
type Reaction = (Outcomes, String);

impl Clicks {
    /// Of these requests, signed with the configured secrets.
    #[must_use]
    pub fn new(requests: Arc<Requests>, config: &SlackConfig) -> Self {
        let seats = Arc::new(Semaphore::new(TOLD_AT_ONCE));
        Self { requests, verifier: Verifier::new(secrets(config)), seats }
    }

    /// Refuses a request whose headers are not those of a fresh signature, so that the bodies of strangers are not read.
    ///
    /// # Errors
    /// 401.
    pub fn check(&self, headers: &HeaderMap, now: i64) -> ApiResult<()> {
        self.verifier.check_headers(signed(headers), now).map_err(|refused| self.unsigned(refused))
    }

    fn unsigned(&self, refused: Refused) -> ApiError {
        self.requests.slack().figures.clicked("unsigned");
        refusal(refused)
    }

    /// Reads a request that must be Slack's.
    ///
    /// # Errors
    /// 401 when it is not signed by Slack, too old or repeated, 400 when it cannot be read, 503 when there are too many.
    pub fn read(&self, headers: &HeaderMap, body: &[u8], now: i64) -> ApiResult<Option<BlockActions>> {
        self.verifier.accept(signed(headers), body, now).map_err(|refused| self.unsigned(refused))?;
        match interaction::parse(body) {
            Ok(Interaction::BlockActions(actions)) => Ok(Some(actions)),
            Ok(Interaction::Other) => Ok(None),
            Err(unreadable) => {
                self.requests.slack().figures.clicked("unreadable");
                Err(ApiError::validation("Invalid payload").with("message", unreadable.to_string()))
            }
        }
    }

    /// Does what was clicked; what is said of it, as far as it is known in time.
    pub async fn take(self: Arc<Self>, actions: BlockActions) -> Option<String> {
        let clicked = actions.actions.iter().find_map(|action| {
            let click = Click::parse(&action.action_id)?;
            Some((click, action.action_id.clone(), action.value.clone().unwrap_or_default()))
        })?;
        let work = rt::spawn(async move {
            let (outcome, text) = self.react(&actions.user, clicked).await;
            self.tell(actions.response_url, outcome, &text);
            text
        });
        tokio::time::timeout(PATIENCE, work).await.ok()?.ok()
    }

    async fn react(&self, user: &User, (click, action_id, id): (Click, String, String)) -> Reaction {
        let reaction = match decide(&self.requests, user, (click, action_id), &id).await {
            Ok(reaction) => reaction,
            Err(error) => {
                log::warn!(error:% = error; "a click in Slack could not be dealt with");
                (Outcomes::Refused, "The hub cannot take the answer now; try again".to_owned())
            }
        };
        self.requests.slack().figures.clicked(match reaction.0 {
            Outcomes::Taken => "taken",
            Outcomes::Over(_) => "over",
            Outcomes::Refused => "refused",
        });
        reaction
    }

    /// Tells whoever has clicked, without anybody waiting for it.
    fn tell(&self, url: Option<String>, outcome: Outcomes, text: &str) {
        let slack = self.requests.slack();
        let (Some(api), Some(url)) = (slack.api.clone(), url) else { return };
        let replaced = match outcome {
            // The outbox changes the message.
            Outcomes::Taken => return,
            Outcomes::Over(request) => Some(slack.look.ended(&request)),
            Outcomes::Refused => None,
        };
        let Ok(seat) = self.seats.clone().try_acquire_owned() else { return };
        let private = told(text);
        rt::spawn(async move {
            let mut outcomes = vec![api.respond(&url, Reply::Private, &private).await];
            if let Some(message) = replaced {
                outcomes.push(api.respond(&url, Reply::Replace, &message).await);
            }
            if let Some(Outcome::Permanent { code }) =
                outcomes.into_iter().find(|outcome| matches!(outcome, Outcome::Permanent { .. }))
            {
                log::debug!(error = code.as_str(); "whoever clicked in Slack could not be told");
            }
            drop(seat);
        });
    }
}

fn signed(headers: &HeaderMap) -> Signed<'_> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Signed { timestamp: header(TIMESTAMP_HEADER), signature: header(SIGNATURE_HEADER) }
}

fn refusal(refused: Refused) -> ApiError {
    match refused {
        Refused::Busy => ApiError::unavailable("Too many requests from Slack at once; try again"),
        refused => ApiError::new(ErrorCode::InvalidCredentials, format!("Not a request of Slack: {refused}")),
    }
}

/// Answers the request that was clicked, if whoever clicked may.
async fn decide(requests: &Requests, user: &User, clicked: (Click, String), id: &str) -> ApiResult<Reaction> {
    let refused = |text: &str| Ok((Outcomes::Refused, text.to_owned()));
    let (click, action_id) = clicked;
    let found = match RequestId::parse(id) {
        Some(id) => requests.find_anywhere(id).await?.filter(|request| request.slack_channel().is_some()),
        None => None,
    };
    let Some(request) = found else { return refused(MISSING) };
    let org = requests.core().org(request.org).await?.filter(|org| auth::check_org(org).is_ok());
    let Some(org) = org else { return refused(MISSING) };
    let Some(who) = who(requests, &org, user).await? else {
        return refused("You are not known to this organisation; ask its admin to enter your Slack user id");
    };
    if !request.state.is_open() {
        return Ok(over(request.state, request));
    }
    let Some(data) = answer(&request, click) else {
        return refused("This request has no such button; open it in the portal");
    };
    let user_name = name(user).to_owned();
    let via = Via::Slack { user_id: user.id.clone(), user_name, action_id };
    match requests.respond_from(&org, who, request.id, (data, via)).await {
        Ok(answered) => Ok((Outcomes::Taken, taken(&answered, click))),
        Err(error) => Ok(refused_by_rules(requests, &request, error).await),
    }
}

/// Whoever clicked, as the organisation knows them; `None` for strangers and for people who are disabled.
async fn who(requests: &Requests, org: &Arc<OrgState>, user: &User) -> ApiResult<Option<Who>> {
    let person = match org.person_by_slack(&user.id) {
        Some(person) if person.is_active() => Some((Arc::from(person.handle()), person.role())),
        Some(_) => return Ok(None),
        None if requests.policy(org.id).await?.slack_names => None,
        None => return Ok(None),
    };
    Ok(Some(Who::Slack { user_id: user.id.as_str().into(), user_name: name(user).into(), person }))
}

/// Slack's name of a user; the id for those without one.
fn name(user: &User) -> &str {
    user.name.as_deref().unwrap_or(&user.id)
}

fn over(state: State, request: Arc<Request>) -> Reaction {
    (Outcomes::Over(request), format!("Request is already in state: {state}"))
}

fn taken(request: &Request, click: Click) -> String {
    let what = match click {
        _ if request.state.is_open() => return format!("Your vote counts. (ID: {})", request.id),
        Click::Approve => "approved",
        Click::Reject => "rejected",
        Click::Option(_) => "answered",
    };
    format!("Request {what}. (ID: {})", request.id)
}

async fn refused_by_rules(requests: &Requests, request: &Request, error: ApiError) -> Reaction {
    let refused = |text: &str| (Outcomes::Refused, text.to_owned());
    match error.status() {
        404 => refused(MISSING),
        403 => refused(error.message()),
        409 => match requests.find_anywhere(request.id).await {
            Ok(Some(now)) if !now.state.is_open() => over(now.state, now),
            _ => refused(error.message()),
        },
        400 => refused("This cannot be answered by a button; open the request in the portal"),
        _ => refused("The hub cannot take the answer now; try again"),
    }
}
