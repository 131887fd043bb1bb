//! Hearing an answer, and what it means.

use reqwest::header::RETRY_AFTER;
use reqwest::{RequestBuilder, Response};
use serde::Deserialize;

use super::outcome::{Outcome, Posted, Trouble, is_code};

/// Most bytes of an answer. Slack sends the message back, whose texts are within some 30,000 characters.
const MOST_BYTES: usize = 1024 * 1024;
/// Longest id of a conversation or a message.
const ID: usize = 80;

/// An answer.
pub(super) struct Heard {
    status: u16,
    /// The value of `Retry-After`.
    retry_after: Option<String>,
    body: Result<Vec<u8>, Trouble>,
}

/// Why there is no answer.
pub(super) enum Unheard {
    /// The request has no JSON.
    Unwritable,
    /// It did not work this time.
    Temporary(Trouble),
}

impl<T> From<Unheard> for Outcome<T> {
    fn from(unheard: Unheard) -> Self {
        match unheard {
            Unheard::Unwritable => Self::permanent("unwritable_message"),
            Unheard::Temporary(why) => Self::Temporary { why },
        }
    }
}

/// Sends a request and reads its answer. Errors of the library are not passed on: they hold addresses.
pub(super) async fn hear(request: RequestBuilder) -> Result<Heard, Unheard> {
    let answer = request.send().await.map_err(|error| Unheard::Temporary(trouble(&error)))?;
    let status = answer.status().as_u16();
    let retry_after = answer.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()).map(ToOwned::to_owned);
    // The body says nothing more then.
    let body = if is_later(status) { Ok(Vec::new()) } else { read(answer).await };
    Ok(Heard { status, retry_after, body })
}

fn trouble(error: &reqwest::Error) -> Trouble {
    if error.is_connect() { Trouble::Unreachable } else { Trouble::Unanswered }
}

async fn read(mut answer: Response) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|_| Trouble::Unanswered)? {
        if body.len() + chunk.len() > MOST_BYTES {
            return Err(Trouble::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

const fn is_later(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..)
}

/// What Slack says of a call.
#[derive(Deserialize)]
struct Verdict {
    ok: bool,
    error: Option<String>,
    channel: Option<String>,
    ts: Option<String>,
}

impl Heard {
    /// What came of posting or changing a message.
    pub(super) fn posted(self) -> Outcome<Posted> {
        self.judge(|body| match serde_json::from_slice::<Verdict>(body) {
            Ok(Verdict { ok: true, channel: Some(channel), ts: Some(ts), .. }) if is_id(&channel) && is_id(&ts) => {
                Outcome::Sent(Posted { channel, ts })
            }
            Ok(Verdict { ok: false, error, .. }) => Outcome::of_code(error.as_deref().unwrap_or_default()),
            _ => Outcome::Temporary { why: Trouble::Unreadable },
        })
    }

    /// What came of answering a click. Success is `ok`, as text or JSON.
    pub(super) fn responded(self) -> Outcome<()> {
        self.judge(|body| match serde_json::from_slice::<Verdict>(body) {
            Ok(Verdict { ok: false, error, .. }) => Outcome::of_code(error.as_deref().unwrap_or_default()),
            _ => Outcome::Sent(()),
        })
    }

    fn judge<T>(self, judge_success: impl Fn(&[u8]) -> Outcome<T>) -> Outcome<T> {
        match (self.status, self.body) {
            (429, _) => Outcome::rate_limited(self.retry_after.as_deref()),
            (status, _) if is_later(status) => Outcome::Temporary { why: Trouble::Status(status) },
            (200..=299, Err(why)) => Outcome::Temporary { why },
            (200..=299, Ok(body)) => judge_success(&body),
            (status, body) => refusal(status, &body.unwrap_or_default()),
        }
    }
}

/// A status that means "no": the error code in its body if there is one. Redirects are not followed and so a refusal.
fn refusal<T>(status: u16, body: &[u8]) -> Outcome<T> {
    let code = match serde_json::from_slice::<Verdict>(body) {
        Ok(verdict) => verdict.error,
        Err(_) => std::str::from_utf8(body).ok().map(|text| text.trim().to_owned()),
    };
    match code.filter(|code| is_code(code)) {
        Some(code) => Outcome::of_code(&code),
        None => Outcome::permanent(&format!("http_{status}")),
    }
}

fn is_id(text: &str) -> bool {
    (1..=ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}
