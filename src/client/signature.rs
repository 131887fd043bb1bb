//! Verification of webhook signatures.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Why a webhook request is not genuine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// A header is missing or malformed.
    #[error("the request has no usable {0} header")]
    Header(&'static str),
    /// The timestamp is too far from now: the request may be a replay.
    #[error("the request's timestamp is too far off")]
    Stale,
    /// The signature does not match.
    #[error("the request's signature does not match")]
    Forged,
}

const TIMESTAMP: &str = "x-hub-timestamp";
const SIGNATURE: &str = "x-hub-signature-256";
const OLD_SIGNATURE: &str = "x-hub-signature-256-old";

/// Verifies that a webhook request was signed with `secret` and is at most `tolerance` old (the protocol recommends 5
/// minutes). `header` looks up a header by its lower-case name; `body` is the unchanged body.
///
/// While a secret is being rotated the hub signs with both, and either is accepted. Signatures are compared in constant
/// time.
///
/// ```
/// use std::collections::HashMap;
/// use std::time::Duration;
///
/// let headers: HashMap<&str, &str> = HashMap::new();
/// let checked = hxa_client::verify_webhook(
///     |name| headers.get(name).copied(),
///     b"{}",
///     "whs_…",
///     Duration::from_secs(300),
/// );
/// assert!(checked.is_err(), "it is not signed");
/// ```
///
/// With a `HeaderMap` the look-up is `|name| headers.get(name)?.to_str().ok()`.
///
/// # Errors
/// [`WebhookError`] says why the request is not genuine.
pub fn verify_webhook<'h>(
    header: impl Fn(&str) -> Option<&'h str>,
    body: &[u8],
    secret: &str,
    tolerance: Duration,
) -> Result<(), WebhookError> {
    #[expect(clippy::disallowed_methods, reason = "a receiver has no other clock")]
    let now = SystemTime::now();
    verify_at(now, header, (body, secret), tolerance)
}

fn verify_at<'h>(
    now: SystemTime,
    header: impl Fn(&str) -> Option<&'h str>,
    (body, secret): (&[u8], &str),
    tolerance: Duration,
) -> Result<(), WebhookError> {
    let timestamp = header(TIMESTAMP).ok_or(WebhookError::Header("X-Hub-Timestamp"))?;
    let ms: u64 = timestamp.parse().map_err(|_| WebhookError::Header("X-Hub-Timestamp"))?;
    let given = header(SIGNATURE).ok_or(WebhookError::Header("X-Hub-Signature-256"))?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    if now.abs_diff(Duration::from_millis(ms)) > tolerance {
        return Err(WebhookError::Stale);
    }
    // Keys of any length are taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return Err(WebhookError::Forged) };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    let is_signed = |signature: &str| {
        let digits = signature.strip_prefix("sha256=").unwrap_or(signature);
        unhex(digits).is_some_and(|bytes| mac.clone().verify_slice(&bytes).is_ok())
    };
    let old = header(OLD_SIGNATURE);
    if is_signed(given) || old.is_some_and(is_signed) { Ok(()) } else { Err(WebhookError::Forged) }
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| Some((digit(pair.first()?)? << 4) | digit(pair.get(1)?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 1_700_000_000_000;
    const TOLERANCE: Duration = Duration::from_secs(300);

    fn signed(secret: &str, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{AT}.{body}").as_bytes());
        let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256={digits}")
    }

    fn check(headers: &[(&str, &str)], now: u64, body: &str) -> Result<(), WebhookError> {
        let find = |name: &str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        verify_at(UNIX_EPOCH + Duration::from_millis(now), find, (body.as_bytes(), "new"), TOLERANCE)
    }

    #[test]
    fn signatures_are_verified() {
        let (time, by_new, by_other) = (AT.to_string(), signed("new", "{}"), signed("other", "{}"));
        let both = [(TIMESTAMP, time.as_str()), (SIGNATURE, by_new.as_str())];
        assert_eq!(check(&both, AT + 299_000, "{}"), Ok(()));
        assert_eq!(check(&both, AT - 299_000, "{}"), Ok(()));
        assert_eq!(check(&both, AT + 301_000, "{}"), Err(WebhookError::Stale));
        assert_eq!(check(&both, AT, "{ }"), Err(WebhookError::Forged));
        let replaced = [(TIMESTAMP, time.as_str()), (SIGNATURE, by_other.as_str()), (OLD_SIGNATURE, by_new.as_str())];
        assert_eq!(check(&replaced, AT, "{}"), Ok(()), "the old secret signs along");
        let forged = [(TIMESTAMP, time.as_str()), (SIGNATURE, by_other.as_str())];
        assert_eq!(check(&forged, AT, "{}"), Err(WebhookError::Forged));
        assert_eq!(check(&[(TIMESTAMP, time.as_str())], AT, "{}"), Err(WebhookError::Header("X-Hub-Signature-256")));
        for odd in ["", "sha256=", "sha256=0", "sha256=zz", "ü"] {
            let odd = [(TIMESTAMP, time.as_str()), (SIGNATURE, odd)];
            assert_eq!(check(&odd, AT, "{}"), Err(WebhookError::Forged));
        }
    }
}
