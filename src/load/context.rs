//! What every scenario works with.

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::cli::Options;
use crate::error::Result;
use crate::setup::Fleet;

/// What every scenario works with.
pub struct Context {
    /// The command line.
    pub options: Options,
    /// The organisation and its bots.
    pub fleet: Fleet,
}

impl Context {
    /// Reproducible randomness.
    #[must_use]
    pub fn random(&self) -> StdRng {
        StdRng::seed_from_u64(self.options.seed)
    }

    /// The number of bots, registered; this many by default.
    ///
    /// # Errors
    /// When one cannot be registered.
    pub async fn bots(&mut self, default: usize) -> Result<usize> {
        let count = self.options.bots.unwrap_or(default).max(2);
        self.fleet.ensure_bots(count).await?;
        Ok(count)
    }
}
