//! Whether a session or machine is alive, and whether an agent thinks: a state machine over the hub's own clock.
//!
//! Only the time at which the hub receives something counts: clocks of clients are off, and one that is behind would make its
//! session flip between active and inactive. Heartbeats keep a thing active; when its last socket leaves, it has a short
//! grace to come back. The caller sweeps every [`limits::SWEEP_MS`], or at [`Liveness::deadline`] if it wants to be exact.

#[cfg(test)]
mod tests;

use super::limits;
use super::words::Scope;

/// What happens to a session or machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A heartbeat came.
    Alive {
        /// What it says of thinking.
        thinking: Option<bool>,
        /// Whether it changed something else that web clients see: mode, model, health.
        changes: bool,
    },
    /// A socket joined the room.
    Joined,
    /// A socket left the room.
    Left,
    /// A person sent a prompt.
    Prompt,
    /// The agent took the prompt, and says from now on whether it thinks.
    GraceOver,
    /// The agent ended the session.
    End,
    /// Time has passed.
    Sweep,
}

/// What web clients are to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tell {
    /// Nothing, or nothing new.
    Nothing,
    /// That it is alive, with all that heartbeats say.
    Alive,
    /// That the agent thinks.
    Thinking,
    /// That it is inactive.
    Inactive,
}

/// What a step leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What is told.
    pub tell: Tell,
    /// Whether it became active or inactive: that is stored; plain heartbeats are not.
    pub flips: bool,
}

/// The state of one session or machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Liveness {
    scope: Scope,
    active: bool,
    active_at: i64,
    heard_at: i64,
    sockets: usize,
    empty_since: Option<i64>,
    thinking: bool,
    thinking_at: i64,
    turn_started_at: Option<i64>,
    grace_until: Option<i64>,
    told_at: i64,
}

impl Liveness {
    /// One that the hub has stored: inactive until a heartbeat comes, after a restart too.
    #[must_use]
    pub const fn stored(scope: Scope, active_at: i64, thinking_at: i64) -> Self {
        Self {
            scope,
            active: false,
            active_at,
            heard_at: active_at,
            sockets: 0,
            empty_since: None,
            thinking: false,
            thinking_at,
            turn_started_at: None,
            grace_until: None,
            told_at: i64::MIN,
        }
    }

    /// Whether it is active.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.active
    }

    /// When the last heartbeat came.
    #[must_use]
    pub const fn active_at(&self) -> i64 {
        self.active_at
    }

    /// Whether the agent thinks.
    #[must_use]
    pub const fn is_thinking(&self) -> bool {
        self.thinking
    }

    /// When that last changed.
    #[must_use]
    pub const fn thinking_at(&self) -> i64 {
        self.thinking_at
    }

    /// Since when the agent thinks, while it does.
    #[must_use]
    pub const fn turn_started_at(&self) -> Option<i64> {
        self.turn_started_at
    }

    /// Sockets in the room.
    #[must_use]
    pub const fn sockets(&self) -> usize {
        self.sockets
    }

    /// How long it stays active without a heartbeat.
    const fn timeout(&self) -> i64 {
        match self.scope {
            Scope::Session => limits::SESSION_TIMEOUT_MS,
            Scope::Machine => limits::MACHINE_TIMEOUT_MS,
        }
    }

    /// From when on a sweep makes it inactive, if nothing comes before; none while it is inactive.
    #[must_use]
    pub fn deadline(&self) -> Option<i64> {
        // The time-out has passed when more than it has gone by.
        let silent = self.heard_at.saturating_add(self.timeout()).saturating_add(1);
        let left = self.empty_since.map(|since| since.saturating_add(limits::LEAVE_GRACE_MS));
        self.active.then(|| left.map_or(silent, |left| left.min(silent)))
    }

    /// Takes an input at a time of the hub's clock.
    pub fn step(&mut self, input: Input, now: i64) -> Step {
        let was_active = self.active;
        self.follow_clock(now);
        let tell = match input {
            Input::Alive { thinking, changes } => self.alive(thinking, changes, now),
            Input::Joined => self.joined(),
            Input::Left => self.left(now),
            Input::Prompt => self.prompt(now),
            Input::GraceOver => {
                self.grace_until = None;
                Tell::Nothing
            }
            Input::End => self.end(now),
            Input::Sweep if self.deadline().is_some_and(|deadline| deadline <= now) => self.end(now),
            Input::Sweep => Tell::Nothing,
        };
        if tell != Tell::Nothing {
            self.told_at = now;
        }
        Step { tell, flips: was_active != self.active }
    }

    /// When the clock has stepped back, what was noted in the future counts as noted now: a time-out begins once more instead of
    /// waiting for the clock to catch up.
    fn follow_clock(&mut self, now: i64) {
        self.heard_at = self.heard_at.min(now);
        self.told_at = self.told_at.min(now);
        self.empty_since = self.empty_since.map(|since| since.min(now));
        self.grace_until = self.grace_until.map(|until| until.min(now.saturating_add(limits::THINKING_GRACE_MS)));
    }

    fn alive(&mut self, thinking: Option<bool>, changes: bool, now: i64) -> Tell {
        let was_active = std::mem::replace(&mut self.active, true);
        // What clients see of it never goes back.
        self.active_at = self.active_at.max(now);
        self.heard_at = now;
        // A heartbeat can come by a socket that is not in the room; its sender has not left. With no socket in the
        // room the silence counts from now on.
        self.empty_since = None;
        let thinks_on = thinking.map(|says| says || self.is_in_grace(now));
        let turns = thinks_on.is_some_and(|thinks| self.think(thinks, now));
        let is_due = now.saturating_sub(self.told_at) > limits::ALIVE_BROADCAST_MS;
        if !was_active || turns || changes || is_due { Tell::Alive } else { Tell::Nothing }
    }

    fn is_in_grace(&self, now: i64) -> bool {
        self.grace_until.is_some_and(|until| now < until)
    }

    /// Whether the agent thinks from now on; true where that is a change.
    fn think(&mut self, thinking: bool, now: i64) -> bool {
        if self.thinking == thinking {
            return false;
        }
        self.thinking = thinking;
        self.thinking_at = now;
        self.turn_started_at = thinking.then_some(now);
        true
    }

    fn joined(&mut self) -> Tell {
        self.sockets = self.sockets.saturating_add(1);
        self.empty_since = None;
        Tell::Nothing
    }

    fn left(&mut self, now: i64) -> Tell {
        self.sockets = self.sockets.saturating_sub(1);
        if self.sockets == 0 {
            self.empty_since = Some(now);
        }
        Tell::Nothing
    }

    /// A prompt makes an active agent think before it says so.
    fn prompt(&mut self, now: i64) -> Tell {
        if !self.active {
            return Tell::Nothing;
        }
        self.grace_until = Some(now.saturating_add(limits::THINKING_GRACE_MS));
        self.think(true, now);
        Tell::Thinking
    }

    fn end(&mut self, now: i64) -> Tell {
        if !self.active {
            return Tell::Nothing;
        }
        self.active = false;
        self.grace_until = None;
        self.think(false, now);
        Tell::Inactive
    }
}
