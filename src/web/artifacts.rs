//! Artifacts of threads, version by version.

use std::sync::Arc;

use actix_web::{HttpRequest, get, patch, post, web};
use serde_json::Value;

use super::answer::ok;
use super::body::Body;
use super::guard::{Bot, needs};
use super::list::{self, Listed};
use super::params::Params;
use super::repeated::{Once, Todo, json, receipt};
use super::routing::Routes;
use super::thread_access::{read, thread_id};
use super::views::artifact;
use super::{Answer, collab_examples as examples};
use hxa_domain::artifact::{ArtifactDraft, ArtifactUpdate, key};
use hxa_domain::cursor::Cursor;
use hxa_domain::ids::ThreadId;
use hxa_domain::query::leading_int;
use hxa_hub::core::actors::Actors;
use hxa_hub::core::call::Receipt;
use hxa_hub::core::caller::Caller;
use hxa_hub::core::idempotency::Claim;
use hxa_hub::core::org_state::OrgState;
use hxa_hub::hub::Hub;
use hxa_hub::thread::{AddArtifact, UpdateArtifact};
use hxa_hub::wire;
use hxa_store::artifacts::{self, Order, Room};
use hxa_store::rows::ArtifactRow;
use hxa_store::{DbConnection, DbError};

/// Registers the routes.
pub fn routes(routes: &mut Routes<'_>) {
    routes.service(add).service(update).service(list_newest).service(versions);
}

/// Add an artifact
///
/// For participants whom the policy lets write. Content of type `json` with trailing commas or single quotes is mended;
/// what still is no JSON is kept as `text` with `format_warning`.
#[utoipa::path(
    tag = "Collaboration", operation_id = "thread_artifacts_create",
    params(
        ("id" = String, Path, description = "The thread", example = json!(examples::THREAD)),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request repeatable for a day"),
    ),
    request_body(
        content = ArtifactDraft,
        example = json!({
            "artifact_key": "release-notes.md", "type": "markdown", "title": "Release notes", "content": "# 1.4",
        }),
    ),
    responses(
        (status = 200, description = "Version 1", body = wire::Artifact, example = json!(examples::artifact())),
        (status = 403, description = "`JOIN_REQUIRED`, `WRITE_PERMISSION_DENIED`"),
        (status = 404, description = "No such thread for this bot"),
        (status = 409, description = "`CONFLICT` when the key exists, `THREAD_CLOSED`, `IDEMPOTENCY_MISMATCH`, \
                                     `IDEMPOTENCY_IN_PROGRESS`"),
    ),
)]
#[post("/api/threads/{id}/artifacts")]
async fn add(
    hub: web::Data<Hub>,
    caller: Bot<needs::Thread>,
    id: web::Path<String>,
    once: Once,
    mut body: Body<ArtifactDraft>,
) -> Answer {
    let claim = match once.begin(&hub, &caller, body.fields()).await? {
        Todo::Nothing(remembered) => return Ok(remembered.answer()),
        Todo::Everything(claim) => claim,
    };
    let (id, org) = (thread_id(&id)?, caller.org.clone());
    let receipt = version_receipt(claim, &org);
    let row = hub.threads().ask_once(id, Caller::Bot(caller.0), AddArtifact { draft: body.parsed() }, receipt).await?;
    ok(&artifact(&org, &row))
}

/// The receipt of a new version.
fn version_receipt(claim: Option<Claim>, org: &Arc<OrgState>) -> Option<Receipt<Arc<ArtifactRow>>> {
    let org = org.clone();
    receipt(claim, move |row: &Arc<ArtifactRow>| json(&artifact(&org, row)))
}

/// Add a version to an artifact
///
/// Everything but the content, and the title if one is given (null clears it), is taken from the version before.
#[utoipa::path(
    tag = "Collaboration", operation_id = "thread_artifact_versions_create",
    params(
        ("id" = String, Path, description = "The thread", example = json!(examples::THREAD)),
        ("key" = String, Path, description = "The artifact", example = json!("release-notes.md")),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request repeatable for a day"),
    ),
    request_body(
        content = ArtifactUpdate,
        example = json!({ "content": "# 1.4\n\nFaster." }),
    ),
    responses(
        (status = 200, description = "The new version", body = wire::Artifact,
            example = json!(examples::artifact())),
        (status = 403, description = "`JOIN_REQUIRED`, `WRITE_PERMISSION_DENIED`"),
        (status = 404, description = "No such thread or artifact"),
        (status = 409, description = "`THREAD_CLOSED`, `IDEMPOTENCY_MISMATCH`, `IDEMPOTENCY_IN_PROGRESS`"),
    ),
)]
#[patch("/api/threads/{id}/artifacts/{key}")]
async fn update(
    hub: web::Data<Hub>,
    caller: Bot<needs::Thread>,
    path: web::Path<(String, String)>,
    once: Once,
    mut body: Body<ArtifactUpdate>,
) -> Answer {
    let claim = match once.begin(&hub, &caller, body.fields()).await? {
        Todo::Nothing(remembered) => return Ok(remembered.answer()),
        Todo::Everything(claim) => claim,
    };
    let ((id, key), org) = (path.into_inner(), caller.org.clone());
    let (id, receipt) = (thread_id(&id)?, version_receipt(claim, &org));
    let operation = UpdateArtifact { key, update: body.parsed() };
    let row = hub.threads().ask_once(id, Caller::Bot(caller.0), operation, receipt).await?;
    ok(&artifact(&org, &row))
}

