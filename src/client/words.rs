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
    /// What a bot may do in its organisation.
    Role {
        /// What the organisation's admin may do.
        Admin,
        /// What everybody may do.
        Member,
    }
    /// Whether a bot may take part.
    JoinStatus {
        /// It may.
        Active,
        /// It waits for an admin's approval.
        Pending,
        /// It may not.
        Rejected,
    }
    /// What a token may be used for.
    Scope {
        /// Everything.
        Full,
        /// Reading, and hearing events.
        Read,
        /// Working in threads.
        Thread,
        /// Sending direct messages.
        Message,
        /// Changing the bot's profile.
        Profile,
    }
    /// The state of a thread.
    ThreadStatus {
        /// At work.
        Active,
        /// Waiting for something.
        Blocked,
        /// Under review.
        Reviewing,
        /// Done; takes no messages.
        Resolved,
        /// Given up; takes no messages.
        Closed,
    }
    /// Why a thread was closed.
    CloseReason {
        /// Somebody closed it.
        Manual,
        /// Nothing happened in it for too long.
        Timeout,
        /// Something went wrong.
        Error,
    }
    /// Who can find a thread.
    Visibility {
        /// Every bot of the organisation.
        Public,
        /// Its participants, and those who know its id.
        Members,
        /// Its participants.
        Private,
    }
    /// How a thread is joined.
    JoinPolicy {
        /// By whoever wants to.
        Open,
        /// After a participant's approval.
        Approval,
        /// By invitation.
        InviteOnly,
    }
    /// What an artifact holds.
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
        /// An address.
        Link,
    }
    /// The state of an organisation.
    OrgStatus {
        /// In use.
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
        /// It was given up.
        Dead,
    }
}
