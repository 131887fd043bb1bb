//! The rules of webhooks that need no connection: which events are delivered, how requests are signed, what a response
//! means, and when to retry.
//!
//! A failed delivery is retried in rounds: immediately, then after each delay of the schedule. A failed round counts as
//! one failure of the receiver, however many fail concurrently; after enough of them the receiver is degraded and only
//! probed now and then, one attempt at a time, until one succeeds. 4xx responses are final except for those that mean
//! "later". A request without a response may have been accepted: it is repeated a few times, far apart, and blocks
//! nothing.

use chrono::{DateTime, NaiveDateTime};
use serde_json::Value;

use crate::draft::Draft;
use crate::error::{ApiError, ApiResult};
use crate::form::{self, AnySchema, Form};
use crate::secrets::{constant_time_eq, hex, hmac_sha256};
use crate::text::{Fields, optional, optional_list};
use crate::{limits, query};

stored_enum! {
    /// Where a delivery stands.
    DeliveryStatus { Pending = "pending", Delivered = "delivered", Dead = "dead", Unknown = "unknown", }
}

/// The events that go to webhooks.
pub const KINDS: [&str; 15] = [
    "message",
    "thread_created",
    "thread_updated",
    "thread_status_changed",
    "thread_message",
    "thread_artifact",
    "thread_participant",
    "thread_join_request",
    "bot_join_request",
    "request.submitted",
    "request.escalated",
    "request.responded",
    "request.delivered",
    "request.timed_out",
    "request.cancelled",
];
/// How far the clocks of hub and receiver may be apart, ms.
const TOLERANCE_MS: i64 = 300_000;
/// Longest overlap of two secrets: 30 days, in seconds.
const OVERLAP_MAX_S: i64 = 30 * 86_400;
/// How long the old secret signs along unless the bot says otherwise: a day, in seconds.
const OVERLAP_S: i64 = 86_400;

/// Whether an event of this kind goes to webhooks at all.
#[must_use]
pub fn is_sent(kind: &str) -> bool {
    KINDS.contains(&kind)
}

/// Whether an event of this kind tells of a thread what only those may know who take part in it. Who takes part is told also to
/// a bot that has left, because that is how it hears of it.
#[must_use]
pub fn is_for_participants(kind: &str) -> bool {
    kind.starts_with("thread_") && kind != "thread_participant"
}

/// The events a bot wants, as they are stored: a JSON list, or nothing for all.
#[must_use]
pub fn stored_filter(text: Option<&str>) -> Option<Vec<String>> {
    text.and_then(|text| serde_json::from_str(text).ok())
}

/// The body of a request: the event's object (still without its closing brace) and the version of this format.
#[must_use]
pub fn payload(open_object: &str) -> String {
    format!("{open_object},\"webhook_version\":\"1\"}}")
}

/// The signature header: `sha256=` and the HMAC of the timestamp, a dot and the body.
#[must_use]
pub fn signature(secret: &str, timestamp: i64, body: &str) -> String {
    let signed = format!("{timestamp}.{body}");
    format!("sha256={}", hex(&hmac_sha256(secret.as_bytes(), signed.as_bytes())))
}

/// Whether a request is from somebody who knows the secret and is recent: what a receiver should check. The signature
/// may come without its `sha256=`.
#[must_use]
pub fn is_genuine(secret: &str, timestamp: &str, body: &str, given: &str, now: i64) -> bool {
    let Ok(at) = timestamp.parse::<i64>() else { return false };
    let digits = given.strip_prefix("sha256=").unwrap_or(given);
    let is_hex = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let expected = signature(secret, at, body);
    let expected = expected.strip_prefix("sha256=").unwrap_or_default();
    is_hex && now.abs_diff(at) <= TOLERANCE_MS.unsigned_abs() && constant_time_eq(expected, &digits.to_lowercase())
}

/// What an answer's status means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Taken.
    Delivered,
    /// This body is permanently refused: it is dropped, the next one follows.
    Refused,
    /// The receiver cannot take this right now: the body is tried again.
    Failed,
}

/// Judges a status. A redirect is not followed and so a failure.
#[must_use]
pub fn judge(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Delivered,
        408 | 409 | 425 | 429 => Verdict::Failed,
        400..=499 => Verdict::Refused,
        _ => Verdict::Failed,
    }
}

/// Whether an answer that asks to come back later speaks of everything that the receiver is sent, and not of this body
/// alone.
#[must_use]
pub fn is_about_receiver(status: u16) -> bool {
    matches!(status, 429 | 503)
}

