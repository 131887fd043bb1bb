//! Who made a database, told by its tables.

use super::ImportError;
use super::foreign::Foreign;
use super::source::has_table;
use crate::DbConnection;

/// Who made a database.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A hub like this one.
    Own,
    /// A server up to 1.7.2.
    Older,
    /// Another program, which a feature knows.
    Foreign(Foreign),
}

impl Kind {
    /// Finds out by the tables; `foreign` are the other programs that are known.
    pub fn of(conn: &mut DbConnection, foreign: &[Foreign]) -> Result<Self, ImportError> {
        if has_table(conn, "__diesel_schema_migrations")? {
            return Ok(Self::Own);
        }
        if has_all(conn, &["orgs", "bots"])? {
            return Ok(Self::Older);
        }
        for known in foreign {
            if has_all(conn, known.tables)? {
                return Ok(Self::Foreign(*known));
            }
        }
        let others: String = foreign.iter().map(|known| format!(", and is not {}", known.name)).collect();
        Err(ImportError(format!("the source holds neither the tables of a hub nor those of an older server{others}")))
    }

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "a database of this hub",
            Self::Older => "a database of a server up to 1.7.2",
            Self::Foreign(foreign) => foreign.name,
        }
    }
}

fn has_all(conn: &mut DbConnection, tables: &[&str]) -> Result<bool, ImportError> {
    for table in tables {
        if !has_table(conn, table)? {
            return Ok(false);
        }
    }
    Ok(true)
}
