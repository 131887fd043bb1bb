//! The output of the demo: one line per thing that happens, on standard output.
//!
//! A reader that has seen enough (`| head`) ends nothing; any other failure to write ends the demo.

use std::io::{self, ErrorKind, Write};

use super::DemoError;

/// Standard output.
#[derive(Debug, Clone, Copy)]
pub struct Output;

impl Output {
    /// Writes a text and a line end.
    pub fn line(self, text: &str) -> Result<(), DemoError> {
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Begins a new step.
    pub fn step(self, number: u8, title: &str) -> Result<(), DemoError> {
        self.line(&format!("\n{number}. {title}"))
    }

    /// A participant did something.
    pub fn sent(self, who: &str, what: &str) -> Result<(), DemoError> {
        self.line(&format!("   {who:<8} -> {what}"))
    }

    /// A participant received something.
    pub fn received(self, who: &str, what: &str) -> Result<(), DemoError> {
        self.line(&format!("   {who:<8} <- {what}"))
    }
}
