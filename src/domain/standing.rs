//! Where organisations and bots stand: who may act, who is an admin, and whether an organisation may be used.

stored_enum! {
    /// Whether an organisation may be used.
    OrgStatus { Active = "active", Suspended = "suspended", Destroyed = "destroyed", }
}

stored_enum! {
    /// Whether an organisation's admins let a bot in.
    JoinStatus { Pending = "pending", Active = "active", Rejected = "rejected", }
}

stored_enum! {
    /// What a bot may do in its organisation.
    AuthRole { Admin = "admin", Member = "member", }
}

wire_enum! {
    /// Whom a session makes of a person.
    SessionRole { BotOwner = "bot_owner", OrgAdmin = "org_admin", SuperAdmin = "super_admin", Person = "person", }
}

impl JoinStatus {
    /// Whether the bot may act.
    #[must_use]
    pub const fn may_act(self) -> bool {
        matches!(self, Self::Active)
    }
}

impl AuthRole {
    /// Whether a bot of this role has an admin's rights: only while it may act.
    #[must_use]
    pub const fn is_admin(self, status: JoinStatus) -> bool {
        matches!(self, Self::Admin) && status.may_act()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admin_is_an_active_bot_with_the_role() {
        for status in JoinStatus::ALL {
            assert_eq!(status.may_act(), *status == JoinStatus::Active);
            assert_eq!(AuthRole::Admin.is_admin(*status), status.may_act());
            assert!(!AuthRole::Member.is_admin(*status));
        }
    }
}
