//! The runtime configuration of a session: mode, model, effort. It is kept beside the versioned values, so that a heartbeat that
//! changes it does not make the agent's next update of its metadata stale.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::faults::Fault;
use super::fields::{Fields, Given, checked, wrong_type};
use super::flavors::{Kind, PermissionMode, mode_of_heartbeat};
use super::limits;
use super::words::RefusalCode;

/// The name of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Model {
    /// Its name.
    Name(String),
    /// The name of one among those of a provider.
    Of {
        /// The provider.
        provider: String,
        /// The model.
        #[serde(rename = "modelId")]
        model_id: String,
    },
}

impl Model {
    /// The model of a value that is not null.
    ///
    /// # Errors
    /// It is neither a name nor `{provider, modelId}`.
    pub fn read(path: &str, value: Value) -> Result<Self, Fault> {
        match value {
            Value::String(name) => checked(path, name, limits::NAME_UNITS).map(Self::Name),
            Value::Object(map) => {
                let mut fields = Fields::of(Value::Object(map))?;
                let provider = fields.text("provider", limits::NAME_UNITS).map_err(|fault| fault.below(path))?;
                let model_id = fields.text("modelId", limits::NAME_UNITS).map_err(|fault| fault.below(path))?;
                Ok(Self::Of { provider, model_id })
            }
            other => Err(wrong_type(path, "string, object or null", &other)),
        }
    }
}

/// How a session is set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeConfig {
    /// The model.
    pub model: Option<Model>,
    /// How much the model reasons, for agents that set it apart from effort.
    pub model_reasoning_effort: Option<String>,
    /// How much the agent works on an answer.
    pub effort: Option<String>,
    /// The tier of service.
    pub service_tier: Option<String>,
    /// How far the agent may go without asking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_mode: Option<PermissionMode>,
    /// How agent and person work together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collaboration_mode: Option<String>,
    /// The mode of the agent copilot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copilot_agent_mode: Option<String>,
}

/// A change of it; what is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigDraft {
    /// See [`RuntimeConfig::model`].
    pub model: Given<Model>,
    /// See [`RuntimeConfig::model_reasoning_effort`].
    pub model_reasoning_effort: Given<String>,
    /// See [`RuntimeConfig::effort`].
    pub effort: Given<String>,
    /// See [`RuntimeConfig::service_tier`].
    pub service_tier: Given<String>,
    /// See [`RuntimeConfig::permission_mode`].
    pub permission_mode: Given<PermissionMode>,
    /// See [`RuntimeConfig::collaboration_mode`].
    pub collaboration_mode: Given<String>,
    /// See [`RuntimeConfig::copilot_agent_mode`].
    pub copilot_agent_mode: Given<String>,
}

impl ConfigDraft {
    /// The configuration that a heartbeat brings, or the body that makes a session.
    ///
    /// # Errors
    /// A field is of the wrong type.
    pub fn read(fields: &mut Fields) -> Result<Self, Fault> {
        let mut text = |key: &str| fields.nullable_text(key, limits::NAME_UNITS);
        let permission_mode = mode_of_heartbeat(text("permissionMode")?);
        Ok(Self {
            permission_mode,
            model_reasoning_effort: text("modelReasoningEffort")?,
            effort: text("effort")?,
            service_tier: text("serviceTier")?,
            collaboration_mode: text("collaborationMode")?,
            copilot_agent_mode: text("copilotAgentMode")?,
            model: fields.given("model").and_then(|value| Model::read("model", value))?,
        })
    }
}

