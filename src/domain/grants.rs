//! Parameters of new credentials.
//!
//! Lifetimes of tokens are in milliseconds, those of tickets and invite codes in seconds, as clients expect. They are
//! whole and bounded, so that adding them to a time neither overflows nor leaves fractions. An expiry of 0 means never.

use serde_json::Value;

use crate::draft::Draft;
use crate::error::{ApiError, ApiResult};
use crate::form::{self, AnySchema, Form};
use crate::limits;
use crate::query::integer;
use crate::scope::{Scope, ScopeSet};
use crate::text::{Fields, is_truthy, kind, limit_units, optional};

/// Lifetime of a registration ticket that asks for none, in ms.
const TICKET_DEFAULT_MS: i64 = 30 * 60_000;
/// Lifetime of an invite code that asks for none, in ms.
const INVITE_DEFAULT_MS: i64 = 90 * 86_400_000;

/// A request for a scoped token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRequest {
    /// What it may be used for.
    pub scopes: ScopeSet,
    /// A note for its owner.
    pub label: Option<String>,
    /// Its lifetime in ms; `None` is without end.
    pub lifetime_ms: Option<i64>,
}

impl Draft for TokenRequest {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let scopes = ScopeSet::from_request(body.get("scopes"))?;
        let label = grant_label(body)?;
        let lifetime_ms = match body.get("expires_in") {
            None => None,
            Some(value) => Some(positive_ms(value)?),
        };
        Ok(Self { scopes, label, lifetime_ms })
    }

    fn form() -> Form {
        let scopes = form::one_of(Scope::own().map(Scope::as_str));
        Form::new("A scoped token.")
            .needs("scopes", form::endless_list(scopes).min_items(Some(1)), "What it may be used for.")
            .takes("label", label_schema(), "A note for its owner.")
            .takes("expires_in", form::number(1, limits::LIFETIME_MAX_MS), "Its lifetime in ms; endless if absent.")
    }
}

/// A lifetime in ms that must be above 0; fractions are rounded up, so that none becomes 0.
fn positive_ms(value: &Value) -> ApiResult<i64> {
    let number = value.as_f64().filter(|number| *number > 0.0);
    let whole = number.and_then(|number| integer(&Value::from(number.ceil())));
    whole.filter(|ms| *ms <= limits::LIFETIME_MAX_MS).ok_or_else(|| {
        let got = if value.is_number() { value.to_string() } else { kind(value).to_owned() };
        let most = limits::LIFETIME_MAX_MS;
        ApiError::validation(format!("expires_in must be a number of milliseconds from 1 to {most}, not {got}"))
    })
}

/// A request to replace a primary token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationRequest {
    /// How long the old one lives on, ms.
    pub grace_ms: i64,
    /// Whether the bot's scoped tokens end with it.
    pub revokes_tokens: bool,
}

impl Draft for RotationRequest {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let revokes_tokens = match body.get("revoke_tokens") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                return Err(ApiError::validation(format!("revoke_tokens must be true or false, not {}", kind(other))));
            }
        };
        Ok(Self { grace_ms: grace_ms(body)?, revokes_tokens })
    }

    fn form() -> Form {
        let grace = form::nullable(form::whole(0, limits::GRACE_MAX_SECONDS));
        Form::new("The rotation of a primary token.")
            .takes("grace_seconds", grace, "How long the old token still works; 0 if absent.")
            .takes("revoke_tokens", form::nullable(form::flag()), "Whether the bot's scoped tokens end with it.")
    }
}

/// How long a replaced primary token lives on: `grace_seconds`, 0 to a day, in ms; 0 if absent.
fn grace_ms(body: &Fields) -> ApiResult<i64> {
    let Some(value) = body.get("grace_seconds").filter(|value| !value.is_null()) else { return Ok(0) };
    let seconds = integer(value).filter(|seconds| (0..=limits::GRACE_MAX_SECONDS).contains(seconds));
    let refusal = || format!("grace_seconds must be an integer from 0 to {}", limits::GRACE_MAX_SECONDS);
    seconds.map(|seconds| seconds.saturating_mul(1000)).ok_or_else(|| ApiError::validation(refusal()))
}

