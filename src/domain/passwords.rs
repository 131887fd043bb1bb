//! Hashing of people's passwords.
//!
//! Passwords are chosen by people, so unlike random secrets they are hashed slowly: argon2id with the parameters that OWASP
//! recommends, some twenty milliseconds and 19 MiB each. The hash is stored as a text that names its parameters, so that
//! they can be raised later. Callers bound how many are computed at once, away from the threads that serve others.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::{PasswordHasher, PasswordVerifier};
use uuid::Uuid;

/// The hash that is compared where there is none, so that an unknown handle takes as long as a wrong password. It is of
/// no known password, with the parameters of every other.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IG5vYm9keQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The hash of a password, with a salt of its own; `None` only if the hash function refuses the password.
#[must_use]
pub fn hash(password: &str) -> Option<String> {
    // A random UUID has 122 bits from the operating system's source, which is what a salt needs to be unique.
    let salt = Uuid::new_v4();
    let hashed: Result<PasswordHash, _> =
        Argon2::default().hash_password_with_salt(password.as_bytes(), salt.as_bytes());
    hashed.ok().map(|hash| hash.to_string())
}

/// Whether a password is the one of this hash. It takes as long where there is no hash, and is never right then.
#[must_use]
pub fn matches(password: &str, hash: Option<&str>) -> bool {
    let is_right = Argon2::default().verify_password(password.as_bytes(), hash.unwrap_or(NOBODYS)).is_ok();
    is_right && hash.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let (first, second) = (hash("correct horse").unwrap(), hash("correct horse").unwrap());
        assert_ne!(first, second, "each has a salt of its own");
        assert!(!first.contains("correct"));
        assert!(matches("correct horse", Some(&first)) && matches("correct horse", Some(&second)));
        for (password, hash) in [("Correct horse", Some(first.as_str())), ("", Some(&first)), ("correct horse", None)] {
            assert!(!matches(password, hash), "{password} {hash:?}");
        }
        assert!(!matches("correct horse", Some("no hash")));
    }

    /// Otherwise the time of an answer would tell which handles exist.
    #[test]
    fn the_hash_of_nobody_costs_what_others_cost() {
        let parameters = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(parameters(NOBODYS), parameters(&hash("correct horse").unwrap()));
        assert!(PasswordHash::new(NOBODYS).unwrap().hash.is_some());
    }
}
