//! Whether a request comes from Slack: its signature, its age, and that it is here for the first time.
//!
//! Slack signs `v0:<timestamp>:<body>` with HMAC-SHA256. Two secrets may be valid at once while one is being replaced.
//! A request is taken within five minutes of its timestamp, either way, and once: the signatures of accepted requests
//! are remembered for longer than they could be used again. Only genuine requests are remembered, so strangers cannot
//! fill that memory; should it be full all the same, requests are refused rather than taken twice.
//!
//! The memory is this process's: after a restart a request could be repeated within five minutes, and what it asks for
//! must be refused by the state it meets.

use std::collections::{HashSet, VecDeque};
use std::fmt;

use hxa_domain::secrets::{constant_time_eq, hex, hmac_sha256};
use parking_lot::Mutex;

/// The header of the time at which a request was signed, in seconds.
pub const TIMESTAMP_HEADER: &str = "x-slack-request-timestamp";
/// The header of the signature.
pub const SIGNATURE_HEADER: &str = "x-slack-signature";

/// How far a timestamp may be from now, either way, ms.
pub const WINDOW_MS: i64 = 5 * 60 * 1000;
/// How long signatures are remembered, ms: a request that is signed five minutes ahead can be sent for ten minutes.
pub const MEMORY_MS: i64 = 2 * WINDOW_MS;
/// Requests remembered at once, about 100 bytes each: more than 150 a second over ten minutes.
pub const MOST_REMEMBERED: usize = 100_000;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no secret, so nothing can be genuine.
    #[error("no signing secret is configured")]
    NoSecret,
    /// A header is missing or malformed.
    #[error("the header {0} is missing or malformed")]
    Header(&'static str),
    /// The timestamp is too far from now.
    #[error("the request was signed more than five minutes from now")]
    Stale,
    /// The signature is not one of ours.
    #[error("the signature does not match")]
    Forged,
    /// The request was accepted before.
    #[error("the request was received before")]
    Replayed,
    /// Too many requests are remembered to take another one.
    #[error("too many requests at once")]
    Busy,
}

/// What a request says of itself, besides its body.
#[derive(Debug, Clone, Copy, Default)]
pub struct Signed<'r> {
    /// The value of [`TIMESTAMP_HEADER`].
    pub timestamp: Option<&'r str>,
    /// The value of [`SIGNATURE_HEADER`].
    pub signature: Option<&'r str>,
}

/// Secrets that requests may be signed with. Empty ones are left out: everybody knows them.
#[derive(Clone, Default)]
pub struct SigningSecrets(Vec<String>);

impl SigningSecrets {
    /// The secrets, without the white space around them.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let secrets = secrets.into_iter().map(|secret| secret.as_ref().trim().to_owned());
        Self(secrets.filter(|secret| !secret.is_empty()).collect())
    }

    /// Whether there is none, so that every request is refused.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks what can be checked of a request before its body is read: that its headers are those of a fresh signature.
    ///
    /// # Errors
    /// Why the request is refused.
    pub fn check_headers<'r>(&self, signed: Signed<'r>, now: i64) -> Result<(&'r str, &'r str), Refused> {
        if self.is_empty() {
            return Err(Refused::NoSecret);
        }
        let timestamp = signed.timestamp.filter(|text| is_seconds(text));
        let timestamp = timestamp.ok_or(Refused::Header(TIMESTAMP_HEADER))?;
        let given = signed.signature.and_then(|text| text.strip_prefix("v0=")).filter(|digits| is_mac(digits));
        let given = given.ok_or(Refused::Header(SIGNATURE_HEADER))?;
        let at = timestamp.parse::<i64>().ok().and_then(|seconds| seconds.checked_mul(1000));
        if at.is_none_or(|at| now.abs_diff(at) > WINDOW_MS.unsigned_abs()) {
            return Err(Refused::Stale);
        }
        Ok((timestamp, given))
    }

    /// Checks signature and age of a request, not whether it was here before.
    ///
    /// # Errors
    /// Why the request is refused.
    pub fn verify(&self, signed: Signed<'_>, body: &[u8], now: i64) -> Result<Signature, Refused> {
        let (timestamp, given) = self.check_headers(signed, now)?;
        let message = [b"v0:", timestamp.as_bytes(), b":", body].concat();
        // All secrets are tried, so that the time does not tell which one it was.
        let found = self.0.iter().fold(None, |found, secret| {
            let mac = hmac_sha256(secret.as_bytes(), &message);
            if constant_time_eq(&hex(&mac), given) { Some(Signature(mac)) } else { found }
        });
        found.ok_or(Refused::Forged)
    }
}

impl fmt::Debug for SigningSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningSecrets({} secrets)", self.0.len())
    }
}

/// Ten digits until the year 2286; a few more do not hurt, and they never overflow.
fn is_seconds(text: &str) -> bool {
    (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_mac(digits: &str) -> bool {
    digits.len() == 64 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The signature of a genuine request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 32]);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(***)")
    }
}

