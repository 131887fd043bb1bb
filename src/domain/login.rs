//! Requests to log in.
//!
//! What is wanted stands in `type`. Clients from before 1.1 give an organisation and its secret without one, and get a
//! registration ticket instead of a session.

use serde_json::Value;
use utoipa::openapi::schema::{Discriminator, ObjectBuilder, OneOfBuilder};

use crate::draft::Draft;
use crate::error::{ApiError, ApiResult};
use crate::form::{self, AnySchema, Form};
use crate::grants::{TicketRequest, owner_name};
use crate::limits;
use crate::text::{Fields, required};

/// A request to log in.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// As a bot, by one of its tokens.
    Bot {
        /// The token.
        token: String,
        /// How the person calls themselves.
        owner_name: Option<String>,
    },
    /// As an admin of an organisation.
    OrgAdmin {
        /// The organisation, as given.
        org_id: String,
        /// Its secret.
        secret: String,
    },
    /// As an admin of the platform.
    SuperAdmin {
        /// The admin secret.
        secret: String,
    },
    /// As a person of an organisation, by its password.
    Person {
        /// The organisation, as given.
        org_id: String,
        /// What the person is called, in any case.
        handle: String,
        /// Its password.
        password: String,
    },
    /// As a person, by a login link.
    PersonLink {
        /// The code in the link.
        code: String,
    },
}

impl Login {
    /// Reads a login; without a `type` nothing else is looked at.
    fn read(body: &Fields) -> ApiResult<Self> {
        let text = |field: &str| match body.get(field) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            _ => Err(ApiError::validation(format!("{field} is required and must be a string"))),
        };
        match body.get("type").and_then(Value::as_str) {
            Some("bot") => Ok(Self::Bot { token: text("token")?, owner_name: owner_name(body.get("owner_name"))? }),
            Some("org_admin") => Ok(Self::OrgAdmin { org_id: text("org_id")?, secret: text("org_secret")? }),
            Some("super_admin") => Ok(Self::SuperAdmin { secret: text("admin_secret")? }),
            Some("person") => {
                Ok(Self::Person { org_id: text("org_id")?, handle: text("handle")?, password: text("password")? })
            }
            Some("person_link") => Ok(Self::PersonLink { code: text("code")? }),
            _ => Err(ApiError::validation("type must be one of bot, org_admin, super_admin, person, person_link")),
        }
    }
}

/// The old login: a registration ticket for the organisation's secret.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketLogin {
    /// The organisation, as given.
    pub org_id: String,
    /// Its secret.
    pub secret: String,
    /// What ticket is wanted.
    pub ticket: TicketRequest,
}

impl TicketLogin {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        let org_id = required("org_id", body.get("org_id"))?.to_owned();
        let secret = required("org_secret", body.get("org_secret"))?.to_owned();
        Ok(Self { org_id, secret, ticket: TicketRequest::read(body)? })
    }

    fn form() -> Form {
        org_fields(Form::new("A registration ticket for the organisation's secret.")).and(TicketRequest::form())
    }
}

/// The body of a login.
#[derive(Clone, PartialEq, Eq)]
pub enum LoginRequest {
    /// A session is wanted.
    Session(Login),
    /// The old login.
    Ticket(TicketLogin),
}

impl std::fmt::Debug for LoginRequest {
    /// Tells the kind and keeps the secrets out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Session(Login::Bot { .. }) => "Login::Bot(***)",
            Self::Session(Login::OrgAdmin { .. }) => "Login::OrgAdmin(***)",
            Self::Session(Login::SuperAdmin { .. }) => "Login::SuperAdmin(***)",
            Self::Session(Login::Person { .. }) => "Login::Person(***)",
            Self::Session(Login::PersonLink { .. }) => "Login::PersonLink(***)",
            Self::Ticket(login) => return write!(f, "TicketLogin(***, {:?})", login.ticket),
        })
    }
}

impl Draft for LoginRequest {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        // The old login has the organisation's secret, and no word of what is wanted.
        let has =
            |field: &str| body.get(field).is_some_and(|value| value.as_str().is_some_and(|text| !text.is_empty()));
        if !body.contains_key("type") && has("org_id") && has("org_secret") {
            return TicketLogin::read(body).map(Self::Ticket);
        }
        Login::read(body).map(Self::Session)
    }

    fn form() -> Form {
        Form::default()
    }
}

/// The body of a login under `/v0`, where a ticket is meant whenever there is no `type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldLoginRequest(pub LoginRequest);

