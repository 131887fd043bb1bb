//! The operations of the socket: their names, the scope each needs, and which are idempotent by key.

use crate::scope::{Need, Scope};

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
            Self::Ping | Self::Subscribe | Self::Unsubscribe | Self::Resume => Need::Nothing,
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
}
