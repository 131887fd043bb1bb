//! Which schema steps and tables there are: the kernel's and those of the features that a program has.
//!
//! Steps are ordered by their versions, whoever they belong to, and are noted in one table: a program with one more feature
//! upgrades a database like a newer hub does. A feature's steps may refer to tables of the kernel, and the kernel's never to
//! those of a feature.

use std::sync::Arc;

use diesel::backend::Backend as DieselBackend;
use diesel::migration::{Migration, MigrationSource, Result as MigrationResult};
use diesel_migrations::{EmbeddedMigrations, embed_migrations};

/// The kernel's steps for SQLite.
static SQLITE: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");
/// The kernel's steps for PostgreSQL.
static POSTGRES: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// A table of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Columns of text that name a row, such as `["id"]`; imports walk the table by them.
    pub key: &'static [&'static str],
}

/// What a feature adds to the database: its steps for both databases, and its tables.
#[derive(Clone, Copy, Default)]
pub struct Schema {
    /// Its steps for SQLite.
    sqlite: Option<&'static EmbeddedMigrations>,
    /// The same steps for PostgreSQL.
    postgres: Option<&'static EmbeddedMigrations>,
    /// Its tables, each behind those that its rows refer to. Columns hold text, whole numbers and booleans.
    tables: &'static [Table],
}

impl Schema {
    /// No steps and no tables of its own.
    pub const NONE: Self = Self { sqlite: None, postgres: None, tables: &[] };

    /// The same steps for both databases, and the tables that they make.
    #[must_use]
    pub const fn new(
        sqlite: &'static EmbeddedMigrations,
        postgres: &'static EmbeddedMigrations,
        tables: &'static [Table],
    ) -> Self {
        Self { sqlite: Some(sqlite), postgres: Some(postgres), tables }
    }
}

/// The steps and tables of a program.
#[derive(Clone, Default)]
pub struct Catalogue {
    features: Arc<[Schema]>,
}

impl std::fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.tables()).finish()
    }
}

impl Catalogue {
    /// The kernel and these features.
    #[must_use]
    pub fn with(features: impl IntoIterator<Item = Schema>) -> Self {
        Self { features: features.into_iter().collect() }
    }

    /// Tables of features, each behind those that its rows refer to.
    pub fn tables(&self) -> impl DoubleEndedIterator<Item = Table> {
        self.features.iter().flat_map(|schema| schema.tables).copied()
    }

    /// All steps for SQLite.
    pub(crate) fn sqlite(&self) -> Steps {
        Steps(std::iter::once(&SQLITE).chain(self.features.iter().filter_map(|schema| schema.sqlite)).collect())
    }

    /// All steps for PostgreSQL.
    pub(crate) fn postgres(&self) -> Steps {
        Steps(std::iter::once(&POSTGRES).chain(self.features.iter().filter_map(|schema| schema.postgres)).collect())
    }
}

/// Steps for one kind of database, in the order of their versions.
#[derive(Clone)]
pub struct Steps(Vec<&'static EmbeddedMigrations>);

impl<DB: DieselBackend> MigrationSource<DB> for Steps {
    fn migrations(&self) -> MigrationResult<Vec<Box<dyn Migration<DB>>>> {
        let mut all: Vec<Box<dyn Migration<DB>>> = Vec::new();
        for part in &self.0 {
            all.extend(MigrationSource::<DB>::migrations(*part)?);
        }
        all.sort_by_key(|step| step.name().version().to_string());
        let twice = all.windows(2).find_map(|pair| match pair {
            [one, other] if one.name().version() == other.name().version() => Some((one, other)),
            _ => None,
        });
        match twice {
            Some((one, other)) => Err(format!("{} and {} have the same version", one.name(), other.name()).into()),
            None => Ok(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_version_is_there_twice() {
        let twice = Catalogue::with([Schema { sqlite: Some(&SQLITE), ..Schema::NONE }]);
        let refused = MigrationSource::<diesel::sqlite::Sqlite>::migrations(&twice.sqlite());
        assert!(refused.is_err_and(|error| error.to_string().contains("have the same version")));
        let steps = MigrationSource::<diesel::pg::Pg>::migrations(&twice.postgres()).unwrap();
        assert!(steps.windows(2).all(|pair| pair[0].name().version() < pair[1].name().version()));
    }
}