impl Draft for OldLoginRequest {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        if body.contains_key("type") {
            return Login::read(body).map(LoginRequest::Session).map(Self);
        }
        TicketLogin::read(body).map(LoginRequest::Ticket).map(Self)
    }

    fn form() -> Form {
        Form::default()
    }
}

fn secret() -> ObjectBuilder {
    form::text().min_length(Some(1))
}

fn org_fields(form: Form) -> Form {
    let form = form.needs("org_id", secret(), "The organisation's id.");
    form.needs("org_secret", secret(), "The organisation's secret.")
}

/// The forms of a login that names its `type`, and those types.
fn session_forms() -> [Form; 5] {
    let of = |kind, about| Form::new(about).needs("type", form::word(kind), "What the session is for.");
    let owner = form::nullable(form::short(limits::OWNER_NAME_UNITS));
    [
        of("bot", "A session as a bot.").needs("token", secret(), "One of the bot's tokens.").takes(
            "owner_name",
            owner,
            "How the person calls themselves.",
        ),
        org_fields(of("org_admin", "A session as an organisation's admin.")),
        of("super_admin", "A session as the platform's admin.").needs("admin_secret", secret(), "The admin secret."),
        of("person", "A session as a person of an organisation.")
            .needs("org_id", secret(), "The organisation's id.")
            .needs("handle", secret(), "What the person is called, in any case.")
            .needs("password", secret(), "Its password."),
        of("person_link", "A session as a person, by a login link.").needs("code", secret(), "The code in the link."),
    ]
}

impl utoipa::PartialSchema for LoginRequest {
    fn schema() -> AnySchema {
        let one_of = session_forms().into_iter().fold(OneOfBuilder::new(), |one_of, form| one_of.item(form.object()));
        let about = "A login: as a bot, as an organisation's admin, as the platform's, or as a person.";
        one_of.discriminator(Some(Discriminator::new("type"))).description(Some(about)).into()
    }
}

impl utoipa::ToSchema for LoginRequest {}

impl utoipa::PartialSchema for OldLoginRequest {
    fn schema() -> AnySchema {
        let about = "A login, or without a `type` a registration ticket for the organisation's secret.";
        let one_of = OneOfBuilder::new().item(form::named("LoginRequest")).item(TicketLogin::form().object());
        one_of.description(Some(about)).into()
    }
}

impl utoipa::ToSchema for OldLoginRequest {
    fn schemas(schemas: &mut Vec<(String, AnySchema)>) {
        schemas.push(("LoginRequest".to_owned(), <LoginRequest as utoipa::PartialSchema>::schema()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read<T: Draft>(body: Value) -> ApiResult<T> {
        T::read(&mut body.as_object().unwrap().clone())
    }

    #[test]
    fn a_type_decides_what_is_read() {
        let login = |body| match read(body) {
            Ok(LoginRequest::Session(login)) => login,
            other => panic!("{other:?}"),
        };
        assert!(
            login(json!({"type": "bot", "token": "t", "owner_name": 0}))
                == Login::Bot { token: "t".into(), owner_name: None }
        );
        assert!(login(json!({"type": "super_admin", "admin_secret": "s"})) == Login::SuperAdmin { secret: "s".into() });
        for (body, words) in [
            (json!({}), "type must be"),
            (json!({"type": null, "org_id": "o", "org_secret": "s"}), "type must be"),
            (json!({"type": "bot", "owner_name": 1}), "token is required"),
            (json!({"type": "org_admin", "org_secret": "s"}), "org_id is required"),
            (json!({"org_id": "o"}), "type must be"),
            (json!({"type": "person", "org_id": "o", "handle": ""}), "handle is required"),
            (json!({"type": "person_link", "code": 7}), "code is required"),
        ] {
            let refusal = read::<LoginRequest>(body).unwrap_err();
            assert!(refusal.message().contains(words), "{words}: {}", refusal.message());
        }
    }

    #[test]
    fn without_a_type_a_secret_is_for_a_ticket() {
        let body = json!({"org_id": "o", "org_secret": "not told", "reusable": true});
        let Ok(LoginRequest::Ticket(ticket)) = read(body.clone()) else { panic!("a ticket") };
        assert!(ticket.ticket.reusable);
        assert!(matches!(read(body), Ok(OldLoginRequest(LoginRequest::Ticket(_)))));
        assert!(read::<OldLoginRequest>(json!({"org_id": 1})).unwrap_err().message().contains("org_id"));
        assert!(!format!("{:?}", LoginRequest::Ticket(ticket)).contains("not told"));
    }
}
