//! The request to register a bot.
//!
//! The order of errors is the protocol's: organisation, credential, name (present, characters, reserved), sizes, types,
//! webhook. The caller resolves the webhook's host and checks the credential and the uniqueness of the name; the
//! credential must be checked before any lookup of a host that the client chose.

use serde_json::Value;

use super::{ProfilePatch, metadata_size, name_schema, name_shape, name_size, profile_fields};
use crate::draft::Draft;
use crate::error::{ApiError, ApiResult};
use crate::form::{self, Form};
use crate::text::{Fields, is_truthy, optional, refuse_nul, refuse_nul_within, required};
use crate::{limits, webhook};

/// What a bot registers with.
#[derive(Clone, PartialEq, Eq)]
pub enum RegistrationCredential {
    /// The organisation's secret, which makes an admin.
    OrgSecret(String),
    /// A ticket's code or id, which makes a member.
    Ticket(String),
}

impl std::fmt::Debug for RegistrationCredential {
    /// Tells the kind and keeps the secret out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::OrgSecret(_) => "OrgSecret(***)",
            Self::Ticket(_) => "Ticket(***)",
        })
    }
}

/// A checked request to register.
#[derive(Clone, PartialEq)]
pub struct RegisterRequest {
    /// The organisation, as given.
    pub org_id: String,
    /// What opens its door.
    pub credential: RegistrationCredential,
    /// The bot's name.
    pub name: String,
    /// The profile given along.
    pub profile: ProfilePatch,
    /// Free data, as JSON text.
    pub metadata: Option<String>,
    /// Where events shall be posted; not yet checked beyond its length.
    pub webhook_url: Option<String>,
    /// What signs those posts.
    pub webhook_secret: Option<String>,
    /// Which events shall be posted; `None` is all.
    pub webhook_events: Option<Vec<String>>,
}

impl std::fmt::Debug for RegisterRequest {
    /// Tells who registers where and keeps the secrets out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("RegisterRequest");
        shown.field("org_id", &self.org_id).field("name", &self.name).field("credential", &self.credential);
        shown.finish_non_exhaustive()
    }
}

impl Draft for RegisterRequest {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let org_id = required("org_id", body.get("org_id"))?;
        let credential = credential(body)?;
        let name = name_shape(body.get("name"))?;
        name_size(name)?;
        let metadata = body.get("metadata").filter(|value| !value.is_null());
        metadata_size(metadata)?;
        check_size(body, "webhook_url", limits::WEBHOOK_URL_BYTES)?;
        check_size(body, "webhook_secret", limits::WEBHOOK_SECRET_BYTES)?;
        let profile = ProfilePatch::of(body)?;
        if let Some(metadata) = metadata {
            refuse_nul_within("metadata", metadata)?;
        }
        let webhook_url = optional("webhook_url", body.get("webhook_url"))?.filter(|url| !url.is_empty());
        let webhook_secret = webhook::secret(body, "webhook_secret")?;
        Ok(Self {
            org_id: org_id.to_owned(),
            credential,
            name: name.to_owned(),
            profile,
            metadata: metadata.map(Value::to_string),
            webhook_url: webhook_url.map(str::to_owned),
            webhook_secret,
            webhook_events: webhook::events(body)?,
        })
    }

    fn form() -> Form {
        let secret = || form::nullable(form::text());
        Form::new("A new bot; `ticket` or `org_secret` is required.")
            .needs("org_id", form::text().min_length(Some(1)), "The organisation's id.")
            .takes("ticket", secret(), "A registration ticket, which makes a member.")
            .takes("org_secret", secret(), "The organisation's secret, which makes an admin.")
            .needs("name", name_schema(), "The bot's name.")
            .and(profile_fields())
            .takes("metadata", form::any(), "Free data of at most 16384 bytes of JSON.")
            .takes("webhook_url", form::nullable(form::short(limits::WEBHOOK_URL_BYTES)), "Where events are posted.")
            .takes("webhook_secret", webhook::secret_schema(), "What signs those posts.")
            .takes("webhook_events", webhook::events_schema(), "Which events are posted; all if absent.")
    }
}

schemas_of_drafts!(RegisterRequest);