/// Reads `Retry-After`, seconds or one of the three forms of an HTTP date: how long to wait from `now`, ms, and at most
/// `most`. Times that have passed are no wait; anything else is not understood.
#[must_use]
pub fn retry_after(value: &str, now: i64, most: u64) -> Option<u64> {
    let value = value.trim();
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let wait = if is_number {
        value.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(1000)
    } else {
        u64::try_from(http_date(value)?.saturating_sub(now)).unwrap_or(0)
    };
    Some(wait.min(most))
}

fn http_date(value: &str) -> Option<i64> {
    if let Ok(date) = DateTime::parse_from_rfc2822(value) {
        return Some(date.timestamp_millis());
    }
    let forms = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    let mut dates = forms.iter().filter_map(|form| NaiveDateTime::parse_from_str(value, form).ok());
    dates.next().map(|date| date.and_utc().timestamp_millis())
}

/// Times of attempts; all in ms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Pauses between the attempts of a round.
    pub retries: Vec<u64>,
    /// Pause between two rounds.
    pub pause: u64,
    /// Pause between two attempts while the receiver is degraded.
    pub probe: u64,
    /// Failed rounds in a row after which a receiver is degraded.
    pub degraded_after: i32,
    /// Pauses before what was not answered is sent again, each time once.
    pub repeats: Vec<u64>,
    /// The longest that a receiver's `Retry-After` is honoured.
    pub retry_after: u64,
}

/// What a failed attempt leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setback {
    /// Pause before the next attempt, ms.
    pub pause: u64,
    /// Whether it counts as a failure of the receiver.
    pub counts: bool,
}

impl Schedule {
    /// After the `attempts`-th attempt of a delivery failed, with the receiver degraded or not before it.
    #[must_use]
    pub fn setback(&self, attempts: i32, is_degraded: bool) -> Setback {
        if is_degraded {
            return Setback { pause: self.probe, counts: true };
        }
        let in_round = usize::try_from(attempts.saturating_sub(1)).unwrap_or(0) % self.retries.len().saturating_add(1);
        match self.retries.get(in_round) {
            Some(pause) => Setback { pause: *pause, counts: false },
            None => Setback { pause: self.pause, counts: true },
        }
    }

    /// Pause before something is sent again that was not answered `unanswered` times; none when that was often enough.
    #[must_use]
    pub fn repeat(&self, unanswered: i32) -> Option<u64> {
        self.repeats.get(usize::try_from(unanswered.saturating_sub(1)).ok()?).copied()
    }

    /// How long a round of attempts takes at least. Of the rounds that fail at the same time only one counts, so that
    /// many conversations make a receiver no sooner degraded than one.
    #[must_use]
    pub fn round(&self) -> u64 {
        self.retries.iter().fold(0, |sum, pause| sum.saturating_add(*pause))
    }

    /// The longest pause there can be (with its jitter). A time further off is of a clock that was set back.
    #[must_use]
    pub fn longest(&self) -> u64 {
        let pauses = self.retries.iter().chain(&self.repeats).copied();
        let longest = pauses.chain([self.pause, self.probe, self.retry_after]).max().unwrap_or(0);
        longest.saturating_add(longest / 10)
    }

    /// How long after `now` something is due at `at`, ms; nothing when it is due now.
    #[must_use]
    pub fn wait_until(&self, at: i64, now: i64) -> Option<u64> {
        let wait = u64::try_from(at.saturating_sub(now)).unwrap_or(0);
        Some(wait).filter(|wait| *wait > 0 && *wait <= self.longest())
    }
}

/// A change of a bot's webhook; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookPatch {
    /// Where to post; `Some(None)` ends the webhook.
    pub url: Option<Option<String>>,
    /// Which events; `Some(None)` is all of them.
    pub events: Option<Option<Vec<String>>>,
}

impl Draft for WebhookPatch {
    /// Null or an empty text ends the webhook, null events are all.
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let mut patch = Self::default();
        if body.contains_key("webhook_url") {
            let url = optional("webhook_url", body.get("webhook_url"))?.filter(|url| !url.is_empty());
            patch.url = Some(url.map(str::to_owned));
        }
        if body.contains_key("webhook_events") {
            patch.events = Some(events(body)?);
        }
        if patch == Self::default() {
            return Err(ApiError::validation("webhook_url or webhook_events is required"));
        }
        Ok(patch)
    }

    fn form() -> Form {
        Form::new("A change of a webhook; at least one of its fields.")
            .takes("webhook_url", form::nullable(form::text()), "Where events are posted; null ends the webhook.")
            .takes("webhook_events", events_schema(), "Which events; null is all of them.")
    }
}

/// The schema of the optional list `webhook_events`.
#[must_use]
pub fn events_schema() -> AnySchema {
    form::nullable(form::endless_list(form::one_of(KINDS.iter().copied())))
}

