//! What the audience of the demo reads: one line per thing that happens, on standard output.
//!
//! A reader that has seen enough (`| head`) ends nothing; any other failure to write ends the demo.

use std::io::{self, ErrorKind, Write};

use super::DemoError;

/// Standard output.
#[derive(Debug, Clone, Copy)]
pub struct Stage;

impl Stage {
    /// Writes lines as they are.
    pub fn say(self, text: &str) -> Result<(), DemoError> {
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Opens a new scene.
    pub fn scene(self, number: u8, title: &str) -> Result<(), DemoError> {
        self.say(&format!("\n{number}. {title}"))
    }

    /// Somebody did something.
    pub fn did(self, who: &str, what: &str) -> Result<(), DemoError> {
        self.say(&format!("   {who:<8} -> {what}"))
    }

    /// Somebody received something.
    pub fn got(self, who: &str, what: &str) -> Result<(), DemoError> {
        self.say(&format!("   {who:<8} <- {what}"))
    }
}
