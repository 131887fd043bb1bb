//! The TypeScript SDK against a hub that runs: its own tests, by `scripts/check-sdk --hub`.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::*;

/// One after the other: both use the folder into which the SDK is compiled.
#[test]
fn the_sdk_works_on_both_databases() {
    if tool("node").is_some() {
        run(Db::Sqlite, &[], the_sdk_works);
        run(Db::Postgres, &[], the_sdk_works);
    }
}

async fn the_sdk_works(hub: TestHub) {
    let org = hub.with_org("a").await;
    let made = org.post("/api/org/keys", json!({"agent_id": "ada", "allow_respond": true})).await.status(201);
    let script = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/check-sdk"));
    let mut command = Command::new(script);
    command.arg("--hub").env("HXA_URL", hub.url()).env("HXA_KEY", made.text("key"));
    let ran = command.stdin(Stdio::null()).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && out.contains(" fail 0\n") && out.contains(" skipped 0\n"), "{out}{err}");
}
