//! What a feature writes: its own rows, by the same writer and in the same transactions as everything else.

use std::any::Any;

use crate::{DbConnection, DbError};

/// A change of rows in a feature's own tables, as part of a commit.
///
/// It becomes durable together with the rest of its [`Commit`](super::Commit), audit row and webhook deliveries included, or
/// not at all. If it fails, its commit alone fails: the batch is rolled back and tried again commit by commit. Within a batch
/// the changes of features run in the order of their commits, behind the messages, artifacts and audit rows of the commits
/// before them and of their own, so that their rows may refer to those.
///
/// It changes nothing that catch-up reads (threads, channels, messages, artifacts, catch-up events): answers of catch-up that
/// are kept in memory stay valid. A change of such rows is a [`Write::Run`](super::Write::Run).
pub trait FeatureWrite: Send {
    /// Executes the change inside the writer's transaction. It may be called more than once, so it touches only the database.
    ///
    /// # Errors
    /// [`DbError::Refused`] when it looks at the rows and refuses; otherwise when the database fails.
    fn apply(&self, conn: &mut DbConnection) -> Result<(), DbError>;

    /// Executes this change and those that follow it in a batch and are of the same type, in order; a feature that makes many
    /// can write them with few statements. It finds their type again with [`Self::as_any`].
    ///
    /// # Errors
    /// As [`Self::apply`]; the batch is then tried again commit by commit.
    fn apply_all(&self, all: &[&dyn FeatureWrite], conn: &mut DbConnection) -> Result<(), DbError> {
        all.iter().try_for_each(|change| change.apply(conn))
    }

    /// Itself, if changes of its type may be executed together.
    fn as_any(&self) -> Option<&dyn Any> {
        None
    }

    /// About how many bytes it writes, where that may be many; large commits take turns.
    fn bytes(&self) -> usize {
        0
    }
}

impl FeatureWrite for Box<dyn FeatureWrite> {
    fn apply(&self, conn: &mut DbConnection) -> Result<(), DbError> {
        self.as_ref().apply(conn)
    }

    fn apply_all(&self, all: &[&dyn FeatureWrite], conn: &mut DbConnection) -> Result<(), DbError> {
        self.as_ref().apply_all(all, conn)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        self.as_ref().as_any()
    }

    fn bytes(&self) -> usize {
        self.as_ref().bytes()
    }
}

/// Executes changes in order, those of one type that follow each other together.
pub fn apply_in_order(changes: &[&dyn FeatureWrite], conn: &mut DbConnection) -> Result<(), DbError> {
    let kind = |change: &dyn FeatureWrite| change.as_any().map(Any::type_id);
    let are_alike =
        |one: &&dyn FeatureWrite, other: &&dyn FeatureWrite| kind(*one).is_some_and(|own| kind(*other) == Some(own));
    for run in changes.chunk_by(are_alike) {
        if let Some(first) = run.first() {
            first.apply_all(run, conn)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Backend;

    struct Alike(&'static str);
    struct Other(&'static str);

    thread_local! {
        static TOLD: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
    }

    fn tell(text: impl Into<String>) {
        TOLD.with_borrow_mut(|told| told.push(text.into()));
    }

    impl FeatureWrite for Alike {
        fn apply(&self, _: &mut DbConnection) -> Result<(), DbError> {
            tell(self.0);
            Ok(())
        }

        fn apply_all(&self, all: &[&dyn FeatureWrite], _: &mut DbConnection) -> Result<(), DbError> {
            let names = all.iter().filter_map(|one| one.as_any()?.downcast_ref::<Self>()).map(|one| one.0);
            tell(names.collect::<String>());
            Ok(())
        }

        fn as_any(&self) -> Option<&dyn Any> {
            Some(self)
        }
    }

    impl FeatureWrite for Other {
        fn apply(&self, _: &mut DbConnection) -> Result<(), DbError> {
            tell(self.0);
            Ok(())
        }
    }

    #[test]
    fn changes_of_one_type_are_executed_together_and_all_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut conn = Backend::Sqlite(folder.path().join("x.db")).connect().unwrap();
        let changes: [&dyn FeatureWrite; 6] =
            [&Alike("a"), &Alike("b"), &Other("c"), &Other("d"), &Alike("e"), &Other("f")];
        apply_in_order(&changes, &mut conn).unwrap();
        assert_eq!(TOLD.take(), ["ab", "c", "d", "e", "f"]);
    }
}