/// Reads the optional list `webhook_events`.
///
/// # Errors
/// 400 for anything but a list of events that go to webhooks.
pub fn events(body: &Fields) -> ApiResult<Option<Vec<String>>> {
    let Some(mut events) = optional_list("webhook_events", body.get("webhook_events"))? else { return Ok(None) };
    if let Some(unknown) = events.iter().find(|event| !is_sent(event)) {
        let known = KINDS.join(", ");
        return Err(ApiError::validation(format!("webhook_events: {unknown:?} is none of {known}")));
    }
    events.sort_unstable();
    events.dedup();
    Ok(Some(events))
}

/// A new secret for a webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The secret, if the bot brings its own.
    pub secret: Option<String>,
    /// How long the old one signs along, ms.
    pub overlap_ms: i64,
}

impl std::fmt::Debug for Rotation {
    /// Keeps the secret out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let secret = self.secret.as_ref().map(|_| "***");
        f.debug_struct("Rotation").field("secret", &secret).field("overlap_ms", &self.overlap_ms).finish()
    }
}

impl Draft for Rotation {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let given = secret(body, "secret")?;
        let overlap = match body.get("overlap_seconds") {
            None | Some(Value::Null) => OVERLAP_S,
            Some(value) => {
                query::integer(value).filter(|seconds| (0..=OVERLAP_MAX_S).contains(seconds)).ok_or_else(|| {
                    ApiError::validation(format!("overlap_seconds must be a whole number from 0 to {OVERLAP_MAX_S}"))
                })?
            }
        };
        Ok(Self { secret: given, overlap_ms: overlap.saturating_mul(1000) })
    }

    fn form() -> Form {
        Form::new("A new secret for a webhook.")
            .takes("secret", secret_schema(), "The new secret; the hub makes one if absent.")
            .takes(
                "overlap_seconds",
                form::nullable(form::whole(0, OVERLAP_MAX_S)),
                "How long requests also carry a signature by the old secret; a day if absent.",
            )
    }
}

schemas_of_drafts!(WebhookPatch, Rotation);

/// The schema of a webhook's secret.
#[must_use]
pub fn secret_schema() -> AnySchema {
    form::nullable(form::short(limits::WEBHOOK_SECRET_BYTES))
}

