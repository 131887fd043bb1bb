//! The words of agent sessions on the wire and in the database.

use hxa_domain::wire_enum;

wire_enum! {
    /// What a socket says it is for. The hub goes by the ids that come with it.
    ClientType {
        SessionScoped = "session-scoped",
        MachineScoped = "machine-scoped",
    }
}

wire_enum! {
    /// What kind of thing an error, a room or a method belongs to.
    #[schema(as = AgentScope)]
    Scope {
        Session = "session",
        Machine = "machine",
    }
}

wire_enum! {
    /// Why a socket has no access.
    AccessCode {
        NamespaceMissing = "namespace-missing",
        AccessDenied = "access-denied",
        NotFound = "not-found",
    }
}

wire_enum! {
    /// Who wrote a message.
    #[schema(as = AgentMessageRole)]
    Role {
        User = "user",
        Agent = "agent",
    }
}

wire_enum! {
    /// How far a message has come. A message without a local id is invoked from the start.
    DeliveryState {
        Queued = "queued",
        Dispatching = "dispatching",
        Indeterminate = "indeterminate",
        Invoked = "invoked",
    }
}

wire_enum! {
    /// Who controls the agent: its own terminal or the web.
    ControlMode {
        Local = "local",
        Remote = "remote",
    }
}

wire_enum! {
    /// Why a session ended.
    EndReason {
        Completed = "completed",
        Terminated = "terminated",
        Error = "error",
        Handoff = "handoff",
        Cleared = "cleared",
    }
}

wire_enum! {
    /// What a person decides of a request.
    PermissionDecision {
        Approved = "approved",
        ApprovedForSession = "approved_for_session",
        Denied = "denied",
        Abort = "abort",
    }
}

wire_enum! {
    /// How a request ended, in the agent's words.
    PermissionStatus {
        Canceled = "canceled",
        Denied = "denied",
        Approved = "approved",
    }
}

wire_enum! {
    /// What a request wants of a person. Permission comes first where both are listed.
    RequestKind {
        Permission = "permission",
        Input = "input",
    }
}

wire_enum! {
    /// How an update of a versioned value went.
    UpdateResult {
        Success = "success",
        VersionMismatch = "version-mismatch",
        Error = "error",
    }
}

wire_enum! {
    /// Why a call of an agent's method failed.
    RpcCode {
        TargetMissing = "rpc_target_missing",
        Timeout = "rpc_timeout",
        Error = "rpc_error",
    }
}

impl RpcCode {
    /// The HTTP status of the failure.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::TargetMissing => 503,
            Self::Timeout => 504,
            Self::Error => 502,
        }
    }
}

wire_enum! {
    /// Why there is no target of a call.
    MissingTarget {
        NotRegistered = "handler-not-registered",
        Disconnected = "socket-disconnected",
    }
}

wire_enum! {
    /// Why a socket may not register a method.
    RegisterRefusal {
        BadMethod = "bad-method",
        NotJoined = "not-joined",
        TooMany = "too-many",
        NamespaceMissing = "namespace-missing",
    }
}

wire_enum! {
    /// Codes of refusals by the routes of agent sessions.
    RefusalCode {
        SessionInactive = "session_inactive",
        SessionActive = "session_active",
        AlreadyDecided = "already_decided",
        Conflict = "conflict",
        NotApplied = "not_applied",
        WrongFlavor = "wrong_flavor",
        NotAvailable = "not_available",
        NotFound = "not_found",
        AccessDenied = "access_denied",
        InvalidBody = "invalid_body",
        InvalidQuery = "invalid_query",
        Unauthorized = "unauthorized",
    }
}

impl RefusalCode {
    /// The HTTP status of the refusal.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::SessionInactive | Self::SessionActive | Self::AlreadyDecided | Self::Conflict | Self::NotApplied => {
                409
            }
            Self::WrongFlavor | Self::InvalidBody | Self::InvalidQuery => 400,
            Self::NotAvailable | Self::NotFound => 404,
            Self::AccessDenied => 403,
            Self::Unauthorized => 401,
        }
    }
}

wire_enum! {
    /// Whether somebody looks at the page behind a stream.
    Visibility {
        Visible = "visible",
        Hidden = "hidden",
    }
}

wire_enum! {
    /// Whether a stream that came back has missed nothing.
    Resume {
        Ok = "ok",
        Gap = "gap",
    }
}

wire_enum! {
    /// Which way a page of messages leads.
    Direction {
        Latest = "latest",
        Before = "before",
        After = "after",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_calls_have_statuses() {
        let statuses: Vec<u16> = RpcCode::ALL.iter().map(|code| code.status()).collect();
        assert_eq!(statuses, [503, 504, 502]);
        assert!(RefusalCode::ALL.iter().all(|code| (400..500).contains(&code.status())));
    }

    #[test]
    fn words_are_read_exactly() {
        assert_eq!(EndReason::parse("cleared"), Some(EndReason::Cleared));
        assert_eq!(EndReason::parse("Cleared"), None);
        assert_eq!(AccessCode::NotFound.to_string(), "not-found");
    }
}
