//! Whether a server that the hub needs answers, as far as the last attempt told.

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a server behind the hub answered last time it was asked; changes are logged.
#[derive(Debug)]
pub struct Health {
    server: &'static str,
    meaning: &'static str,
    down: AtomicBool,
}

impl Health {
    /// Of this server, whose absence has this consequence.
    #[must_use]
    pub const fn of(server: &'static str, meaning: &'static str) -> Self {
        Self { server, meaning, down: AtomicBool::new(false) }
    }

    /// Records the outcome of talking to it.
    pub fn set(&self, up: bool) {
        if self.down.swap(!up, Ordering::Relaxed) == up {
            if up {
                log::info!("{} is available again", self.server);
            } else {
                log::error!("{} is unavailable; {}", self.server, self.meaning);
            }
        }
    }

    /// True while it is believed to answer.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.down.load(Ordering::Relaxed)
    }
}
