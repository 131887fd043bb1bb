//! Sessions and machines as clients see them, and the patches that tell them of changes.

pub mod list;
pub mod machine;
pub mod patch;
pub mod session;
pub mod summary;
#[cfg(test)]
mod tests;

pub use list::{ListOrder, ListQuery, list};
pub use machine::MachineView;
pub use patch::SessionPatch;
pub use session::SessionView;
pub use summary::SummaryView;