/// A request for a registration ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TicketRequest {
    /// Whether it can be used again and again.
    pub reusable: bool,
    /// Whether its bots need no approval.
    pub skip_approval: bool,
    /// Its lifetime in ms; 0 is without end.
    pub lifetime_ms: i64,
}

/// It never refuses: what is not literally `true` is false, a strange lifetime is half an hour.
impl Draft for TicketRequest {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let is_on = |field: &str| body.get(field) == Some(&Value::Bool(true));
        let lifetime_ms = lenient_seconds(body.get("expires_in"), TICKET_DEFAULT_MS);
        Ok(Self { reusable: is_on("reusable"), skip_approval: is_on("skip_approval"), lifetime_ms })
    }

    fn form() -> Form {
        Form::new("A registration ticket.")
            .takes("reusable", form::flag(), "Whether it can be used again and again.")
            .takes("skip_approval", form::flag(), "Whether its bots need no approval.")
            .takes("expires_in", seconds_schema(), "Its lifetime in seconds; 0 is endless, half an hour if absent.")
    }
}

/// A request for a platform invite code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InviteRequest {
    /// How many organisations it can open; 0 is without limit.
    pub max_uses: i32,
    /// Its lifetime in ms; 0 is without end.
    pub lifetime_ms: i64,
    /// A note for the operator.
    pub label: Option<String>,
}

/// `null` is no value here.
impl Draft for InviteRequest {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let max_uses = match body.get("max_uses") {
            None => 0,
            Some(value) => integer(value)
                .and_then(|uses| i32::try_from(uses).ok())
                .filter(|uses| *uses >= 0)
                .ok_or_else(|| ApiError::validation("max_uses must be an integer of at least 0"))?,
        };
        let lifetime_ms = lenient_seconds(body.get("expires_in"), INVITE_DEFAULT_MS);
        if body.get("label").is_some_and(Value::is_null) {
            return Err(ApiError::validation("label must be a string, not null"));
        }
        Ok(Self { max_uses, lifetime_ms, label: grant_label(body)? })
    }

    fn form() -> Form {
        let label = form::short(limits::GRANT_LABEL_UNITS);
        Form::new("An invite code.")
            .takes("max_uses", form::whole(0, i64::from(i32::MAX)), "How many organisations it can open; 0 is endless.")
            .takes("expires_in", seconds_schema(), "Its lifetime in seconds; 0 is endless, 90 days if absent.")
            .takes("label", label, "A note for the operator.")
    }
}

schemas_of_drafts!(TokenRequest, RotationRequest, TicketRequest, InviteRequest);

/// The schema of a credential's label.
pub(crate) fn label_schema() -> AnySchema {
    form::nullable(form::short(limits::GRANT_LABEL_UNITS))
}

fn seconds_schema() -> AnySchema {
    form::number(0, limits::LIFETIME_MAX_MS / 1000).into()
}

/// A lifetime given in seconds, in ms: 0 is without end, above 0 counts up to the maximum, all else is the default.
fn lenient_seconds(value: Option<&Value>, default_ms: i64) -> i64 {
    let Some(seconds) = value.and_then(Value::as_f64).filter(|seconds| *seconds >= 0.0) else { return default_ms };
    let ms = integer(&Value::from((seconds * 1000.0).ceil()));
    ms.unwrap_or(limits::LIFETIME_MAX_MS).min(limits::LIFETIME_MAX_MS)
}

/// The label of a credential.
pub(crate) fn grant_label(body: &Fields) -> ApiResult<Option<String>> {
    let Some(label) = optional("label", body.get("label"))? else { return Ok(None) };
    limit_units("label", label, limits::GRANT_LABEL_UNITS)?;
    Ok(Some(label.to_owned()))
}

/// The name of the human who logs in for a bot; what JavaScript takes for false is none.
pub fn owner_name(value: Option<&Value>) -> ApiResult<Option<String>> {
    let Some(name) = optional("owner_name", value.filter(|value| is_truthy(value)))? else { return Ok(None) };
    limit_units("owner_name", name, limits::OWNER_NAME_UNITS)?;
    Ok(Some(name.to_owned()))
}

