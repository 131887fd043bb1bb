//! Changes of the feature's rows, as the group-commit writer runs them.

use crate::queries;
use hxa_store::rows::FileRow;
use hxa_store::{DbConnection, DbError, FeatureWrite};

/// Stores the row of a file whose bytes are in their place.
pub struct StoreFile(pub FileRow);

impl FeatureWrite for StoreFile {
    fn apply(&self, conn: &mut DbConnection) -> Result<(), DbError> {
        queries::insert(conn, &self.0)
    }
}
