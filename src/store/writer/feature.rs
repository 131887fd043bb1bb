//! What a feature writes: its own rows, by the same writer and in the same transactions as everything else.

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

    /// About how many bytes it writes, where that may be many; large commits take turns.
    fn bytes(&self) -> usize {
        0
    }
}
