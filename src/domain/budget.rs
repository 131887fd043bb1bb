//! Write budgets: how much a bot and its organisation may write per minute, by kind.
//!
//! A write costs one unit plus one for each 16 KiB it carries, so larger writes are charged more. A [`Bucket`] holds a
//! minute's units and refills evenly, which allows a burst of a minute's worth and needs two numbers, however many
//! writes there are. A caller that waits the reported number of seconds is admitted, if nobody else spends in the
//! meantime.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::limits::json_bytes;
use super::text::Fields;

wire_enum! {
    /// The kinds of writes that have a budget of their own.
    WriteClass {
        Message = "message",
        Thread = "thread",
        Membership = "membership",
        Artifact = "artifact",
        File = "file",
        Profile = "profile",
        Credential = "credential",
        Login = "login",
        Registration = "registration",
        Admin = "admin",
        Refusal = "refusal",
        Request = "request",
        Call = "call",
    }
}

/// How many kinds there are.
pub const CLASSES: usize = WriteClass::ALL.len();

impl WriteClass {
    /// Its place in an array of [`CLASSES`].
    #[must_use]
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|class| *class == self).unwrap_or_default()
    }

    /// What is counted, for a refusal's sentence.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Self::Message => "messages",
            Self::Thread => "changes of threads",
            Self::Membership => "changes of who takes part",
            Self::Artifact => "artifacts",
            Self::File => "uploaded files",
            Self::Profile => "changes of bots' own profiles and webhooks",
            Self::Credential => "changes of tokens, tickets and sessions",
            Self::Login => "logins",
            Self::Registration => "registrations",
            Self::Admin => "changes by admins",
            Self::Refusal => "refused changes that the audit trail notes",
            Self::Call => "calls",
            Self::Request => "coordination requests, answers and reads of answers",
        }
    }
}

/// Bytes that cost one unit more: what most writes stay below.
const UNIT_BYTES: usize = 16 * 1024;

/// Rates at which no hub writes; beyond them nothing is counted. A million and a half units per second.
const BEYOND_REACH: u64 = 100_000_000;

/// What a write that carries so many bytes costs.
#[must_use]
pub fn cost(bytes: usize) -> u64 {
    u64::try_from(bytes / UNIT_BYTES).unwrap_or(u64::MAX).saturating_add(1)
}

/// The bytes a request's fields carry; exact enough for a price and cheap for texts, which are the large ones.
#[must_use]
pub fn carried(fields: &Fields) -> usize {
    let bytes = |value: &Value| match value {
        Value::String(text) => text.len(),
        Value::Array(_) | Value::Object(_) => json_bytes(value),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    fields.values().map(bytes).fold(0, usize::saturating_add)
}

/// Units per minute: of one member (a bot, a ticket, an organisation's admins) and of its whole organisation. Zero is
/// without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Of each member.
    pub member: u32,
    /// Of all members together.
    pub org: u32,
}

impl Budget {
    /// A budget of `member` units a minute for each and of `org` for all together.
    #[must_use]
    pub const fn per_minute(member: u32, org: u32) -> Self {
        Self { member, org }
    }
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str| part.trim().replace('_', "").parse::<u32>().ok();
        let parts = text.split_once('/').and_then(|(member, org)| Some((number(member)?, number(org)?)));
        let (member, org) = parts.ok_or_else(|| {
            format!("\"{text}\" is not a budget such as 600/6000, units a minute per bot and per organisation")
        })?;
        Ok(Self { member, org })
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.member, self.org)
    }
}

/// How far an organisation's settings raise its budgets, in thousandths; never below 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale(u64);

impl Scale {
    /// No raise.
    pub const ONE: Self = Self(1000);

    /// The raise that goes with rates which are each given with what they are by default: the largest of them counts.
    #[must_use]
    pub fn of_rates(rates: &[(i32, i32)]) -> Self {
        let raised = rates.iter().map(|(rate, default)| {
            let [rate, default] = [rate, default].map(|number| u64::from(number.unsigned_abs()));
            rate.saturating_mul(1000) / default.max(1)
        });
        Self(raised.max().unwrap_or_default().max(Self::ONE.0))
    }

    /// The raise as a number.
    #[must_use]
    pub const fn thousandths(self) -> u64 {
        self.0
    }

    /// The raise of so many thousandths.
    #[must_use]
    pub fn from_thousandths(thousandths: u64) -> Self {
        Self(thousandths.max(Self::ONE.0))
    }

    /// A raised rate; `None` when there is none, or one that cannot be reached.
    #[must_use]
    pub fn raise(self, per_minute: u32) -> Option<u64> {
        let raised = (u64::from(per_minute).saturating_mul(self.0)) / Self::ONE.0;
        Some(raised).filter(|raised| (1..BEYOND_REACH).contains(raised))
    }
}

/// Milliseconds in which an empty bucket fills up.
const MINUTE_MS: u64 = 60_000;

/// What was spent and has not come back yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket {
    /// In units times [`MINUTE_MS`], so that what comes back in a millisecond is a whole number.
    spent: u64,
    /// When that was so, ms.
    at: u64,
}

/// A bucket that cannot give what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Empty {
    /// Units per minute.
    pub per_minute: u64,
    /// Units that are left.
    pub left: u64,
    /// Seconds until there are enough.
    pub wait_s: u64,
}

