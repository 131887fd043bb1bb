//! The README of the original service, walked with curl: `scripts/walk-coordination` compares each result with its promise.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::*;

#[test]
fn the_readme_is_kept() {
    if tool("curl").is_none() {
        return;
    }
    let script = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/walk-coordination"));
    let ran = Command::new(script).env("HXA_BINARY", BINARY).stdin(Stdio::null()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && out.contains("\nThe README is walked: "), "{out}{err}");
}
