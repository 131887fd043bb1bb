//! `hxa-connect setup-key`: the first key of an agent in one command.
//!
//! It is `admin key` with defaults, and with output that scripts rely on.

use serde_json::Value;

use super::{AdminError, show, socket};
use crate::cli::{AdminCommand, KeyCommand, NewKeyArguments, SetupKeyArguments};
use hxa_hub::config::Flags;

/// The label of a key that is given none.
const DEFAULT_LABEL: &str = "Default API Key";
/// The agent of a key that names none.
const DEFAULT_AGENT: &str = "default-agent";

/// What is printed.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// To standard output.
    pub text: String,
    /// To standard error, for the person at the shell.
    pub note: Option<String>,
}

/// Carries out the command. Must be called inside an actix system.
///
/// # Errors
/// When the hub or the database refuses.
pub async fn run(flags: &Flags, arguments: SetupKeyArguments) -> Result<Said, AdminError> {
    let SetupKeyArguments { agent_id, label, org, allow_respond, expires_in, list, revoke } = arguments;
    let command = match revoke {
        Some(id) => KeyCommand::Revoke { id, org },
        None if list => KeyCommand::List { org },
        None => KeyCommand::Create(NewKeyArguments {
            agent_id: agent_id.unwrap_or_else(|| DEFAULT_AGENT.to_owned()),
            label: Some(label.unwrap_or_else(|| DEFAULT_LABEL.to_owned())),
            org,
            allow_respond,
            expires_in,
        }),
    };
    let command = AdminCommand::Key(command);
    let answer = socket::execute(flags, &command).await?;
    Ok(match &command {
        AdminCommand::Key(KeyCommand::Create(_)) => created(&answer),
        AdminCommand::Key(KeyCommand::Revoke { id, .. }) => plain(format!("API key {id} revoked.")),
        _ => plain(show::table(&command, &answer)),
    })
}

const fn plain(text: String) -> Said {
    Said { text, note: None }
}

fn created(answer: &Value) -> Said {
    let field = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default();
    let text = format!(
        "API key created for agent \"{}\":\n  Key ID: {}\n  API Key: {}\n  Store this key securely — it cannot be retrieved again.",
        field("agent_id"),
        field("id"),
        field("key"),
    );
    let is_first = answer.get("org_created") == Some(&Value::Bool(true));
    let note = is_first.then(|| {
        format!(
            "note: there was no organisation, so \"{}\" ({}) was created; the platform's admin gets its secret with \
             POST /api/orgs/{}/rotate-secret",
            field("org"),
            field("org_id"),
            field("org_id"),
        )
    });
    Said { text, note }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_shown_as_scripts_expect() {
        let answer = json!({"agent_id": "my-agent", "id": "1", "key": "hcp_a", "org": "acme", "org_id": "2"});
        let lines = [
            "API key created for agent \"my-agent\":",
            "  Key ID: 1",
            "  API Key: hcp_a",
            "  Store this key securely — it cannot be retrieved again.",
        ];
        assert_eq!(created(&answer), plain(lines.join("\n")));
        let first =
            json!({"agent_id": "a", "id": "1", "key": "k", "org": "default", "org_id": "2", "org_created": true});
        let said = created(&first);
        assert!(said.note.is_some_and(|note| note.contains("\"default\" (2)")) && !said.text.contains("default"));
    }
}
