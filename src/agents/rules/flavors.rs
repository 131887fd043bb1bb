//! What the settings of a session may be: it depends on the flavor, which is the kind of agent behind it.

use hxa_domain::wire_enum;
use serde_json::Value;

use super::fields::Given;

wire_enum! {
    /// The kinds of agents that have rules of their own.
    Flavor {
        Claude = "claude",
        Codex = "codex",
        Gemini = "gemini",
        Kimi = "kimi",
        Copilot = "copilot",
        Grok = "grok",
        Opencode = "opencode",
        Cursor = "cursor",
        Agy = "agy",
        Pi = "pi",
        Dsh = "dsh",
    }
}

wire_enum! {
    /// How far an agent may go without asking.
    PermissionMode {
        Default = "default",
        AcceptEdits = "acceptEdits",
        Auto = "auto",
        BypassPermissions = "bypassPermissions",
        Plan = "plan",
        ReadOnly = "read-only",
        SafeYolo = "safe-yolo",
        Yolo = "yolo",
        Ask = "ask",
        Debug = "debug",
        AutoReview = "autoReview",
        RequestReview = "request-review",
        AlwaysProceed = "always-proceed",
    }
}

/// The flavor of a session as far as its settings go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A known one; a session that names none is of claude.
    Known(Flavor),
    /// One that is not known: it has the modes of claude, and neither model nor effort can change.
    Unknown,
}

impl Kind {
    /// The flavor in a session's metadata.
    #[must_use]
    pub fn of_metadata(metadata: &Value) -> Self {
        match metadata.get("flavor").and_then(Value::as_str) {
            None => Self::Known(Flavor::Claude),
            Some(name) => Flavor::parse(name).map_or(Self::Unknown, Self::Known),
        }
    }

    /// The modes that may be chosen.
    #[must_use]
    pub const fn modes(self) -> &'static [PermissionMode] {
        use PermissionMode as Mode;
        match self {
            Self::Unknown | Self::Known(Flavor::Claude) => {
                &[Mode::Default, Mode::AcceptEdits, Mode::Auto, Mode::BypassPermissions, Mode::Plan]
            }
            Self::Known(Flavor::Codex | Flavor::Gemini | Flavor::Kimi | Flavor::Copilot) => {
                &[Mode::Default, Mode::ReadOnly, Mode::SafeYolo, Mode::Yolo]
            }
            Self::Known(Flavor::Grok) => &[Mode::Default, Mode::Auto, Mode::Plan, Mode::BypassPermissions],
            Self::Known(Flavor::Opencode) => &[Mode::Default, Mode::Plan, Mode::Yolo],
            Self::Known(Flavor::Cursor) => {
                &[Mode::Default, Mode::Plan, Mode::Ask, Mode::Debug, Mode::AutoReview, Mode::Yolo]
            }
            Self::Known(Flavor::Agy) => &[Mode::RequestReview, Mode::AlwaysProceed],
            Self::Known(Flavor::Pi | Flavor::Dsh) => &[],
        }
    }

    /// Whether a mode may be chosen.
    #[must_use]
    pub fn has_mode(self, mode: PermissionMode) -> bool {
        self.modes().contains(&mode)
    }

    /// Whether the model may change: for all but dsh and unknown ones.
    #[must_use]
    pub const fn may_change_model(self) -> bool {
        !matches!(self, Self::Unknown | Self::Known(Flavor::Dsh))
    }

    /// Whether the effort may change: for claude, grok and pi.
    #[must_use]
    pub const fn may_change_effort(self) -> bool {
        matches!(self, Self::Known(Flavor::Claude | Flavor::Grok | Flavor::Pi))
    }
}

/// A permission mode of a heartbeat. A mode that is not known is left out, as if it had not been said: web clients take no
/// session with it, and a newer agent must not become inactive because of it.
#[must_use]
pub fn mode_of_heartbeat(given: Given<String>) -> Given<PermissionMode> {
    match given {
        Given::Value(text) => PermissionMode::parse(&text).map_or(Given::Absent, Given::Value),
        Given::Null => Given::Null,
        Given::Absent => Given::Absent,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn modes(flavor: Value) -> String {
        let kind = Kind::of_metadata(&json!({"flavor": flavor}));
        kind.modes().iter().map(|mode| mode.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn modes_are_those_of_the_flavor() {
        for flavor in [json!("claude"), json!(null), json!("strange"), json!(5)] {
            assert_eq!(modes(flavor), "default acceptEdits auto bypassPermissions plan");
        }
        for flavor in ["codex", "gemini", "kimi", "copilot"] {
            assert_eq!(modes(json!(flavor)), "default read-only safe-yolo yolo");
        }
        assert_eq!(modes(json!("grok")), "default auto plan bypassPermissions");
        assert_eq!(modes(json!("opencode")), "default plan yolo");
        assert_eq!(modes(json!("cursor")), "default plan ask debug autoReview yolo");
        assert_eq!(modes(json!("agy")), "request-review always-proceed");
        assert_eq!(modes(json!("pi")), "");
        assert_eq!(modes(json!("dsh")), "");
        assert_eq!(Kind::of_metadata(&json!({})), Kind::Known(Flavor::Claude));
        assert_eq!(Kind::of_metadata(&Value::Null), Kind::Known(Flavor::Claude));
    }

    #[test]
    fn model_and_effort_change_for_some() {
        let with = |may: fn(Kind) -> bool| -> Vec<Flavor> {
            Flavor::ALL.iter().copied().filter(|flavor| may(Kind::Known(*flavor))).collect()
        };
        assert_eq!(with(Kind::may_change_effort), [Flavor::Claude, Flavor::Grok, Flavor::Pi]);
        assert_eq!(with(Kind::may_change_model).len(), Flavor::ALL.len() - 1);
        assert!(!Kind::Unknown.may_change_model() && !Kind::Unknown.may_change_effort());
        assert!(!Kind::Known(Flavor::Dsh).may_change_model());
    }

    #[test]
    fn unknown_modes_of_heartbeats_are_left_out() {
        assert_eq!(mode_of_heartbeat(Given::Value("yolo".to_owned())), Given::Value(PermissionMode::Yolo));
        assert_eq!(mode_of_heartbeat(Given::Value("warp".to_owned())), Given::Absent);
        assert_eq!(mode_of_heartbeat(Given::Null), Given::Null);
    }
}
