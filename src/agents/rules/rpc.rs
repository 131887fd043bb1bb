//! Calls of methods that agents and machines answer to.
//!
//! [`names`] and the [`registry`] say who is called, [`calls`] which calls wait, [`answers`] what came of one, and [`params`] what
//! the routes' own calls ask and answer.

pub mod answers;
pub mod calls;
pub mod names;
pub mod params;
pub mod registry;

pub use answers::{RpcFailure, read_answer};
pub use calls::{Calls, read_timeout};
pub use names::Method;
pub use registry::Registry;
