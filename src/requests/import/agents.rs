//! The agents of an `hcp.db`, each a bot of the organisation: one that is there already, or a new one.

use std::collections::HashMap;

use serde_json::{Value, json};

use hxa_domain::error::ErrorCode;
use hxa_domain::ids::{BotId, OrgId, resembles_id};
use hxa_domain::profile::{bot_reference, name_key};
use hxa_domain::secrets;
use hxa_domain::standing::JoinStatus;
use hxa_hub::identity::{plain_row, primary_token};
use hxa_store::rows::{AuditRow, BotRow};
use hxa_store::{DbConnection, DbError, audit, bots, orgs};

/// Characters of an agent's name that are kept where it is no name of a bot.
const KEPT: usize = 64;
/// Hex digits behind such a name, by which two of them differ.
const DIGITS: usize = 8;

/// An agent's bot.
#[derive(Debug, Clone)]
pub struct Agent {
    /// The bot.
    pub bot: BotId,
    /// Its name.
    pub name: String,
    /// Whether it may do anything.
    pub is_active: bool,
}

/// All that were met, and all bots of the organisation.
pub struct Agents {
    org: OrgId,
    now: i64,
    /// By the agents' names as they are.
    met: HashMap<String, Agent>,
    /// By the bots' names, ignoring case.
    bots: HashMap<String, Agent>,
}

impl Agents {
    /// None are met yet.
    pub fn load(conn: &mut DbConnection, org: OrgId, now: i64) -> Result<Self, DbError> {
        let rows = orgs::load(conn, org)?.map(|stored| stored.bots).unwrap_or_default();
        let bots = rows.into_iter().map(|row| (name_key(&row.name), agent(row))).collect();
        Ok(Self { org, now, met: HashMap::new(), bots })
    }

    /// The bot of an agent, made now if there is none of its name.
    pub fn find(&mut self, conn: &mut DbConnection, name: &str) -> Result<Agent, DbError> {
        if let Some(known) = self.met.get(name) {
            return Ok(known.clone());
        }
        let found = match is_bot_name(name).then_some(name) {
            Some(name) => match self.take(conn, name) {
                // The name of a deleted bot; its namesake gets none of what was its own.
                Err(DbError::Refused(refusal)) if refusal.code() == ErrorCode::NameTombstoned => None,
                found => Some(found?),
            },
            None => None,
        };
        let agent = match found {
            Some(agent) => agent,
            None => self.take(conn, &made_up(name))?,
        };
        self.met.insert(name.to_owned(), agent.clone());
        Ok(agent)
    }

    /// The bot of a name.
    fn take(&mut self, conn: &mut DbConnection, name: &str) -> Result<Agent, DbError> {
        if let Some(known) = self.bots.get(&name_key(name)) {
            return Ok(known.clone());
        }
        bots::check_name(conn, self.org, name, None)?;
        let row = plain_row(self.org, name.to_owned(), &primary_token(), self.now);
        bots::insert(conn, &row)?;
        let detail = json!({ "name": row.name, "reregister": false, "via": "import", "auth_role": row.auth_role });
        let by = Some(row.id.to_string());
        audit::insert(conn, &AuditRow::new(self.org, self.now, by, "bot.register", "bot", row.id, Some(detail)))?;
        let made = agent(row);
        self.bots.insert(name_key(name), made.clone());
        Ok(made)
    }
}

fn agent(row: BotRow) -> Agent {
    Agent { bot: row.id, name: row.name, is_active: row.join_status == JoinStatus::Active }
}

/// Whether an agent's name may be a bot's.
pub fn is_bot_name(name: &str) -> bool {
    !resembles_id(name) && bot_reference("agent_id", Some(&Value::from(name))).is_ok()
}

/// The bot's name of an agent whose own is none: what is legal of it, and digits by which it differs from others.
pub fn made_up(name: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let legal: String = name.chars().take(KEPT).map(kept).collect();
    let digits: String = secrets::secret_hash(name).chars().take(DIGITS).collect();
    format!("{legal}-{digits}")
}