/// The credential: the secret if it is a string, else the ticket.
fn credential(body: &Fields) -> ApiResult<RegistrationCredential> {
    let given = |field: &str| body.get(field).filter(|value| is_truthy(value));
    match (given("org_secret"), given("ticket")) {
        (Some(Value::String(secret)), _) => Ok(RegistrationCredential::OrgSecret(secret.clone())),
        (_, Some(Value::String(ticket))) => {
            refuse_nul("ticket", ticket)?;
            Ok(RegistrationCredential::Ticket(ticket.clone()))
        }
        (None, None) => Err(ApiError::validation("ticket or org_secret is required")),
        _ => Err(ApiError::validation("ticket or org_secret must be a string")),
    }
}

fn check_size(body: &Fields, field: &str, most: usize) -> ApiResult<()> {
    if body.get(field).and_then(Value::as_str).is_some_and(|text| text.len() > most) {
        return Err(ApiError::validation(format!("{field} is too long (at most {most} bytes)")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::ErrorCode;

    fn read(body: Value) -> ApiResult<RegisterRequest> {
        RegisterRequest::read(&mut body.as_object().unwrap().clone())
    }

    #[test]
    fn the_smallest_registration() {
        let request = read(json!({"org_id": "o", "ticket": "t", "name": "bob", "webhook_url": ""})).unwrap();
        assert_eq!(request.credential, RegistrationCredential::Ticket("t".into()));
        assert_eq!((request.metadata, request.webhook_url, request.webhook_secret), (None, None, None));
        assert_eq!(request.profile, ProfilePatch::default());
    }

    #[test]
    fn the_secret_wins_when_it_is_a_string() {
        let with = |secret: Value, ticket: Value| {
            read(json!({"org_id": "o", "org_secret": secret, "ticket": ticket, "name": "bob"})).map(|r| r.credential)
        };
        assert_eq!(with(json!("s"), json!("t")).unwrap(), RegistrationCredential::OrgSecret("s".into()));
        assert_eq!(with(json!(7), json!("t")).unwrap(), RegistrationCredential::Ticket("t".into()));
        assert_eq!(with(json!(""), json!("t")).unwrap(), RegistrationCredential::Ticket("t".into()));
        assert!(with(json!(7), json!("")).is_err());
        assert!(with(json!(null), json!({})).is_err());
        assert_eq!(format!("{:?}", RegistrationCredential::Ticket("t".into())), "Ticket(***)");
    }

    #[test]
    fn refusals_come_in_order() {
        let full = |extra: Value| {
            let mut body = json!({"org_id": "o", "ticket": "t", "name": "bob"});
            body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            body
        };
        for (body, words) in [
            (json!({"org_id": 7}), "org_id"),
            (json!({"org_id": "o"}), "ticket or org_secret is required"),
            (json!({"org_id": "o", "ticket": "t"}), "name is required"),
            (full(json!({"name": "a b", "bio": 1})), "name may only hold"),
            (full(json!({"name": 7})), "name must be a string"),
            (full(json!({"name": "n".repeat(129), "bio": "b".repeat(1025)})), "name is too long"),
            (full(json!({"metadata": "m".repeat(16_384), "bio": 1})), "metadata is too large"),
            (full(json!({"webhook_url": "u".repeat(2049), "bio": 1})), "webhook_url is too long"),
            (full(json!({"bio": 1, "webhook_url": 1})), "bio"),
            (full(json!({"webhook_url": 1})), "webhook_url must be a string"),
            (full(json!({"webhook_secret": {}})), "webhook_secret must be a string"),
            (full(json!({"webhook_secret": "a\nb"})), "control characters"),
        ] {
            let refusal = read(body).unwrap_err();
            assert!(refusal.message().contains(words), "{words}: {}", refusal.message());
        }
        assert_eq!(read(full(json!({"name": "All"}))).unwrap_err().code(), ErrorCode::ReservedName);
    }

    #[test]
    fn metadata_of_any_type_is_kept_as_json() {
        let read = |value: Value| {
            read(json!({"org_id": "o", "ticket": "t", "name": "bob", "metadata": value})).unwrap().metadata
        };
        assert_eq!(read(json!("x")).as_deref(), Some("\"x\""));
        assert_eq!(read(json!({"b": 1, "a": 2})).as_deref(), Some(r#"{"b":1,"a":2}"#));
        assert_eq!(read(json!(false)).as_deref(), Some("false"));
        assert_eq!(read(Value::Null), None);
    }
}