/// When a credential made at `now` ends, for those where 0 means never.
#[must_use]
pub fn expiry(now: i64, lifetime_ms: i64) -> i64 {
    if lifetime_ms == 0 { 0 } else { now.saturating_add(lifetime_ms) }
}

/// An expiry, 0 for never, that is not later than when that ends which made it.
#[must_use]
pub fn until_at_most(expires_at: i64, maker_ends_at: Option<i64>) -> i64 {
    match maker_ends_at {
        None => expires_at,
        Some(end) if expires_at == 0 => end,
        Some(end) => expires_at.min(end),
    }
}

/// Whether a credential whose expiry is 0 for never has ended.
#[must_use]
pub fn has_expired(expires_at: i64, now: i64) -> bool {
    expires_at != 0 && expires_at <= now
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn token(body: Value) -> ApiResult<TokenRequest> {
        TokenRequest::read(&mut body.as_object().unwrap().clone())
    }

    #[test]
    fn tokens_need_scopes_and_take_milliseconds() {
        let request = token(json!({"scopes": ["read"], "label": null, "expires_in": 1.5})).unwrap();
        assert_eq!((request.label, request.lifetime_ms), (None, Some(2)));
        assert_eq!(token(json!({"scopes": ["read"]})).unwrap().lifetime_ms, None);
        for bad in [json!(0), json!(-1), json!(null), json!("5"), json!(1e303)] {
            assert!(token(json!({"scopes": ["read"], "expires_in": bad})).is_err(), "{bad}");
        }
        assert!(token(json!({"label": "x"})).is_err());
        assert!(token(json!({"scopes": ["read"], "label": 5})).is_err());
    }

    #[test]
    fn tickets_take_seconds_and_never_refuse() {
        let read = |body: Value| TicketRequest::read(&mut body.as_object().unwrap().clone()).unwrap();
        let default = TicketRequest { reusable: false, skip_approval: false, lifetime_ms: 1_800_000 };
        assert_eq!(read(json!({})), default);
        assert_eq!(read(json!({"reusable": 1, "skip_approval": "true", "expires_in": -3})), default);
        let asked = read(json!({"reusable": true, "skip_approval": true, "expires_in": 60}));
        assert_eq!(asked, TicketRequest { reusable: true, skip_approval: true, lifetime_ms: 60_000 });
        assert_eq!(read(json!({"expires_in": 0})).lifetime_ms, 0);
        assert_eq!(read(json!({"expires_in": 1e303})).lifetime_ms, limits::LIFETIME_MAX_MS);
    }

    #[test]
    fn invite_codes_are_bounded() {
        let read = |body: Value| InviteRequest::read(&mut body.as_object().unwrap().clone());
        let default = InviteRequest { max_uses: 0, lifetime_ms: INVITE_DEFAULT_MS, label: None };
        assert_eq!(read(json!({"expires_in": "x"})).unwrap(), default);
        assert_eq!(read(json!({"max_uses": 3, "label": ""})).unwrap().label.as_deref(), Some(""));
        for body in [
            json!({"max_uses": null}),
            json!({"max_uses": -1}),
            json!({"max_uses": 1.5}),
            json!({"label": null}),
            json!({"label": "l".repeat(257)}),
        ] {
            assert!(read(body.clone()).is_err(), "{body}");
        }
    }

    #[test]
    fn an_owner_is_a_text_or_nobody() {
        assert_eq!(owner_name(Some(&json!(0))).unwrap(), None);
        assert!(owner_name(Some(&json!({}))).is_err());
    }

    #[test]
    fn zero_is_never() {
        assert_eq!((expiry(5, 0), expiry(5, 10)), (0, 15));
        assert_eq!((until_at_most(0, None), until_at_most(15, None)), (0, 15));
        assert_eq!([0, 15, 20, 25].map(|at| until_at_most(at, Some(20))), [20, 15, 20, 20]);
        assert!(!has_expired(0, i64::MAX));
        assert!(has_expired(5, 5));
        assert!(!has_expired(6, 5));
    }
}