/// The signatures of requests that were accepted lately.
pub struct ReplayCache {
    most: usize,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    known: HashSet<Signature>,
    /// In the order of their arrival, with its time.
    order: VecDeque<(i64, Signature)>,
}

impl ReplayCache {
    /// One that remembers at most so many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, seen: Mutex::default() }
    }

    /// Remembers a signature.
    ///
    /// # Errors
    /// [`Refused::Replayed`] if it is known, [`Refused::Busy`] if there is no place for it.
    pub fn admit(&self, signature: Signature, now: i64) -> Result<(), Refused> {
        let mut seen = self.seen.lock();
        seen.forget(now);
        if seen.known.contains(&signature) {
            return Err(Refused::Replayed);
        }
        if seen.order.len() >= self.most {
            return Err(Refused::Busy);
        }
        seen.known.insert(signature);
        seen.order.push_back((now, signature));
        Ok(())
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.lock().order.len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Seen {
    fn forget(&mut self, now: i64) {
        while let Some((at, old)) = self.order.front() {
            if now.saturating_sub(*at) <= MEMORY_MS {
                return;
            }
            self.known.remove(old);
            self.order.pop_front();
        }
    }
}

impl fmt::Debug for ReplayCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReplayCache({} of {})", self.len(), self.most)
    }
}

/// The whole check of requests from Slack.
#[derive(Debug)]
pub struct Verifier {
    secrets: SigningSecrets,
    replays: ReplayCache,
}

impl Verifier {
    /// Checks against these secrets.
    #[must_use]
    pub fn new(secrets: SigningSecrets) -> Self {
        Self { secrets, replays: ReplayCache::new(MOST_REMEMBERED) }
    }

    /// Refuses a request by its headers, before its body is read.
    ///
    /// # Errors
    /// Why the request is refused.
    pub fn check_headers(&self, signed: Signed<'_>, now: i64) -> Result<(), Refused> {
        self.secrets.check_headers(signed, now).map(drop)
    }

