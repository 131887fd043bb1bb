//! An organisation's policy: what may approve itself when nobody answers, all of it unless it says otherwise; and who answers in Slack.

use serde_json::Value;

use super::create::Create;
use super::faults::Faults;
use super::fields::{Noted, Object};
use super::words::{Fallback, Intent, Urgency};
use hxa_domain::error::ApiError;

/// What an organisation lets happen without one of its people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Which requests may have AUTO_APPROVE.
    pub auto_approve: AutoApprove,
    /// Whether Slack users who are no people of the organisation answer, as `slack:<name>`.
    pub slack_names: bool,
}

/// Which requests may have AUTO_APPROVE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AutoApprove {
    /// Only these intents.
    pub intents: Vec<Intent>,
    /// Only these urgencies.
    pub urgencies: Vec<Urgency>,
}

impl Default for AutoApprove {
    fn default() -> Self {
        Self { intents: Intent::ALL.to_vec(), urgencies: Urgency::ALL.to_vec() }
    }
}

impl Policy {
    /// Reads `{auto_approve: {…}, slack_names?: bool}`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(body: Value) -> Result<Self, Faults> {
        let noted = Noted::default();
        let policy = Object::of_body(body, &noted).map(|mut body| Self {
            slack_names: body.flag("slack_names").unwrap_or_default(),
            auto_approve: body.needed_object("auto_approve").map(AutoApprove::of).unwrap_or_default(),
        });
        let faults = noted.into_inner();
        match policy {
            Some(policy) => faults.or(policy),
            None => Err(faults),
        }
    }
}

impl AutoApprove {
    /// Reads `{intents?: […], urgencies?: […]}`; what is not given is all, an empty list is none.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(body: Value) -> Result<Self, Faults> {
        let noted = Noted::default();
        let policy = Object::of_body(body, &noted).map(Self::of);
        let faults = noted.into_inner();
        match policy {
            Some(policy) => faults.or(policy),
            None => Err(faults),
        }
    }

    fn of(mut body: Object<'_>) -> Self {
        Self {
            intents: words(&mut body, "intents", Intent::ALL, Intent::as_str),
            urgencies: words(&mut body, "urgencies", Urgency::ALL, Urgency::as_str),
        }
    }

    /// Refuses a request that would approve itself where that is forbidden.
    ///
    /// # Errors
    /// 403 `FORBIDDEN`.
    pub fn check(&self, create: &Create) -> Result<(), ApiError> {
        let (intent, urgency) = (create.intent, create.urgency);
        let is_allowed = self.intents.contains(&intent) && self.urgencies.contains(&urgency);
        if create.timeout.fallback != Fallback::AutoApprove || is_allowed {
            return Ok(());
        }
        Err(ApiError::forbidden(format!(
            "The organisation does not let a request of intent {intent} and urgency {urgency} have the fallback AUTO_APPROVE"
        )))
    }
}

fn words<T: Copy>(body: &mut Object<'_>, key: &str, all: &[T], word: fn(T) -> &'static str) -> Vec<T> {
    if !body.has(key) {
        return all.to_vec();
    }
    let given = body.list(key, all.len()).unwrap_or_default();
    let found = given.into_iter().filter_map(|(_, value)| {
        let text = value.as_str().unwrap_or_default();
        let found = all.iter().copied().find(|one| word(*one) == text);
        if found.is_none() {
            let legal: Vec<&str> = all.iter().map(|one| word(*one)).collect();
            body.fault(key, format!("May hold {}", legal.join(", ")));
        }
        found
    });
    found.collect()
}
