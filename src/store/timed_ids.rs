//! Ids that begin with a time although they are not stored.
//!
//! Catch-up events and audit entries that are derived from other rows need ids that are stable and sort by time among
//! the stored ones. They have the layout of a time-ordered id with version 8: the millisecond, then a hash.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Largest millisecond an id can hold.
const MAX_MILLIS: i64 = (1 << 48) - 1;
/// The bits of an id that hold neither time, version nor variant.
const TAIL: u128 = (0xFFF << 64) | ((1 << 62) - 1);

fn of_time(ms: i64) -> u128 {
    u128::try_from(ms.clamp(0, MAX_MILLIS)).unwrap_or(0) << 80
}

/// The id of what `key` names at a time; always the same for the same two.
#[must_use]
pub fn derived<I: From<Uuid>>(ms: i64, key: &str) -> I {
    let hash = Sha256::digest(key).iter().take(16).fold(0_u128, |hash, byte| (hash << 8) | u128::from(*byte));
    I::from(Uuid::from_u128(of_time(ms) | (0x8 << 76) | (0b10 << 62) | (hash & TAIL)))
}

/// The smallest id of a millisecond: ids of that time and later sort from here on.
#[must_use]
pub fn first_of<I: From<Uuid>>(ms: i64) -> I {
    I::from(Uuid::from_u128(of_time(ms)))
}

/// The millisecond an id begins with; `None` for ids that hold no time.
#[must_use]
pub fn time_of(id: Uuid) -> Option<i64> {
    matches!(id.get_version_num(), 7 | 8).then(|| i64::try_from(id.as_u128() >> 80).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_stay_the_same() {
        let at = 1_700_000_000_000;
        let id = derived::<Uuid>(at, "k");
        assert_eq!(id, derived::<Uuid>(at, "k"));
        assert_ne!(id, derived::<Uuid>(at, "l"));
        assert!(id < derived::<Uuid>(at + 1, "k"));
        assert!(id >= first_of::<Uuid>(at) && id < first_of::<Uuid>(at + 1));
        assert_eq!((time_of(id), id.get_version_num()), (Some(at), 8));
        assert_eq!(time_of(Uuid::new_v4()), None);
        assert_eq!(first_of::<Uuid>(-1), first_of::<Uuid>(0));
    }
}
