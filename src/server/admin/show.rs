//! Output for people: a table for lists, one line per field otherwise.
//!
//! Times are shown as dates, unset values as a dash. Control characters in names do not reach the terminal.

use chrono::DateTime;
use serde_json::Value;

use crate::cli::{AdminCommand, BotCommand, InviteCommand, KeyCommand, OrgCommand, PersonCommand, TokenCommand};

/// What is shown of a bot.
pub const BOT_COLUMNS: [&str; 6] = ["id", "name", "auth_role", "join_status", "last_seen_at", "created_at"];

/// The columns of a command's list.
fn columns(command: &AdminCommand) -> &'static [&'static str] {
    match command {
        AdminCommand::Org(OrgCommand::List) => &["id", "name", "status", "bot_count", "created_at"],
        AdminCommand::Bot(BotCommand::List { .. }) => &BOT_COLUMNS,
        AdminCommand::Token(TokenCommand::List { .. }) => {
            &["id", "scopes", "label", "expires_at", "created_at", "last_used_at"]
        }
        AdminCommand::Person(PersonCommand::List { .. }) => {
            &["id", "handle", "display_name", "role", "slack_user_id", "has_password", "is_disabled", "created_at"]
        }
        AdminCommand::Key(KeyCommand::List { .. }) => {
            &["id", "org", "agent_id", "label", "allow_respond", "expires_at", "created_at", "last_used_at"]
        }
        AdminCommand::Invite(InviteCommand::List) => {
            &["id", "code", "label", "use_count", "max_uses", "expires_at", "created_at"]
        }
        _ => &[],
    }
}

/// An answer for a person.
pub fn table(command: &AdminCommand, answer: &Value) -> String {
    match answer {
        Value::Array(rows) if rows.is_empty() => "None.".to_owned(),
        Value::Array(rows) => rows_of(columns(command), rows),
        Value::Object(fields) if fields.len() == 1 && fields.contains_key("ok") => "Done.".to_owned(),
        Value::Object(fields) => {
            let width = fields.keys().map(String::len).max().unwrap_or(0);
            let mut lines: Vec<String> =
                fields.iter().map(|(key, value)| format!("{key:width$}  {}", cell(key, value))).collect();
            if fields.keys().any(|key| ["org_secret", "token", "key"].contains(&key.as_str())) {
                lines.push("Keep the secret: it is not shown again.".to_owned());
            }
            if fields.contains_key("login_path") {
                lines.push("The link lets the person in once, within a quarter of an hour.".to_owned());
            }
            lines.join("\n")
        }
        other => other.to_string(),
    }
}

fn rows_of(columns: &[&str], rows: &[Value]) -> String {
    let mut lines: Vec<Vec<String>> = vec![columns.iter().map(|column| (*column).to_owned()).collect()];
    let row = |row: &Value| columns.iter().map(|key| cell(key, row.get(*key).unwrap_or(&Value::Null))).collect();
    lines.extend(rows.iter().map(row));
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns.len()).map(|column| width(column).unwrap_or(0)).collect();
    let line = |line: &Vec<String>| {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn cell(key: &str, value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Number(ms) if key.ends_with("_at") => match ms.as_i64() {
            // Nothing of which the hub keeps a time happened or ends then.
            Some(0) => "never".to_owned(),
            Some(ms) => date(ms),
            None => ms.to_string(),
        },
        Value::String(text) => text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect(),
        Value::Array(items) => items.iter().map(|item| cell(key, item)).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn date(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .map_or_else(|| ms.to_string(), |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_tables_and_the_rest_is_lines() {
        let command = AdminCommand::Org(OrgCommand::List);
        let orgs = json!([{ "id": "1", "name": "a\u{1b}b", "status": "active", "bot_count": 2, "created_at": 0 }]);
        let expected = "id  name  status  bot_count  created_at\n1   a\u{FFFD}b   active  2          never";
        assert_eq!(table(&command, &orgs), expected);
        assert_eq!(table(&command, &json!([])), "None.");
        assert_eq!(table(&command, &json!({ "ok": true })), "Done.");
        let made = table(&command, &json!({ "id": "1", "created_at": 1_700_000_000_000_i64, "label": null }));
        assert_eq!(made, "id          1\ncreated_at  2023-11-14 22:13:20 UTC\nlabel       -");
        assert!(table(&command, &json!({ "token": "x" })).contains("not shown again"));
    }
}
