//! Bodies that create sessions and machines, and how a machine that exists changes when it registers again.

use serde_json::Value;

use super::config::ConfigDraft;
use super::faults::Fault;
use super::fields::{Fields, Given};
use super::limits;
use super::metadata::{first_of_session, merge_machine, merge_runner_state};
use super::records::Machine;
use super::versioned::{Versioned, VersionedKey, check_value};

/// A machine that a command line names.
#[derive(Debug, Clone, PartialEq)]
pub struct MachineDraft {
    /// Its id.
    pub id: String,
    /// What it says of itself.
    pub metadata: Value,
    /// What its runner says of itself; given by a runner alone.
    pub runner_state: Option<Value>,
}

impl MachineDraft {
    /// Reads `{id, metadata, runnerState?}`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(body: Value) -> Result<Self, Fault> {
        let mut fields = Fields::of(body)?;
        let id = fields.id("id")?;
        let metadata = value(&mut fields, VersionedKey::Metadata)?.ok_or_else(|| Fault::new("metadata", "Required"))?;
        Ok(Self { id, metadata, runner_state: value(&mut fields, VersionedKey::RunnerState)? })
    }

    /// How a machine that exists changes: its metadata and the state of its runner, each only where it differs.
    #[must_use]
    pub fn again(self, known: &Machine) -> (Option<Versioned>, Option<Versioned>) {
        let is_runner = self.runner_state.is_some();
        let metadata = merge_machine(&known.metadata.value, self.metadata, is_runner);
        let state = self.runner_state.map(|state| merge_runner_state(&known.runner_state.value, state));
        (known.metadata.changed_to(metadata), state.and_then(|state| known.runner_state.changed_to(state)))
    }
}

/// A session that a command line makes. Of those with its tag the newest is the answer; only where there is none it is made.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionDraft {
    /// The id that it wants; a UUID. It is a conflict if another session has it.
    pub id: Option<String>,
    /// By which the command line finds it again.
    pub tag: String,
    /// What it says of itself.
    pub metadata: Value,
    /// What its agent says of its work.
    pub agent_state: Value,
    /// How it is set.
    pub config: ConfigDraft,
    /// The machine that it runs on.
    pub machine: Option<MachineDraft>,
}

impl SessionDraft {
    /// Reads `{id?, tag, metadata, agentState?, model?, modelReasoningEffort?, effort?, machine?}`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(body: Value) -> Result<Self, Fault> {
        let mut fields = Fields::of(body)?;
        let id = fields.optional_text("id", limits::ID_UNITS)?;
        if id.as_deref().is_some_and(|id| !is_uuid(id)) {
            return Err(Fault::new("id", "Expected UUID"));
        }
        let tag = fields.text("tag", limits::ID_UNITS)?;
        let metadata = value(&mut fields, VersionedKey::Metadata)?.ok_or_else(|| Fault::new("metadata", "Required"))?;
        let agent_state = value(&mut fields, VersionedKey::AgentState)?.unwrap_or_default();
        let config = ConfigDraft::read(&mut fields)?;
        let machine = match fields.given("machine") {
            Given::Value(machine) => Some(MachineDraft::read(machine).map_err(|fault| fault.below("machine"))?),
            Given::Absent | Given::Null => None,
        };
        Ok(Self { id, tag, metadata: first_of_session(metadata), agent_state, config, machine })
    }
}

/// A versioned value that may be absent; null is as good as absent where it may be null.
fn value(fields: &mut Fields, key: VersionedKey) -> Result<Option<Value>, Fault> {
    let Some(value) = fields.take(key.as_str()) else { return Ok(None) };
    check_value(key, &value)?;
    Ok((!value.is_null()).then_some(value))
}

/// Whether a text is a UUID as clients write them: 36 characters with hyphens, in either case.
fn is_uuid(text: &str) -> bool {
    let is_part = |(place, byte): (usize, u8)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(is_part)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rules::liveness::Liveness;
    use crate::rules::names::Namespace;
    use crate::rules::words::Scope;

    #[test]
    fn sessions_are_read() {
        let body = json!({
            "id": "7d444840-9dc0-11d1-b245-5ffdce74fad2", "tag": "t", "model": "m",
            "metadata": {"path": "/p", "host": "h", "supersededBySessionId": "forged"}, "agentState": null,
            "machine": {"id": "m1", "metadata": {}},
        });
        let draft = SessionDraft::read(body).unwrap();
        assert_eq!(draft.metadata, json!({"path": "/p", "host": "h"}));
        assert_eq!((draft.agent_state, draft.machine.unwrap().runner_state), (Value::Null, None));
        let bad = |body| SessionDraft::read(body).unwrap_err().path;
        assert_eq!(bad(json!({"tag": "t"})), "metadata");
        assert_eq!(bad(json!({"metadata": {}})), "tag");
        assert_eq!(bad(json!({"tag": "t", "metadata": {}, "id": "x"})), "id");
        assert_eq!(bad(json!({"tag": "t", "metadata": {}, "machine": {"id": "m", "metadata": 5}})), "machine.metadata");
        assert_eq!(bad(json!({"tag": "t", "metadata": null})), "metadata");
    }

    #[test]
    fn a_machine_that_registers_again_changes_what_differs() {
        let known = Machine {
            id: "m".to_owned(),
            namespace: Namespace::default_name(),
            seq: 1,
            created_at: 0,
            updated_at: 0,
            metadata: Versioned { version: 4, value: json!({"host": "h", "capabilities": ["a"]}).into() },
            runner_state: Versioned { version: 2, value: json!({"status": "running"}).into() },
            health: None,
            liveness: Liveness::stored(Scope::Machine, 0, 0),
        };
        let again = |body| MachineDraft::read(body).unwrap().again(&known);
        assert_eq!(again(json!({"id": "m", "metadata": {"host": "h"}})), (None, None));
        let (metadata, state) = again(json!({"id": "m", "metadata": {"host": "h"}, "runnerState": {"status": "x"}}));
        assert_eq!(metadata.unwrap(), Versioned { version: 5, value: json!({"host": "h"}).into() });
        assert_eq!(state, None);
    }
}
