//! What is wrong with the payload of an event or the body of a call.

use std::fmt;

use super::limits;

/// The first thing that is wrong, with the path of the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where: `health.cpuCount`; empty for the whole.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Fault {
    /// A fault of a field.
    #[must_use]
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }

    /// The same fault, seen from the object that holds the field's.
    #[must_use]
    pub fn below(mut self, parent: &str) -> Self {
        self.path = if self.path.is_empty() { parent.to_owned() } else { format!("{parent}.{}", self.path) };
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

/// A value from a client for a message, cut.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut kept: String = text.chars().take(limits::QUOTED).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    format!("'{kept}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_its_place() {
        let fault = Fault::new("cpuCount", "Expected number, received string");
        assert_eq!(fault.clone().below("health").to_string(), "health.cpuCount: Expected number, received string");
        assert_eq!(Fault::new("", "Expected object").to_string(), "Expected object");
        assert_eq!(Fault::new("", "x").below("health").path, "health");
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(quoted(&"ä".repeat(100)).chars().count(), limits::QUOTED + 3);
        assert_eq!(quoted("a"), "'a'");
    }
}
