//! Refusals of the routes: one envelope, `{error, code, issues?}`. `error` has the texts that clients of the protocol show and
//! compare; `code` is for programs.

use serde::Serialize;

use super::errors::Found;
use super::faults::Fault;
use super::words::{AccessCode, RefusalCode, Scope};

/// What is wrong with a body or a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// The field; empty for the whole.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

/// A refusal; its status is that of its code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// For people.
    pub error: String,
    /// For programs.
    pub code: RefusalCode,
    /// What is wrong with the body or the query.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub issues: Vec<Issue>,
}

impl Refusal {
    /// A refusal with its own words.
    #[must_use]
    pub fn new(code: RefusalCode, error: impl Into<String>) -> Self {
        Self { error: error.into(), code, issues: Vec::new() }
    }

    fn with_issue(code: RefusalCode, error: &str, fault: Fault) -> Self {
        let issue = Issue { path: fault.path, message: fault.message };
        Self { issues: vec![issue], ..Self::new(code, error) }
    }

    /// The body is malformed.
    #[must_use]
    pub fn body(fault: Fault) -> Self {
        Self::with_issue(RefusalCode::InvalidBody, "Invalid body", fault)
    }

    /// The query is malformed.
    #[must_use]
    pub fn query(fault: Fault) -> Self {
        Self::with_issue(RefusalCode::InvalidQuery, "Invalid query", fault)
    }

    /// There is no such session or machine, or it belongs to another namespace. `None` where it is here.
    #[must_use]
    pub fn of_access(scope: Scope, found: Found) -> Option<Self> {
        let thing = match scope {
            Scope::Session => "Session",
            Scope::Machine => "Machine",
        };
        match found.access().err()? {
            AccessCode::NotFound => Some(Self::new(RefusalCode::NotFound, format!("{thing} not found"))),
            AccessCode::AccessDenied | AccessCode::NamespaceMissing => {
                Some(Self::new(RefusalCode::AccessDenied, format!("{thing} access denied")))
            }
        }
    }

    /// A refusal with the usual words of its code.
    #[must_use]
    pub fn usual(code: RefusalCode) -> Self {
        Self::new(
            code,
            match code {
                RefusalCode::SessionInactive => "Session is inactive",
                RefusalCode::SessionActive => "Session is active; archive it first",
                RefusalCode::AlreadyDecided => "Request is already decided",
                RefusalCode::Conflict => "The session was changed at the same time; try again",
                RefusalCode::NotApplied => "The agent did not apply the change",
                RefusalCode::WrongFlavor => "Not supported by this session's flavor",
                RefusalCode::NotAvailable => "Not available on this hub",
                RefusalCode::NotFound => "Not found",
                RefusalCode::AccessDenied => "Access denied",
                RefusalCode::InvalidBody => "Invalid body",
                RefusalCode::InvalidQuery => "Invalid query",
                RefusalCode::Unauthorized => "Invalid token",
            },
        )
    }

    /// The request of an agent is not there, or was decided before.
    #[must_use]
    pub fn request_not_found() -> Self {
        Self::new(RefusalCode::NotFound, "Request not found")
    }

    /// Its HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.code.status()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    #[test]
    fn refusals_have_one_envelope() {
        let refusal = Refusal::body(Fault::new("name", "Required"));
        let issues = json!([{"path": "name", "message": "Required"}]);
        assert_eq!(
            to_value(&refusal).unwrap(),
            json!({"error": "Invalid body", "code": "invalid_body", "issues": issues})
        );
        assert_eq!(refusal.status(), 400);
        let refusal = Refusal::usual(RefusalCode::AlreadyDecided);
        let wanted = json!({"error": "Request is already decided", "code": "already_decided"});
        assert_eq!(to_value(&refusal).unwrap(), wanted);
        assert_eq!(refusal.status(), 409);
        assert!(RefusalCode::ALL.iter().all(|code| !Refusal::usual(*code).error.is_empty()));
    }

    #[test]
    fn access_is_told_as_the_protocol_does() {
        let of = |scope, found| Refusal::of_access(scope, found).map(|refusal| (refusal.status(), refusal.error));
        assert_eq!(of(Scope::Session, Found::Nowhere), Some((404, "Session not found".to_owned())));
        assert_eq!(of(Scope::Machine, Found::Elsewhere), Some((403, "Machine access denied".to_owned())));
        assert_eq!(of(Scope::Machine, Found::Here), None);
        assert_eq!(Refusal::request_not_found().status(), 404);
    }
}
