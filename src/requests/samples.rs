//! What tests of this crate share: a fresh database and requests in it.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::effects::transition;
use crate::rows::Kept;
use crate::rules::machine::{Input, Opening};
use crate::rules::{Answer, RequestId, Step, Verdict, Via, Who, read_create, step, submit};
use crate::writes::write_all;
use hxa_domain::ids::{BotId, OrgId};
use hxa_domain::standing::OrgStatus;
use hxa_store::rows::OrgRow;
use hxa_store::{Backend, Catalogue, DbConnection, migrate, orgs};

/// Milliseconds of an ordinary day.
pub const NOW: i64 = 1_700_000_000_000;

/// A database with an organisation.
pub struct Sample {
    pub conn: DbConnection,
    pub org: OrgId,
    pub ada: BotId,
    _folder: tempfile::TempDir,
}

impl Sample {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let backend = Backend::Sqlite(folder.path().join("x.db"));
        migrate::migrate(&Catalogue::with([crate::FEATURE.schema]), &backend).unwrap();
        let mut sample =
            Self { conn: backend.connect().unwrap(), org: OrgId::at(NOW), ada: BotId::at(NOW), _folder: folder };
        sample.add_org(sample.org);
        sample
    }

    pub fn add_org(&mut self, id: OrgId) {
        let row = OrgRow {
            id,
            name: "acme".to_owned(),
            secret_hash: id.to_string(),
            persist_messages: true,
            status: OrgStatus::Active,
            join_approval_required: false,
            created_at: NOW,
        };
        orgs::insert(&mut self.conn, &row).unwrap();
    }

    pub fn opening(&self) -> Opening {
        Opening { id: RequestId::at(NOW), org: self.org, agent: self.ada, agent_id: Arc::from("ada") }
    }

    /// Stores what a step leads to.
    pub fn store(&mut self, before: Option<&Kept>, step: &Step) -> Kept {
        let transition = transition(before, step);
        write_all(&mut self.conn, &[&transition]).unwrap();
        transition.kept
    }

    /// Stores a request; `more` are changes of the body.
    pub fn ask(&mut self, more: &Value) -> Kept {
        let create = read_create(body(more)).unwrap();
        let step = submit(self.opening(), create, NOW);
        self.store(None, &step)
    }

    /// Stores what happens to a request.
    pub fn happen(&mut self, kept: &Kept, input: Input, who: &Who) -> Kept {
        let step = step(&kept.request, input, who, NOW + 5).unwrap();
        self.store(Some(kept), &step)
    }
}

/// The body of a request.
pub fn body(more: &Value) -> Value {
    let mut body = json!({
        "intent": "APPROVAL",
        "urgency": "HIGH",
        "context_package": { "summary": "Deploy" },
        "timeout_policy": { "timeout_seconds": 600, "fallback": "BLOCK" },
        "routing_hints": { "responder_id": "Dora" },
    });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

/// A person who coordinates.
pub fn dora() -> Who {
    Who::Person { handle: Arc::from("dora"), role: crate::rules::PersonRole::Coordinator }
}

/// An approval.
pub fn approval(by: &str) -> Input {
    let data = json!({ "decision": "approved" }).as_object().unwrap().clone();
    Input::Answer(Answer { data, by: by.to_owned(), verdict: Verdict::Approved, via: Via::Api })
}
