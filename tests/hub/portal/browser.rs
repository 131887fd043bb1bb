//! The portal in Chromium against a hub that runs: the tests of `web/tests/on_hub`, by `scripts/check-web --hub`.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::*;

#[test]
fn people_work_in_the_portal() {
    let chromium = std::env::var_os("CHROMIUM").map_or_else(|| tool("chromium"), |path| Some(path.into()));
    if chromium.is_some() && tool("node").is_some() {
        run(Db::Sqlite, &[], |hub| async move { the_portal_works(&hub) });
    }
}

fn the_portal_works(hub: &TestHub) {
    let script = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/check-web"));
    let mut command = Command::new(script);
    command.arg("--hub").env("HXA_URL", hub.url()).env("HXA_ADMIN_SECRET", ADMIN_SECRET);
    let ran = command.stdin(Stdio::null()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && out.contains(" passed, 0 failed"), "{out}{err}");
}