/// Reads an optional secret; it travels in a header, which cannot hold control characters. Empty is none.
///
/// # Errors
/// 400 for a wrong type, a control character or more than 1024 bytes.
pub fn secret(body: &Fields, field: &str) -> ApiResult<Option<String>> {
    let Some(secret) = optional(field, body.get(field))? else { return Ok(None) };
    if secret.chars().any(char::is_control) {
        return Err(ApiError::validation(format!("{field} must not contain control characters")));
    }
    if secret.len() > limits::WEBHOOK_SECRET_BYTES {
        let most = limits::WEBHOOK_SECRET_BYTES;
        return Err(ApiError::validation(format!("{field} is too long (at most {most} bytes)")));
    }
    Ok(Some(secret.to_owned()).filter(|secret| !secret.is_empty()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn what_is_said_in_a_thread_is_for_those_who_take_part() {
        let others = KINDS.into_iter().filter(|kind| !is_for_participants(kind) && !kind.starts_with("request."));
        assert_eq!(others.collect::<Vec<_>>(), ["message", "thread_participant", "bot_join_request"]);
    }

    #[test]
    fn payloads_are_whole_objects() {
        let value: Value = serde_json::from_str(&payload(r#"{"type":"message","n":1"#)).unwrap();
        assert_eq!(value, json!({"type": "message", "n": 1, "webhook_version": "1"}));
    }

    #[test]
    fn signatures_are_over_timestamp_and_body() {
        let signed = signature("s", 1_700_000_000_000, "{}");
        assert_eq!(signed.len(), 71);
        let bare = signed.strip_prefix("sha256=").unwrap();
        let at = "1700000000000";
        for (given, now, is_good) in [
            (signed.as_str(), 1_700_000_000_000, true),
            (bare, 1_700_000_300_000, true),
            (&bare.to_uppercase(), 1_699_999_700_000, true),
            (bare, 1_700_000_300_001, false),
            (bare.strip_suffix(|_: char| true).unwrap(), 1_700_000_000_000, false),
            (&bare.replace(|digit: char| digit.is_ascii_digit(), "g"), 1_700_000_000_000, false),
        ] {
            assert_eq!(is_genuine("s", at, "{}", given, now), is_good, "{given} {now}");
        }
        assert!(!is_genuine("other", at, "{}", bare, 1_700_000_000_000));
        assert!(!is_genuine("s", at, "{ }", bare, 1_700_000_000_000));
        assert!(!is_genuine("s", "1700000000000.0", "{}", bare, 1_700_000_000_000));
    }

    #[test]
    fn answers_of_4xx_are_final_but_for_four() {
        for status in [200, 202, 204, 299] {
            assert_eq!(judge(status), Verdict::Delivered, "{status}");
        }
        for status in (400..500).filter(|status| ![408, 409, 425, 429].contains(status)) {
            assert_eq!(judge(status), Verdict::Refused, "{status}");
        }
        for status in [100, 101, 301, 302, 307, 308, 408, 409, 425, 429, 500, 502, 503, 599, 999] {
            assert_eq!(judge(status), Verdict::Failed, "{status}");
        }
    }

    #[test]
    fn receivers_say_when_to_come_back_in_seconds_or_by_a_date() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let at = 784_111_777_000;
        let read = |value: &str| retry_after(value, at - 90_000, 3_600_000);
        for (value, wait) in [
            ("0", 0),
            ("7", 7000),
            (" 120 ", 120_000),
            ("86400", 3_600_000),
            ("99999999999999999999999", 3_600_000),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 90_000),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 90_000),
            ("Sun Nov  6 08:49:37 1994", 90_000),
            ("Sun, 06 Nov 1994 08:48:06 GMT", 0),
            ("Sat, 06 Nov 2094 08:49:37 GMT", 3_600_000),
        ] {
            assert_eq!(read(value), Some(wait), "{value}");
        }
        for odd in ["", "-1", "1.5", "soon", "0x10", "١"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    #[test]
    fn what_was_not_answered_is_repeated_a_few_times() {
        let schedule = Schedule { repeats: vec![60, 300], ..schedule() };
        let pauses: Vec<Option<u64>> = (0..5).map(|unanswered| schedule.repeat(unanswered)).collect();
        assert_eq!(pauses, [None, Some(60), Some(300), None, None]);
    }

    #[test]
    fn times_further_off_than_any_pause_are_of_a_clock_that_was_set_back() {
        let schedule = schedule();
        assert_eq!((schedule.round(), schedule.longest()), (36, 330));
        assert_eq!(schedule.wait_until(1010, 1000), Some(10));
        assert_eq!(schedule.wait_until(1330, 1000), Some(330));
        for at in [i64::MIN, 0, 1000, 1331, i64::MAX] {
            assert_eq!(schedule.wait_until(at, 1000), None, "{at}");
        }
    }

    fn schedule() -> Schedule {
        Schedule {
            retries: vec![1, 5, 30],
            pause: 60,
            probe: 300,
            degraded_after: 10,
            repeats: Vec::new(),
            retry_after: 0,
        }
    }

    #[test]
    fn rounds_of_four_then_probes() {
        let schedule = schedule();
        let steps: Vec<(u64, bool)> = (1..=8)
            .map(|attempts| schedule.setback(attempts, false))
            .map(|setback| (setback.pause, setback.counts))
            .collect();
        let round = [(1, false), (5, false), (30, false), (60, true)];
        assert_eq!(steps, [round, round].concat());
        assert_eq!(schedule.setback(41, true), Setback { pause: 300, counts: true });
        let single = Schedule { retries: Vec::new(), ..schedule };
        assert_eq!(single.setback(1, false), Setback { pause: 60, counts: true });
    }

    #[test]
    fn changes_are_checked() {
        let read = |value| WebhookPatch::read(&mut fields(value)).map_err(|error| error.message().to_owned());
        let url = |url: Option<&str>| WebhookPatch { url: Some(url.map(str::to_owned)), events: None };
        assert_eq!(read(json!({"webhook_url": "https://x/"})), Ok(url(Some("https://x/"))));
        assert_eq!(read(json!({"webhook_url": null})), Ok(url(None)));
        assert_eq!(read(json!({"webhook_url": ""})), Ok(url(None)));
        let events = read(json!({"webhook_events": ["thread_message", "message", "message"]})).unwrap().events;
        assert_eq!(events, Some(Some(vec!["message".to_owned(), "thread_message".to_owned()])));
        assert_eq!(read(json!({"webhook_events": null})).unwrap().events, Some(None));
        for bad in [
            json!({}),
            json!({"webhook_url": 1}),
            json!({"webhook_events": "message"}),
            json!({"webhook_events": ["bot_online"]}),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn rotations_are_checked() {
        let read = |value| Rotation::read(&mut fields(value)).map_err(|error| error.message().to_owned());
        assert!(read(json!({})).is_ok_and(|new| new.secret.is_none() && new.overlap_ms == 86_400_000));
        assert!(read(json!({"secret": "s", "overlap_seconds": 0})).is_ok_and(|new| new.overlap_ms == 0));
        for bad in [
            json!({"secret": 1}),
            json!({"secret": "a\nb"}),
            json!({"secret": "x".repeat(1025)}),
            json!({"overlap_seconds": -1}),
            json!({"overlap_seconds": 1.5}),
            json!({"overlap_seconds": 2_592_001}),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
