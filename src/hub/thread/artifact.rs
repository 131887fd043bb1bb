//! Versions of a thread's artifacts. A version is a row that never changes; numbers run 1..n without gaps because they
//! are assigned here, in mailbox order.

use std::sync::Arc;

use super::access::Ended;
use super::state::ThreadState;
use super::{Applied, Context, ThreadOperation};
use crate::core::call::Operation;
use crate::fanout::event::Event;
use crate::wire::{self, events};
use hxa_domain::artifact::{self, ArtifactDraft, ArtifactType, ArtifactUpdate};
use hxa_domain::budget::WriteClass;
use hxa_domain::draft::Parsed;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::{ArtifactId, BotId};
use hxa_store::Write;
use hxa_store::rows::ArtifactRow;
use hxa_store::threads::ArtifactHead;

/// A participant adds an artifact.
pub struct AddArtifact {
    /// What it adds.
    pub draft: Parsed<ArtifactDraft>,
}

/// A participant adds a version to an artifact.
pub struct UpdateArtifact {
    /// Which artifact.
    pub key: String,
    /// What the version changes.
    pub update: Parsed<ArtifactUpdate>,
}

impl Operation for AddArtifact {
    type Answer = Arc<ArtifactRow>;

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Artifact)
    }

    fn bytes(&self) -> usize {
        self.draft.bytes()
    }
}

impl Operation for UpdateArtifact {
    type Answer = Arc<ArtifactRow>;

    fn class(&self) -> Option<WriteClass> {
        Some(WriteClass::Artifact)
    }

    fn bytes(&self) -> usize {
        self.update.bytes()
    }
}

impl ThreadOperation for AddArtifact {
    fn apply(self, thread: &mut ThreadState, context: &mut Context<'_>) -> ApiResult<Applied<Arc<ArtifactRow>>> {
        let caller = context.bot()?;
        let participant = thread.member(&caller, Ended::Refused)?;
        thread.may_write(&caller, participant, context)?;
        let draft = self.draft.draft()?;
        if thread.heads.contains_key(&draft.key) {
            return Err(ApiError::new(ErrorCode::Conflict, "An artifact with this key exists; update it instead"));
        }
        let base = if draft.format_warning { ArtifactType::Json } else { draft.artifact_type };
        let head = ArtifactHead {
            version: 1,
            base_type: base,
            title: draft.title,
            language: draft.language,
            url: draft.url,
            mime_type: draft.mime_type,
        };
        let content = Content { kind: draft.artifact_type, text: draft.content, format_warning: draft.format_warning };
        Ok(store_version(thread, context, draft.key, head, content, caller.bot.id))
    }
}

impl ThreadOperation for UpdateArtifact {
    fn apply(self, thread: &mut ThreadState, context: &mut Context<'_>) -> ApiResult<Applied<Arc<ArtifactRow>>> {
        let caller = context.bot()?;
        let participant = thread.member(&caller, Ended::Refused)?;
        thread.may_write(&caller, participant, context)?;
        let key = artifact::key(Some(&self.key.as_str().into()))?.to_owned();
        let update = self.update.draft()?;
        let head = thread.heads.get(&key).ok_or_else(|| ApiError::not_found("Artifact"))?;
        // A socket's null title keeps the old one, REST's clears it.
        let title = update.title.filter(|title| title.is_some() || !caller.via_socket);
        let head = ArtifactHead {
            version: head.version + 1,
            title: title.unwrap_or_else(|| head.title.clone()),
            ..head.clone()
        };
        let base = head.base_type;
        let resolved = artifact::resolve(base, Some(update.content));
        let content =
            Content { kind: resolved.artifact_type, text: resolved.content, format_warning: resolved.format_warning };
        Ok(store_version(thread, context, key, head, content, caller.bot.id))
    }
}

/// What a version holds, after JSON was mended or downgraded.
struct Content {
    kind: ArtifactType,
    text: Option<String>,
    format_warning: bool,
}

fn store_version(
    thread: &mut ThreadState,
    context: &Context<'_>,
    key: String,
    head: ArtifactHead,
    content: Content,
    contributor: BotId,
) -> Applied<Arc<ArtifactRow>> {
    let at = thread.next_time(context.now);
    let row = Arc::new(ArtifactRow {
        thread_id: thread.id,
        artifact_key: key.clone(),
        version: head.version,
        id: ArtifactId::at(at),
        kind: content.kind,
        title: head.title.clone(),
        content: content.text,
        language: head.language.clone(),
        url: head.url.clone(),
        mime_type: head.mime_type.clone(),
        contributor_id: Some(contributor.to_string()),
        format_warning: content.format_warning,
        via_socket: context.caller.via_socket(),
        created_at: at,
    });
    thread.heads.insert(key, head);
    let mut writes = vec![Write::Artifact(row.clone())];
    writes.extend(thread.touch(context.org, at));
    let event = artifact_event(thread, &row).by(contributor);
    Applied { writes, events: vec![event], answer: row }
}

fn artifact_event(thread: &ThreadState, row: &ArtifactRow) -> Event {
    let action = if row.version == 1 { events::ArtifactAction::Added } else { events::ArtifactAction::Updated };
    let fields = events::ArtifactChanged {
        kind: "thread_artifact",
        thread_id: thread.id,
        artifact: wire::Artifact::new(row, true),
        action,
    };
    Event::tagged("thread_artifact", &fields, thread.audience())
}
