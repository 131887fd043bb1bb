//! The operations of the socket: their names, the scope each needs, and which are idempotent by key.

mod frames;

use utoipa::openapi::schema::{Discriminator, OneOfBuilder};

use crate::artifact::{ArtifactDraft, ArtifactUpdate};
use crate::draft::Draft;
use crate::form::{self, AnySchema, Form};
use crate::frame::REF;
use crate::idempotency;
use crate::message::{ChannelMessageDraft, DirectMessageDraft, ThreadMessageDraft};
use crate::scope::{Need, Scope};
use crate::thread::{Invitation, ThreadDraft, ThreadPatch};
use crate::{parts, policy};
pub use frames::{ArtifactTarget, BotTarget, ChannelTarget, ExpectedRevision, ResumeFrom, ThreadTarget, Topics};

/// The field that carries the key of an operation.
pub const CLIENT_ID: &str = "client_id";

wire_enum! {
    /// An operation that a client may send through its socket.
    SocketOperation {
        Ping = "ping",
        Subscribe = "subscribe",
        Unsubscribe = "unsubscribe",
        Resume = "resume",
        Send = "send",
        SendDm = "send_dm",
        SendThreadMessage = "send_thread_message",
        ThreadCreate = "thread_create",
        ThreadUpdate = "thread_update",
        ThreadInvite = "thread_invite",
        ThreadJoin = "thread_join",
        ThreadLeave = "thread_leave",
        ThreadRemoveParticipant = "thread_remove_participant",
        ArtifactAdd = "artifact_add",
        ArtifactUpdate = "artifact_update",
    }
}

impl SocketOperation {
    /// What it needs of the credential behind the socket.
    #[must_use]
    pub const fn need(self) -> Need {
        match self {
            Self::Ping | Self::Subscribe | Self::Unsubscribe | Self::Resume => Need::Membership,
            Self::Send | Self::SendDm => Need::Of(Scope::Message),
            Self::SendThreadMessage
            | Self::ThreadCreate
            | Self::ThreadUpdate
            | Self::ThreadInvite
            | Self::ThreadJoin
            | Self::ThreadLeave
            | Self::ThreadRemoveParticipant
            | Self::ArtifactAdd
            | Self::ArtifactUpdate => Need::Of(Scope::Thread),
        }
    }

    /// Whether it creates something and takes a key under which it is done once.
    #[must_use]
    pub const fn takes_key(self) -> bool {
        match self {
            Self::Send
            | Self::SendDm
            | Self::SendThreadMessage
            | Self::ThreadCreate
            | Self::ArtifactAdd
            | Self::ArtifactUpdate => true,
            Self::Ping
            | Self::Subscribe
            | Self::Unsubscribe
            | Self::Resume
            | Self::ThreadUpdate
            | Self::ThreadInvite
            | Self::ThreadJoin
            | Self::ThreadLeave
            | Self::ThreadRemoveParticipant => false,
        }
    }

    /// The fields of its frame.
    #[must_use]
    pub fn form(self) -> Form {
        let form = Form::default().needs("type", form::word(self.as_str()), "The operation.").takes(
            REF,
            form::any(),
            "Asks for an answer, which carries it back as it was.",
        );
        let form = match self {
            Self::Ping | Self::Subscribe | Self::Unsubscribe | Self::Resume => form,
            Self::Send => form.and(ChannelTarget::form()),
            Self::SendDm | Self::ThreadCreate => form,
            Self::SendThreadMessage
            | Self::ThreadUpdate
            | Self::ThreadInvite
            | Self::ThreadJoin
            | Self::ThreadLeave
            | Self::ThreadRemoveParticipant
            | Self::ArtifactAdd
            | Self::ArtifactUpdate => form.and(ThreadTarget::form()),
        };
        let form = form.and(self.own_form()).about(self.about());
        if !self.takes_key() {
            return form;
        }
        let key = form::nullable(form::filled(idempotency::KEY_BYTES).pattern(Some("^[!-~]+$")));
        form.takes(CLIENT_ID, key, "Makes the operation repeatable for a day.")
    }

