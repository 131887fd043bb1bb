//! Generating, hashing and comparing secrets.
//!
//! Tokens, tickets, codes and session ids are random lower-case hex from the operating system's source. They have at
//! least 128 bits of entropy (invite codes 64, with few guesses allowed), so the database stores a plain SHA-256 of
//! them. Comparisons run in constant time.

use hmac::{Hmac, KeyInit, Mac};
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Digits of every random credential.
const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

/// Random bytes of the operating system.
fn system_random(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    if SysRng.try_fill_bytes(&mut bytes).is_err() {
        // The thread's generator is seeded by the same source; it is as good while that source is away.
        rand::Rng::fill_bytes(&mut rand::rng(), &mut bytes);
    }
    bytes
}

/// A new credential: the prefix, then this many random hex digits (`bot_` + 48, `tkt_` + 32, session ids 64 …).
#[must_use]
pub fn hex_token(prefix: &str, hex_chars: usize) -> String {
    let mut token = String::with_capacity(prefix.len() + hex_chars);
    token.push_str(prefix);
    token.push_str(&nanoid::format(system_random, &HEX, hex_chars));
    token
}

/// What an agent's key begins with.
pub const KEY_PREFIX: &str = "hcp_";
/// Hex digits of an agent's key.
const KEY_DIGITS: usize = 64;

/// A new key of an agent.
#[must_use]
pub fn agent_key() -> String {
    hex_token(KEY_PREFIX, KEY_DIGITS)
}

/// HMAC-SHA256.
#[must_use]
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length; the error type exists for other MACs")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC keys may have any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Key of session references on a hub that has no admin secret.
const REFERENCE_KEY: &[u8] = b"hxa-connect session references..";

/// The key of session references on a hub with this admin secret.
#[must_use]
pub fn session_ref_key(admin_secret: Option<&str>) -> Vec<u8> {
    match admin_secret {
        Some(secret) => hmac_sha256(secret.as_bytes(), b"session-ref").to_vec(),
        None => REFERENCE_KEY.to_vec(),
    }
}

/// The public name of a session: 16 hex digits that lead nobody back to the session id without the key.
#[must_use]
pub fn session_ref(key: &[u8], session_id: &str) -> String {
    let mut reference = hex(&hmac_sha256(key, session_id.as_bytes()));
    reference.truncate(16);
    reference
}

/// Whether a text has the shape of a session reference.
#[must_use]
pub fn is_session_ref(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// What is stored in place of a secret: its SHA-256 as lower-case hex.
#[must_use]
pub fn secret_hash(secret: &str) -> String {
    hex(&Sha256::digest(secret.as_bytes()))
}

/// Whether two secrets are equal, in a time that does not depend on where they differ nor on their lengths.
#[must_use]
pub fn constant_time_eq(a: &str, b: &str) -> bool {
    Sha256::digest(a.as_bytes()).ct_eq(&Sha256::digest(b.as_bytes())).into()
}

/// Bytes as lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_prefix_and_length() {
        let token = hex_token("bot_", 48);
        assert_eq!(token.len(), 52);
        assert!(
            token
                .strip_prefix("bot_")
                .unwrap()
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
        );
        assert_ne!(token, hex_token("bot_", 48));
        assert_eq!(hex_token("", 64).len(), 64);
    }

    #[test]
    fn every_digit_occurs() {
        let token = hex_token("", 4096);
        assert!(HEX.iter().all(|digit| token.contains(*digit)));
    }

    #[test]
    fn hashes_are_the_standard_ones() {
        assert_eq!(secret_hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let mac = hmac_sha256(b"key", b"The quick brown fox jumps over the lazy dog");
        assert_eq!(hex(&mac), "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
        assert_eq!(session_ref(b"key", "The quick brown fox jumps over the lazy dog"), "f7bc83f430538424");
    }

    #[test]
    fn references_have_one_shape() {
        assert!(is_session_ref("f7bc83f430538424"));
        assert!(!is_session_ref("F7BC83F430538424"));
        assert!(!is_session_ref("f7bc83f43053842"));
        assert!(!is_session_ref("f7bc83f43053842g"));
    }

    #[test]
    fn comparison_is_that_of_the_texts() {
        assert!(constant_time_eq("secret", "secret"));
        assert!(!constant_time_eq("secret", "secreT"));
        assert!(!constant_time_eq("secret", "secret "));
        assert!(constant_time_eq("", ""));
    }
}