impl Bucket {
    /// Takes `cost` units at `now`. A write that costs more than the bucket holds takes all of a full one, and the rest
    /// is paid by waiting longer afterwards.
    ///
    /// # Errors
    /// When there are not enough.
    pub fn take(&mut self, cost: u64, per_minute: u64, now: u64) -> Result<(), Empty> {
        let (spent, cost) = (self.spent_at(per_minute, now), cost.saturating_mul(MINUTE_MS));
        let size = per_minute.saturating_mul(MINUTE_MS);
        let missing = spent.saturating_add(cost.min(size)).saturating_sub(size);
        *self = Self { spent, at: now.max(self.at) };
        if missing > 0 {
            let wait_s = missing.div_ceil(per_minute.max(1)).div_ceil(1000);
            return Err(Empty { per_minute, left: size.saturating_sub(spent) / MINUTE_MS, wait_s });
        }
        self.spent = spent.saturating_add(cost);
        Ok(())
    }

    /// Gives units back that were taken for nothing.
    pub fn give_back(&mut self, cost: u64) {
        self.spent = self.spent.saturating_sub(cost.saturating_mul(MINUTE_MS));
    }

    /// Whether all has come back, so that nothing need be remembered.
    #[must_use]
    pub fn is_full(&self, per_minute: u64, now: u64) -> bool {
        self.spent_at(per_minute, now) == 0
    }

    fn spent_at(&self, per_minute: u64, now: u64) -> u64 {
        self.spent.saturating_sub(now.saturating_sub(self.at).saturating_mul(per_minute))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn bytes_have_their_price() {
        assert_eq!([0, 16_383, 16_384, 1 << 20].map(cost), [1, 1, 2, 65]);
        let body = json!({"content": "aaaa", "parts": [1, 2], "n": 7, "none": null});
        assert_eq!(carried(body.as_object().unwrap()), 4 + 5);
    }

    #[test]
    fn classes_have_their_places() {
        let places: Vec<_> = WriteClass::ALL.iter().map(|class| class.index()).collect();
        assert_eq!(places, (0..CLASSES).collect::<Vec<_>>());
    }

    #[test]
    fn budgets_are_read_as_they_are_written() {
        let budget = Budget::per_minute(600, 6000);
        assert_eq!(budget.to_string().parse(), Ok(budget));
        assert_eq!(" 1_000 / 0 ".parse(), Ok(Budget::per_minute(1000, 0)));
        for text in ["", "600", "a/b", "1/2/3", "-1/2", "1/4294967296"] {
            assert!(text.parse::<Budget>().unwrap_err().contains("600/6000"), "{text}");
        }
    }

    #[test]
    fn raised_rates_raise_and_lowered_ones_do_not_lower() {
        assert_eq!(Scale::of_rates(&[(1, 120), (30, 30)]), Scale::ONE);
        assert_eq!(Scale::of_rates(&[(180, 120), (90, 30)]).raise(600), Some(1800));
        assert_eq!(Scale::of_rates(&[(1_000_000_000, 120)]).raise(60), None, "beyond reach");
        assert_eq!(Scale::of_rates(&[(i32::MAX, 1)]).raise(u32::MAX), None);
        assert_eq!(Scale::ONE.raise(0), None, "zero is without limit");
    }

    #[test]
    fn a_minutes_worth_is_free_and_comes_back_evenly() {
        let mut bucket = Bucket::default();
        for _ in 0..60 {
            bucket.take(1, 60, 0).unwrap();
        }
        assert_eq!(bucket.take(1, 60, 0), Err(Empty { per_minute: 60, left: 0, wait_s: 1 }));
        assert_eq!(bucket.take(5, 60, 500).unwrap_err().wait_s, 5);
        bucket.take(1, 60, 1000).unwrap();
        assert!(bucket.take(1, 60, 1999).is_err());
        assert!(!bucket.is_full(60, 60_999) && bucket.is_full(60, 61_000));
        bucket.give_back(1);
        bucket.take(1, 60, 1000).unwrap();
    }

    #[test]
    fn what_is_larger_than_the_bucket_is_paid_afterwards() {
        let mut bucket = Bucket::default();
        bucket.take(180, 60, 0).unwrap();
        assert_eq!(bucket.take(1, 60, 0).unwrap_err().wait_s, 121);
        assert_eq!(bucket.take(180, 60, 60_000).unwrap_err().wait_s, 120);
        bucket.take(180, 60, 180_000).unwrap();
        bucket.take(u64::MAX, u64::MAX, u64::MAX).unwrap();
    }

    proptest! {
        #[test]
        fn who_waits_as_told_is_admitted_and_no_minute_gives_more_than_two(
            steps in proptest::collection::vec((0u64..20_000, 1u64..9), 1..80), per_minute in 1u64..90,
        ) {
            let (mut bucket, mut now, mut taken) = (Bucket::default(), 0, Vec::new());
            for (step, cost) in steps {
                now += step;
                let cost = cost.min(per_minute);
                match bucket.take(cost, per_minute, now) {
                    Ok(()) => taken.push((now, cost)),
                    Err(empty) => {
                        let mut later = bucket;
                        prop_assert!(empty.wait_s >= 1 && empty.left < cost);
                        prop_assert!(later.take(cost, per_minute, now + empty.wait_s * 1000).is_ok());
                    }
                }
                let within: u64 = taken.iter().filter(|(at, _)| *at + 60_000 > now).map(|(_, cost)| cost).sum();
                prop_assert!(within <= 2 * per_minute);
            }
        }
    }
}