    /// The fields that its frame has in common with the REST body of the same operation, and those of sockets alone.
    fn own_form(self) -> Form {
        match self {
            Self::Ping | Self::ThreadJoin | Self::ThreadLeave => Form::default(),
            Self::Subscribe | Self::Unsubscribe => Topics::form(),
            Self::Resume => ResumeFrom::form(),
            Self::Send => ChannelMessageDraft::frame_form(),
            Self::SendDm => DirectMessageDraft::frame_form(),
            Self::SendThreadMessage => ThreadMessageDraft::frame_form(),
            Self::ThreadCreate => ThreadDraft::frame_form(),
            Self::ThreadUpdate => ThreadPatch::frame_form().and(ExpectedRevision::form()),
            Self::ThreadInvite => Invitation::frame_form(),
            Self::ThreadRemoveParticipant => BotTarget::form(),
            Self::ArtifactAdd => ArtifactDraft::frame_form(),
            Self::ArtifactUpdate => ArtifactTarget::form().and(ArtifactUpdate::frame_form()),
        }
    }

    /// What it does.
    fn about(self) -> &'static str {
        match self {
            Self::Ping => "Asks for a `pong`.",
            Self::Subscribe => "An admin's socket hears of a channel or a thread.",
            Self::Unsubscribe => "An admin's socket hears no more of a channel or a thread.",
            Self::Resume => "Asks for the events that were missed.",
            Self::Send => "Sends a message into a channel.",
            Self::SendDm => "Sends a direct message.",
            Self::SendThreadMessage => "Sends a message into a thread.",
            Self::ThreadCreate => "Creates a thread.",
            Self::ThreadUpdate => "Changes a thread.",
            Self::ThreadInvite => "Invites a bot into a thread.",
            Self::ThreadJoin => "Joins a thread, or asks to.",
            Self::ThreadLeave => "Leaves a thread.",
            Self::ThreadRemoveParticipant => "Removes a bot from a thread.",
            Self::ArtifactAdd => "Adds an artifact to a thread.",
            Self::ArtifactUpdate => "Adds a version to an artifact.",
        }
    }

    /// The name of its schema: `OpSendDm` for `send_dm`.
    #[must_use]
    pub fn schema_name(self) -> String {
        let capital = |word: &str| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
        };
        format!("Op{}", self.as_str().split('_').map(capital).collect::<String>())
    }
}

/// The schemas of all operations, each under its name, and `Op`, which is one of them.
#[must_use]
pub fn schemas() -> Vec<(String, AnySchema)> {
    let operations = SocketOperation::ALL.iter();
    let mut schemas: Vec<_> =
        operations.clone().map(|operation| (operation.schema_name(), operation.form().object().into())).collect();
    let mapping = operations
        .clone()
        .map(|operation| (operation.as_str(), format!("#/components/schemas/{}", operation.schema_name())));
    let one_of =
        operations.fold(OneOfBuilder::new(), |one_of, operation| one_of.item(form::named(&operation.schema_name())));
    let one_of = one_of.description(Some("A frame that a client may send through its socket."));
    let one_of = one_of.discriminator(Some(Discriminator::with_mapping("type", mapping)));
    schemas.push(("Op".to_owned(), one_of.into()));
    schemas.extend(form::entries_of::<crate::schema::Json>());
    schemas.extend(form::entries_of::<parts::MessagePart>());
    schemas.extend(form::entries_of::<policy::PermissionPolicy>());
    schemas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_have_names_of_their_own_in_the_document() {
        assert_eq!(SocketOperation::SendDm.schema_name(), "OpSendDm");
        let all: Vec<_> = schemas().into_iter().map(|(name, _)| name).collect();
        let own: std::collections::HashSet<_> =
            SocketOperation::ALL.iter().map(|operation| operation.schema_name()).collect();
        assert_eq!(own.len(), SocketOperation::ALL.len());
        assert!(own.iter().all(|name| all.iter().filter(|known| *known == name).count() == 1), "{all:?}");
    }

    #[test]
    fn no_form_names_a_field_twice() {
        for operation in SocketOperation::ALL {
            let mut names: Vec<_> = operation.form().names().collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{operation}");
        }
    }
}
