//! A feature for tests: bots take notes. It has a table, a route, an actor, an event, a duty, a metric and a hook.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_web::{post, web};
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use hxa_connect::domain::form::{self, Form};
use hxa_connect::domain::ids::{AuditId, BotId, OrgId};
use hxa_connect::domain::text::{Fields, required};
use hxa_connect::domain::{
    budget::WriteClass, draft::Draft, error::ApiError, error::ApiResult, scope::Need, scope::Scope,
};
use hxa_connect::hub::core::call::{Call, Operation, Reply};
use hxa_connect::hub::core::{caller::Caller, registry::Registry};
use hxa_connect::hub::fanout::event::{Audience, Event};
use hxa_connect::hub::feature::{self, Duty, When};
use hxa_connect::hub::{commits::Change, commits::Commits, hub::Hub};
use hxa_connect::store::catalogue::{Schema, Table};
use hxa_connect::store::{DbConnection, DbError, FeatureWrite, rows::AuditRow};
use hxa_connect::web::guard::{Bot, needs};
use hxa_connect::web::{Answer, Feature, Started, answer, body::Body, routing::Routes};
use prometheus::IntGauge;
use serde::Serialize;

static SQLITE: EmbeddedMigrations = embed_migrations!("../../tests/feature/migrations/sqlite");
static POSTGRES: EmbeddedMigrations = embed_migrations!("../../tests/feature/migrations/postgres");

pub const FEATURE: Feature = Feature {
    name: "notes",
    schema: Schema::new(&SQLITE, &POSTGRES, &[Table { name: "notes", key: &["id"] }]),
    tags: &[],
    routes: |routes: &mut Routes<'_>| _ = routes.service(take_note),
    needs: &[("POST /api/notes", Need::Of(Scope::Message))],
    events: |events| events.add::<NoteRow>("note_taken"),
    start,
};

diesel::table! {
    notes (id) { id -> Text, org_id -> Text, bot_id -> Text, text -> Text, is_short -> Bool, }
}

#[derive(Clone, Insertable, Serialize, utoipa::ToSchema)]
#[diesel(table_name = notes)]
struct NoteRow {
    id: String,
    org_id: String,
    bot_id: String,
    text: String,
    is_short: bool,
}

impl FeatureWrite for NoteRow {
    fn apply(&self, conn: &mut DbConnection) -> Result<(), DbError> {
        diesel::insert_into(notes::table).values(self.clone()).execute(conn)?;
        if self.text == "unwanted" { Err(ApiError::validation("No such notes").into()) } else { Ok(()) }
    }
}

struct Notes {
    commits: Commits,
    notebooks: Registry<OrgId, Notebook>,
    stored: IntGauge,
}

fn start(hub: &Hub) -> Result<Started, String> {
    let stored = IntGauge::new("hub_notes", "Notes that are stored.").map_err(|error| error.to_string())?;
    hub.metrics().register(Box::new(stored.clone())).map_err(|error| error.to_string())?;
    let commits = hub.commits().clone();
    Ok(Started::with_data(Arc::new(Notes { commits, notebooks: Registry::default(), stored })))
}

impl feature::Feature for Notes {
    fn duties(self: Arc<Self>) -> Vec<Duty> {
        vec![Duty::new("counting notes", When::Every(Duration::from_millis(50)), move || {
            let (store, stored) = (self.commits.core().store().clone(), self.stored.clone());
            async move { store.read(|conn| Ok(notes::table.count().get_result(conn)?)).await.map(|count| stored.set(count)) }
        })]
    }

    fn on_bot_deleted(&self, conn: &mut DbConnection, _: OrgId, bot: BotId) -> Result<(), DbError> {
        diesel::delete(notes::table.filter(notes::bot_id.eq(bot.to_string()))).execute(conn)?;
        Ok(())
    }
}

/// The actor of an organisation that takes notes.
struct Notebook(Commits);

impl Actor for Notebook {
    type Context = actix::Context<Self>;
}

struct TakeNote(String);
impl Draft for TakeNote {
    fn read(body: &mut Fields) -> ApiResult<Self> {
        Ok(Self(required("text", body.get("text"))?.to_owned()))
    }

    fn form() -> Form {
        Form::new("A note.").needs("text", form::text(), "What it says.")
    }
}

impl Operation for TakeNote {
    type Answer = NoteRow;
    fn class(&self) -> Option<WriteClass> {
        None
    }
}

impl Handler<Call<TakeNote>> for Notebook {
    type Result = ();

    fn handle(&mut self, Call { caller, operation: TakeNote(text), reply }: Call<TakeNote>, _: &mut Self::Context) {
        let (org, now, bot_id) = (caller.org().id, self.0.core().now(), caller.by());
        let (id, is_short) = (AuditId::at(now).to_string(), text.len() < 10);
        let row = NoteRow { id, org_id: org.to_string(), bot_id, text, is_short };
        let entry = AuditRow::new(org, now, caller.audit_bot(), "note.take", "note", row.id.clone(), None);
        let event = Event::new("note_taken", &row, Audience::Org { except: None }).needing(Need::Of(Scope::Read));
        let change = Change::new(WriteClass::Message).writing(row.clone()).noting(entry).telling(event);
        self.0.submit(&caller, change, Reply::new(move |outcome| reply.send(outcome.map(|()| row))));
    }
}

/// Take a note
#[utoipa::path(tag = "Collaboration", operation_id = "notes_take", responses((status = 200, description = "The note", body = NoteRow)))]
#[post("/api/notes")]
async fn take_note(notes: web::Data<Notes>, caller: Bot<needs::Message>, mut body: Body<TakeNote>) -> Answer {
    let (org, operation, commits) = (caller.org.id, body.draft()?, notes.commits.clone());
    let arbiter = commits.core().arbiters().of_key(0);
    let start = |_| {
        let notebook = Notebook(commits.clone());
        Notebook::start_in_arbiter(&arbiter, |_| notebook)
    };
    let call = |reply| {
        let call = Call { caller: Caller::Bot(caller.0.clone()), operation, reply };
        notes.notebooks.send(org, call, start).unwrap_or_else(|unsent| unsent.refuse("The notebook"));
    };
    answer::ok(&notes.commits.core().ask(None, call).await?)
}