impl RuntimeConfig {
    /// Applies a change; the flat fields of a patch for those that differ now.
    pub fn apply(&mut self, draft: ConfigDraft) -> Map<String, Value> {
        let mut patch = Map::new();
        let mut note = |key: &str, changes: bool, value: Value| {
            if changes {
                patch.insert(key.to_owned(), value);
            }
        };
        note("model", draft.model.apply(&mut self.model), json!(self.model));
        let changes = draft.model_reasoning_effort.apply(&mut self.model_reasoning_effort);
        note("modelReasoningEffort", changes, json!(self.model_reasoning_effort));
        note("effort", draft.effort.apply(&mut self.effort), json!(self.effort));
        note("serviceTier", draft.service_tier.apply(&mut self.service_tier), json!(self.service_tier));
        note("permissionMode", draft.permission_mode.apply(&mut self.permission_mode), json!(self.permission_mode));
        let changes = draft.collaboration_mode.apply(&mut self.collaboration_mode);
        note("collaborationMode", changes, json!(self.collaboration_mode));
        let changes = draft.copilot_agent_mode.apply(&mut self.copilot_agent_mode);
        note("copilotAgentMode", changes, json!(self.copilot_agent_mode));
        patch
    }
}

/// A setting that a person changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// `{mode}`.
    PermissionMode(PermissionMode),
    /// `{model}`; `None` is the agent's own choice.
    Model(Option<Model>),
    /// `{effort}`; `None` is the agent's own choice.
    Effort(Option<String>),
}

/// The next step of a change of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingStep {
    /// The agent is asked to apply it, and it counts once the agent has.
    AskAgent,
    /// No agent is there: it is kept for the next one.
    Keep,
    /// It is refused.
    Refuse(RefusalCode),
}

/// Decides about a change of a setting. A mode is kept while the session is inactive; model and effort need an agent.
#[must_use]
pub fn decide_setting(setting: &Setting, kind: Kind, is_active: bool) -> SettingStep {
    let is_of_flavor = match setting {
        Setting::PermissionMode(mode) => kind.has_mode(*mode),
        Setting::Model(_) => kind.may_change_model(),
        Setting::Effort(_) => kind.may_change_effort(),
    };
    match (is_of_flavor, is_active, setting) {
        (false, _, _) => SettingStep::Refuse(RefusalCode::WrongFlavor),
        (true, true, _) => SettingStep::AskAgent,
        (true, false, Setting::PermissionMode(_)) => SettingStep::Keep,
        (true, false, Setting::Model(_) | Setting::Effort(_)) => SettingStep::Refuse(RefusalCode::SessionInactive),
    }
}

impl Setting {
    /// Reads the body of a change of the permission mode: `{mode}`.
    ///
    /// # Errors
    /// It names no mode.
    pub fn read_mode(body: Value) -> Result<Self, Fault> {
        let mut fields = Fields::of(body)?;
        let mode = fields.word("mode", PermissionMode::parse, &PermissionMode::accepted())?;
        mode.map(Self::PermissionMode).ok_or_else(|| Fault::new("mode", "Required"))
    }

    /// Reads the body of a change of the model: `{model: string | {provider, modelId} | null}`.
    ///
    /// # Errors
    /// It names no model.
    pub fn read_model(body: Value) -> Result<Self, Fault> {
        match Fields::of(body)?.need("model")? {
            Value::Null => Ok(Self::Model(None)),
            value => Model::read("model", value).map(|model| Self::Model(Some(model))),
        }
    }

    /// Reads the body of a change of the effort: `{effort: string | null}`.
    ///
    /// # Errors
    /// It names no effort.
    pub fn read_effort(body: Value) -> Result<Self, Fault> {
        match Fields::of(body)?.nullable_text("effort", limits::NAME_UNITS)? {
            Given::Absent => Err(Fault::new("effort", "Required")),
            given => Ok(Self::Effort(given.value())),
        }
    }

    /// The params of the agent's method `set-session-config`.
    #[must_use]
    pub fn params(&self) -> Value {
        match self {
            Self::PermissionMode(mode) => json!({ "permissionMode": mode }),
            Self::Model(model) => json!({ "model": model }),
            Self::Effort(effort) => json!({ "effort": effort }),
        }
    }

    /// The change of the configuration.
    #[must_use]
    pub fn draft(self) -> ConfigDraft {
        fn given<T>(value: Option<T>) -> Given<T> {
            value.map_or(Given::Null, Given::Value)
        }
        match self {
            Self::PermissionMode(mode) => ConfigDraft { permission_mode: Given::Value(mode), ..ConfigDraft::default() },
            Self::Model(model) => ConfigDraft { model: given(model), ..ConfigDraft::default() },
            Self::Effort(effort) => ConfigDraft { effort: given(effort), ..ConfigDraft::default() },
        }
    }

