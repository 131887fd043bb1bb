//! People of an organisation as a test sees them.

use std::ops::Deref;

use serde_json::{Value, json};

use super::{Call, Caller, Fields, Id, Org};

/// A person, seen through the cookie of its own session.
#[derive(Clone)]
pub struct Person {
    caller: Caller,
    pub id: String,
    pub handle: String,
    pub org_id: String,
}

impl Deref for Person {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl Id for Person {
    fn id(&self) -> String {
        self.id.clone()
    }
}

impl Org {
    /// `POST /api/org/people`.
    pub fn create_person(&self, fields: Value) -> Call {
        self.post("/api/org/people", fields)
    }

    /// A new person in a session that a login link has opened.
    pub async fn person(&self, handle: &str, role: &str) -> Person {
        let row = self.create_person(json!({"handle": handle, "role": role})).await.status(201);
        let body = json!({"type": "person_link", "code": self.link(&row).await});
        let (caller, session) = Caller::login(&self.hub, body).await;
        assert_eq!(session["person"]["handle"], handle);
        Person { caller, id: row.id(), handle: handle.to_owned(), org_id: self.id.clone() }
    }

    /// The code of a new login link.
    pub async fn link(&self, person: &(impl Id + ?Sized)) -> String {
        let link = self.post(format!("/api/org/people/{}/link", person.id()), json!({})).await.status(201);
        assert_eq!(link["path"], format!("/portal/login?code={}", link.text("code")));
        link.text("code")
    }

    pub fn patch_person(&self, person: &(impl Id + ?Sized), fields: Value) -> Call {
        self.patch(format!("/api/org/people/{}", person.id()), fields)
    }

    pub fn delete_person(&self, person: &(impl Id + ?Sized)) -> Call {
        self.delete(format!("/api/org/people/{}", person.id()))
    }
}

impl Person {
    /// The same person in another session.
    pub fn by(&self, caller: Caller) -> Self {
        Self { caller, ..self.clone() }
    }

    pub fn session(&self) -> Call {
        self.get("/api/auth/session")
    }

    /// `POST /api/auth/person/password`.
    pub fn set_password(&self, body: Value) -> Call {
        self.post("/api/auth/person/password", body)
    }

    /// The same person with this password, in the session that setting it has opened.
    pub async fn with_password(&self, password: &str) -> Self {
        let reply = self.set_password(json!({"password": password})).await;
        let caller = Caller::cookie(&self.hub, &reply.session_cookie());
        reply.ok();
        self.by(caller)
    }

    /// A login by a password.
    pub fn log_in(&self, password: &str) -> Call {
        let body = json!({"type": "person", "org_id": self.org_id, "handle": self.handle, "password": password});
        self.hub.anonymous().post("/api/auth/login", body)
    }
}