/// List the artifacts of a thread
///
/// For participants. The newest version of each with its content; what was updated last comes last. A list that does not
/// fit into an answer has a `Link` to the rest.
#[utoipa::path(
    tag = "Collaboration", operation_id = "thread_artifacts_list",
    params(
        ("id" = String, Path, description = "The thread", example = json!(examples::THREAD)),
        ("after" = Option<String>, Query, description = "Only artifacts after this one, as the `Link` before said"),
    ),
    responses(
        (status = 200, description = "Artifacts", body = Vec<wire::Artifact>, example = json!([examples::artifact()])),
        (status = 403, description = "`JOIN_REQUIRED`, with a `hint`"),
        (status = 404, description = "No such thread for this bot"),
    ),
)]
#[get("/api/threads/{id}/artifacts")]
async fn list_newest(
    hub: web::Data<Hub>,
    caller: Bot<needs::Read>,
    id: web::Path<String>,
    params: Params,
    request: HttpRequest,
) -> Answer {
    let (org, after, most) = (caller.org.clone(), place(&params), hub.config().server.max_answer_bytes);
    let (_, listed) = read(&hub, &caller, &id, move |conn, id, _, _| newest(conn, &org, id, (after, most))).await?;
    list::answer(&hub, &request, listed)
}

/// Where an array of artifacts goes on.
#[must_use]
pub fn place(params: &Params) -> Option<Cursor> {
    params.filled("after").and_then(Cursor::decode)
}

/// The newest version of each artifact of a thread, as far as they fit.
///
/// # Errors
/// When the database fails.
pub fn newest(
    conn: &mut DbConnection,
    org: &OrgState,
    id: ThreadId,
    (after, most): (Option<Cursor>, usize),
) -> Result<Listed, DbError> {
    let page = artifacts::newest(conn, id, Order::Time(after), Room { rows: list::ARRAY_ROWS, bytes: most })?;
    let next = |row: &ArtifactRow| ("after", Cursor::new(row.created_at, row.id).encode());
    Ok(list::array(most, &page, |row| artifact(org, row), next)?)
}

/// List the versions of an artifact
///
/// For participants. Oldest first; empty when the thread has no such artifact. A list that does not fit into an answer has a
/// `Link` to the rest.
#[utoipa::path(
    tag = "Collaboration", operation_id = "thread_artifact_versions_list",
    params(
        ("id" = String, Path, description = "The thread", example = json!(examples::THREAD)),
        ("key" = String, Path, description = "The artifact", example = json!("release-notes.md")),
        ("after" = Option<i64>, Query, description = "Only versions after this one"),
    ),
    responses(
        (status = 200, description = "Versions", body = Vec<wire::Artifact>, example = json!([examples::artifact()])),
        (status = 400, description = "The key is none"),
        (status = 403, description = "`JOIN_REQUIRED`, with a `hint`"),
        (status = 404, description = "No such thread for this bot"),
    ),
)]
#[get("/api/threads/{id}/artifacts/{key}/versions")]
async fn versions(
    hub: web::Data<Hub>,
    caller: Bot<needs::Read>,
    path: web::Path<(String, String)>,
    params: Params,
    request: HttpRequest,
) -> Answer {
    let ((id, wanted), org) = (path.into_inner(), caller.org.clone());
    let after = params.get("after").and_then(leading_int).and_then(|after| i32::try_from(after).ok()).unwrap_or(0);
    let most = hub.config().server.max_answer_bytes;
    let (_, listed) = read(&hub, &caller, &id, move |conn, id, _, _| {
        let wanted = Value::from(wanted);
        let room = Room { rows: list::ARRAY_ROWS, bytes: most };
        let page = artifacts::versions(conn, id, (key(Some(&wanted))?, after), room)?;
        let next = |row: &ArtifactRow| ("after", row.version.to_string());
        Ok(list::array(most, &page, |row| artifact(&org, row), next)?)
    })
    .await?;
    list::answer(&hub, &request, listed)
}