    /// Whether the agent's answer `{applied: {…}}` says that it applied the change: the setting is in it with this value.
    #[must_use]
    pub fn is_applied(&self, answer: &Value) -> bool {
        let Some(applied) = answer.get("applied").and_then(Value::as_object) else { return false };
        let params = self.params();
        params.as_object().is_some_and(|params| params.iter().all(|(key, value)| applied.get(key) == Some(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(value: Value) -> Result<ConfigDraft, Fault> {
        ConfigDraft::read(&mut Fields::of(value).unwrap())
    }

    #[test]
    fn only_what_differs_is_in_the_patch() {
        let mut config = RuntimeConfig::default();
        let given = json!({"permissionMode": "default", "model": "m", "effort": null, "serviceTier": "fast"});
        let patch = config.apply(draft(given.clone()).unwrap());
        assert_eq!(Value::Object(patch), json!({"model": "m", "serviceTier": "fast", "permissionMode": "default"}));
        assert!(config.apply(draft(given).unwrap()).is_empty());
        let patch = config.apply(draft(json!({"model": null, "permissionMode": "unheard"})).unwrap());
        assert_eq!(Value::Object(patch), json!({"model": null}));
        assert!(draft(json!({"effort": 5})).is_err());
    }

    #[test]
    fn models_have_two_forms() {
        let read = |value| Setting::read_model(json!({ "model": value }));
        assert_eq!(read(json!("m")).unwrap().params(), json!({"model": "m"}));
        let of = json!({"provider": "p", "modelId": "m"});
        assert_eq!(read(of.clone()).unwrap().params(), json!({ "model": of }));
        assert_eq!(read(Value::Null), Ok(Setting::Model(None)));
        assert_eq!(read(json!({"provider": "p"})).unwrap_err().path, "model.modelId");
        assert!(read(json!(5)).is_err() && Setting::read_model(json!({})).is_err());
        assert_eq!(serde_json::from_value::<Model>(json!({"provider": "p", "modelId": "m"})).unwrap(), {
            Model::Of { provider: "p".to_owned(), model_id: "m".to_owned() }
        });
    }

    #[test]
    fn settings_follow_flavor_and_activity() {
        let claude = Kind::of_metadata(&json!({}));
        let mode = Setting::read_mode(json!({"mode": "plan"})).unwrap();
        let effort = Setting::read_effort(json!({"effort": "high"})).unwrap();
        assert_eq!(decide_setting(&mode, claude, true), SettingStep::AskAgent);
        assert_eq!(decide_setting(&mode, claude, false), SettingStep::Keep);
        assert_eq!(decide_setting(&effort, claude, false), SettingStep::Refuse(RefusalCode::SessionInactive));
        let codex = Kind::of_metadata(&json!({"flavor": "codex"}));
        assert_eq!(decide_setting(&mode, codex, false), SettingStep::Refuse(RefusalCode::WrongFlavor));
        assert_eq!(decide_setting(&effort, codex, true), SettingStep::Refuse(RefusalCode::WrongFlavor));
        assert!(Setting::read_mode(json!({"mode": "x"})).is_err() && Setting::read_mode(json!({})).is_err());
        assert!(Setting::read_effort(json!({})).is_err());
        assert_eq!(Setting::read_effort(json!({"effort": null})), Ok(Setting::Effort(None)));
    }

    #[test]
    fn a_setting_counts_once_it_is_applied() {
        let effort = Setting::Effort(Some("high".to_owned()));
        assert!(effort.is_applied(&json!({"applied": {"effort": "high", "model": "m"}})));
        assert!(!effort.is_applied(&json!({"applied": {"effort": "low"}})));
        assert!(!effort.is_applied(&json!({"applied": {}})) && !effort.is_applied(&json!("ok")));
        let mut config = RuntimeConfig::default();
        assert_eq!(Value::Object(config.apply(effort.draft())), json!({"effort": "high"}));
    }
}
