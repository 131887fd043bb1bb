//! Wakeups of a webhook actor and its running deliveries.

use std::cell::Cell;

use actix::Message;
use tokio::sync::Notify;

/// Why an actor is woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// There may be more to deliver.
    More,
    /// The receiver may be back, or is another one.
    Revived,
}

impl Message for Wake {
    type Result = ();
}

/// What the actor and its running deliveries share.
#[derive(Default)]
pub struct Signals {
    /// Set while there may be more than was looked at.
    pub more: Cell<bool>,
    /// Set until the receiver's failures are forgotten.
    pub revived: Cell<bool>,
    /// Something is to be looked at.
    pub wakeup: Notify,
    /// Something is to be noted.
    pub noted: Notify,
}
