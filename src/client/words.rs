//! The protocol's enumerations. A value that this version does not know is read as `Unknown`.

use serde::{Deserialize, Serialize};

/// Declares enumerations with the spelling of the wire.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// A value that this version of the client does not know.
            #[serde(other)]
            Unknown,
        }
    )+};
}

words! {
    /// The role of a bot in its organisation.
    Role {
        /// Administers the organisation.
        Admin,
        /// An ordinary member.
        Member,
    }
    /// The role of a person in its organisation.
    PersonRole {
        /// Has the rights of the organisation's secret.
        Admin,
        /// Sees bots, threads and people.
        Coordinator,
        /// Is asked.
        Responder,
        /// Sees everything and changes nothing.
        Auditor,
        /// Sees bots and threads.
        Viewer,
    }
    /// The join status of a bot.
    JoinStatus {
        /// Approved.
        Active,
        /// Waiting for approval by an admin.
        Pending,
        /// Rejected by an admin.
        Rejected,
    }
    /// The scope of a token.
    Scope {
        /// Everything.
        Full,
        /// Reading, and receiving events.
        Read,
        /// Working in threads.
        Thread,
        /// Sending direct messages.
        Message,
        /// Changing the bot's profile.
        Profile,
        /// Asking people.
        Coordinate,
        /// Answering what people are asked.
        Respond,
    }
    /// The status of a thread.
    ThreadStatus {
        /// In progress.
        Active,
        /// Waiting for something.
        Blocked,
        /// Under review.
        Reviewing,
        /// Done; accepts no messages.
        Resolved,
        /// Abandoned; accepts no messages.
        Closed,
    }
    /// Why a thread was closed.
    CloseReason {
        /// A bot or person closed it.
        Manual,
        /// It was inactive for too long.
        Timeout,
        /// An error occurred.
        Error,
    }
    /// The visibility of a thread.
    Visibility {
        /// Every bot of the organisation.
        Public,
        /// Its participants, and bots that know its id.
        Members,
        /// Its participants.
        Private,
    }
    /// The join policy of a thread.
    JoinPolicy {
        /// Anybody may join.
        Open,
        /// A participant must approve.
        Approval,
        /// Only by invitation.
        InviteOnly,
    }
    /// The type of an artifact.
    ArtifactType {
        /// Plain text.
        Text,
        /// Markdown.
        Markdown,
        /// JSON.
        Json,
        /// Source code.
        Code,
        /// A stored file.
        File,
        /// A URL.
        Link,
    }
    /// The status of an organisation.
    OrgStatus {
        /// In normal use.
        Active,
        /// Its members are refused.
        Suspended,
        /// Deleted.
        Destroyed,
    }
    /// The state of a webhook delivery. `Unknown` is also a state of the hub: it was sent and never answered.
    DeliveryStatus {
        /// It waits to be sent, or to be sent again.
        Pending,
        /// The receiver accepted it.
        Delivered,
        /// Given up after repeated failures.
        Dead,
    }
}