    /// Takes a request if it is genuine, recent and here for the first time.
    ///
    /// # Errors
    /// Why the request is refused.
    pub fn accept(&self, signed: Signed<'_>, body: &[u8], now: i64) -> Result<(), Refused> {
        let signature = self.secrets.verify(signed, body, now)?;
        self.replays.admit(signature, now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Slack's published example.
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const TIMESTAMP: &str = "1531420618";
    const NOW: i64 = 1_531_420_618_000;
    const BODY: &[u8] =
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
        &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
        &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
        &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    const SIGNED: Signed<'_> = Signed { timestamp: Some(TIMESTAMP), signature: Some(SIGNATURE) };

    fn secrets(texts: &[&str]) -> SigningSecrets {
        SigningSecrets::new(texts)
    }

    fn sign(secret: &str, timestamp: &str, body: &[u8]) -> String {
        let message = [b"v0:", timestamp.as_bytes(), b":", body].concat();
        format!("v0={}", hex(&hmac_sha256(secret.as_bytes(), &message)))
    }

    #[test]
    fn the_published_example_is_genuine() {
        assert!(secrets(&[SECRET]).verify(SIGNED, BODY, NOW).is_ok());
    }

    #[test]
    fn a_signature_made_by_openssl_is_genuine() {
        let signature = "v0=2976d80286d8edfeeb9879d5779899d74ca2c0703ebafde990e25711416bc5a2";
        let signed = Signed { timestamp: Some("1700000000"), signature: Some(signature) };
        let verified = secrets(&["second-secret"]).verify(signed, b"payload=%7B%7D", 1_700_000_000_000);
        assert!(verified.is_ok());
    }

    #[test]
    fn any_of_several_secrets_will_do() {
        for known in [&["new", SECRET][..], &[SECRET, "new"], &[" ", SECRET, ""]] {
            assert!(secrets(known).verify(SIGNED, BODY, NOW).is_ok(), "{known:?}");
        }
        assert_eq!(secrets(&["new", "old"]).verify(SIGNED, BODY, NOW), Err(Refused::Forged));
    }

    #[test]
    fn without_a_secret_nothing_is_genuine() {
        let signature = sign("", TIMESTAMP, BODY);
        let signed = Signed { timestamp: Some(TIMESTAMP), signature: Some(&signature) };
        for none in [&[][..], &["", "  \n"]] {
            assert_eq!(secrets(none).verify(signed, BODY, NOW), Err(Refused::NoSecret));
        }
    }

    #[test]
    fn the_window_is_five_minutes_either_way() {
        let verify = |now| secrets(&[SECRET]).verify(SIGNED, BODY, now);
        for near in [NOW - WINDOW_MS, NOW + WINDOW_MS] {
            assert!(verify(near).is_ok(), "{near}");
        }
        for far in [NOW - WINDOW_MS - 1, NOW + WINDOW_MS + 1, 0, i64::MIN, i64::MAX] {
            assert_eq!(verify(far), Err(Refused::Stale), "{far}");
        }
    }

    #[test]
    fn headers_have_one_form() {
        let verify = |timestamp, signature| secrets(&[SECRET]).verify(Signed { timestamp, signature }, BODY, NOW);
        let no_time = Err(Refused::Header(TIMESTAMP_HEADER));
        for bad in [None, Some(""), Some("+1531420618"), Some("-1"), Some("1531420618.0"), Some("9999999999999999")] {
            assert_eq!(verify(bad, Some(SIGNATURE)), no_time, "{bad:?}");
        }
        assert_eq!(verify(Some("999999999999999"), Some(SIGNATURE)), Err(Refused::Stale));
        // The same number in another form is another text, and was not signed.
        assert_eq!(verify(Some("01531420618"), Some(SIGNATURE)), Err(Refused::Forged));
        let digits = SIGNATURE.strip_prefix("v0=").unwrap();
        let (upper, next) = (format!("v0={}", digits.to_uppercase()), format!("v1={digits}"));
        let (short, long) = (SIGNATURE.strip_suffix('3').unwrap(), format!("{SIGNATURE}0"));
        for bad in [None, Some(""), Some("v0="), Some(digits), Some(&upper), Some(&next), Some(short), Some(&long)] {
            assert_eq!(verify(Some(TIMESTAMP), bad), Err(Refused::Header(SIGNATURE_HEADER)), "{bad:?}");
        }
    }

    #[test]
    fn a_request_is_taken_once() {
        let verifier = Verifier::new(secrets(&[SECRET]));
        assert_eq!(verifier.accept(SIGNED, BODY, NOW - WINDOW_MS), Ok(()));
        // The last moment at which its signature is good.
        for later in [NOW - WINDOW_MS, NOW, NOW + WINDOW_MS] {
            assert_eq!(verifier.accept(SIGNED, BODY, later), Err(Refused::Replayed));
        }
        let another = sign(SECRET, TIMESTAMP, b"another");
        let another = Signed { signature: Some(&another), ..SIGNED };
        assert_eq!(verifier.accept(another, b"another", NOW), Ok(()));
    }

    #[test]
    fn forged_requests_are_not_remembered() {
        let verifier = Verifier::new(secrets(&["another"]));
        for _ in 0..3 {
            assert_eq!(verifier.accept(SIGNED, BODY, NOW), Err(Refused::Forged));
        }
        assert!(verifier.replays.is_empty());
    }

    #[test]
    fn memory_is_bounded_and_ends() {
        let cache = ReplayCache::new(2);
        let one = |byte| Signature([byte; 32]);
        assert_eq!(cache.admit(one(1), 0), Ok(()));
        assert_eq!(cache.admit(one(2), 1), Ok(()));
        assert_eq!(cache.admit(one(3), MEMORY_MS), Err(Refused::Busy), "rather than forgetting one too early");
        assert_eq!(cache.admit(one(1), MEMORY_MS), Err(Refused::Replayed));
        assert_eq!(cache.admit(one(3), MEMORY_MS + 1), Ok(()));
        assert_eq!(cache.len(), 2);
        assert_eq!(cache.admit(one(2), MEMORY_MS + 1), Err(Refused::Replayed));
        assert_eq!(cache.admit(one(2), i64::MAX), Ok(()));
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn secrets_are_not_shown() {
        let verifier = Verifier::new(secrets(&[SECRET]));
        verifier.accept(SIGNED, BODY, NOW).unwrap();
        let signature = verifier.secrets.verify(SIGNED, BODY, NOW).unwrap();
        let shown = format!("{verifier:?} {signature:?}");
        assert!(shown.contains("1 secrets") && !shown.contains(SECRET) && !shown.contains("a2114d"), "{shown}");
    }

    proptest! {
        #[test]
        fn one_changed_byte_is_a_forgery(body in prop::collection::vec(any::<u8>(), 1..200), at: prop::sample::Index, flip in 1..=255_u8) {
            let signature = sign(SECRET, TIMESTAMP, &body);
            let signed = Signed { timestamp: Some(TIMESTAMP), signature: Some(&signature) };
            prop_assert!(secrets(&[SECRET]).verify(signed, &body, NOW).is_ok());
            let mut changed = body.clone();
            changed[at.index(body.len())] ^= flip;
            prop_assert_eq!(secrets(&[SECRET]).verify(signed, &changed, NOW), Err(Refused::Forged));
        }

        #[test]
        fn nothing_from_outside_stops_it(timestamp in any::<Option<String>>(), signature in any::<Option<String>>(), now: i64) {
            let signed = Signed { timestamp: timestamp.as_deref(), signature: signature.as_deref() };
            prop_assert!(secrets(&[SECRET]).verify(signed, b"", now).is_err());
        }
    }
}
