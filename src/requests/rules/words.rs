//! The words of requests on the wire and in the database.

use std::cmp::Ordering;

/// Declares a [`hxa_domain::wire_enum!`] that rows hold as well, as the same text.
macro_rules! stored_words {
    ($(#[$meta:meta])* $name:ident { $($values:tt)+ }) => {
        hxa_domain::wire_enum! {
            #[derive(diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
            #[diesel(sql_type = diesel::sql_types::Text)]
            $(#[$meta])*
            $name { $($values)+ }
        }

        impl<DB> diesel::deserialize::FromSql<diesel::sql_types::Text, DB> for $name
        where
            DB: diesel::backend::Backend,
            String: diesel::deserialize::FromSql<diesel::sql_types::Text, DB>,
        {
            fn from_sql(bytes: DB::RawValue<'_>) -> diesel::deserialize::Result<Self> {
                let text = <String as diesel::deserialize::FromSql<diesel::sql_types::Text, DB>>::from_sql(bytes)?;
                Self::parse(&text).ok_or_else(|| format!("{text:?} is none of {}", Self::accepted()).into())
            }
        }

        impl<DB> diesel::serialize::ToSql<diesel::sql_types::Text, DB> for $name
        where
            DB: diesel::backend::Backend,
            str: diesel::serialize::ToSql<diesel::sql_types::Text, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut diesel::serialize::Output<'b, '_, DB>) -> diesel::serialize::Result {
                diesel::serialize::ToSql::<diesel::sql_types::Text, DB>::to_sql(self.as_str(), out)
            }
        }
    };
}

pub(crate) use stored_words;

stored_words! {
    /// What a request is for.
    Intent {
        Approval = "APPROVAL",
        Clarification = "CLARIFICATION",
        Escalation = "ESCALATION",
        Notification = "NOTIFICATION",
        Decision = "DECISION",
        Review = "REVIEW",
        Input = "INPUT",
    }
}

stored_words! {
    /// How urgent a request is; the most urgent is the smallest.
    Urgency {
        Critical = "CRITICAL",
        High = "HIGH",
        Medium = "MEDIUM",
        Low = "LOW",
    }
}

impl Urgency {
    /// Its place in a queue: 0 is the first.
    #[must_use]
    pub const fn rank(self) -> i32 {
        match self {
            Self::Critical => 0,
            Self::High => 1,
            Self::Medium => 2,
            Self::Low => 3,
        }
    }
}

impl Ord for Urgency {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Urgency {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

stored_words! {
    /// Where a request stands.
    State {
        Submitted = "SUBMITTED",
        Routing = "ROUTING",
        PendingResponse = "PENDING_RESPONSE",
        Responded = "RESPONDED",
        Delivered = "DELIVERED",
        Escalated = "ESCALATED",
        TimedOut = "TIMED_OUT",
        Cancelled = "CANCELLED",
    }
}

impl State {
    /// Whether nothing changes any more.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Delivered | Self::TimedOut | Self::Cancelled)
    }

    /// Whether the request still waits for an answer, and so can be cancelled and runs out of time.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Submitted | Self::Routing | Self::PendingResponse | Self::Escalated)
    }

    /// Whether a request may go from here to there: the table of the protocol.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Submitted => matches!(next, Self::Routing | Self::Cancelled),
            Self::Routing => matches!(next, Self::PendingResponse | Self::Escalated | Self::Cancelled),
            Self::PendingResponse => {
                matches!(next, Self::Responded | Self::Escalated | Self::TimedOut | Self::Cancelled)
            }
            Self::Escalated => matches!(next, Self::Routing | Self::TimedOut | Self::Cancelled),
            Self::Responded => matches!(next, Self::Delivered),
            Self::Delivered | Self::TimedOut | Self::Cancelled => false,
        }
    }
}

stored_words! {
    /// What happens when nobody answers in time.
    Fallback {
        AutoApprove = "AUTO_APPROVE",
        AutoReject = "AUTO_REJECT",
        Escalate = "ESCALATE",
        Block = "BLOCK",
        Fail = "FAIL",
        Skip = "SKIP",
    }
}

stored_words! {
    /// What kind of actor an audit event names.
    ActorKind {
        Agent = "AGENT",
        Human = "HUMAN",
        System = "SYSTEM",
    }
}

stored_words! {
    /// How the responder hears of a request.
    #[schema(as = CoordinationChannel)]
    Channel {
        Portal = "portal",
        Slack = "slack",
    }
}

stored_words! {
    /// What an audit event tells.
    AuditKind {
        Submitted = "CR_SUBMITTED",
        Routing = "CR_ROUTING",
        PendingResponse = "CR_PENDING_RESPONSE",
        Responded = "CR_RESPONDED",
        Delivered = "CR_DELIVERED",
        Escalated = "CR_ESCALATED",
        TimedOut = "CR_TIMED_OUT",
        Cancelled = "CR_CANCELLED",
        SlackNotified = "SLACK_NOTIFIED",
        SlackInteraction = "SLACK_INTERACTION",
        Reassigned = "CR_REASSIGNED",
        Delegated = "CR_DELEGATED",
        Voted = "CR_VOTED",
        SlackFailed = "SLACK_FAILED",
    }
}

hxa_domain::wire_enum! {
    /// What form an answer takes.
    SchemaKind {
        Choice = "choice",
        Text = "text",
        Structured = "structured",
    }
}

hxa_domain::wire_enum! {
    /// How far a message to Slack has come.
    SlackStatus {
        Pending = "pending",
        Sent = "sent",
        Failed = "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_urgent_comes_first() {
        let mut all = Urgency::ALL.to_vec();
        all.reverse();
        all.sort_unstable();
        assert_eq!(all, [Urgency::Critical, Urgency::High, Urgency::Medium, Urgency::Low]);
    }

    #[test]
    fn terminal_states_lead_nowhere_and_others_somewhere() {
        for state in State::ALL {
            let leads_on = State::ALL.iter().any(|next| state.may_become(*next));
            assert_eq!(state.is_terminal(), !leads_on, "{state}");
            assert_eq!(state.is_open(), state.may_become(State::Cancelled), "{state}");
        }
    }
}
