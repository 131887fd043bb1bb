//! A power cut takes back everything that was not synced; what was acknowledged was. On SQLite, whose files are the hub's own;
//! PostgreSQL looks after its own.
//!
//! `power_cut.c` is preloaded into the hub and remembers what each change of a database file overwrites, until the file is
//! synced. The hub is killed and what no sync stands behind is undone. A control in which syncs do not count must lose something, or the
//! test would prove nothing.

use std::collections::HashMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::harness::*;

const CUTS: usize = 5;

/// One change of a file that a power cut would take back.
struct Change {
    offset: u64,
    size: u64,
    old: Vec<u8>,
}

/// Compiles `power_cut.c` into this folder.
pub fn build_shim(dir: &Path) -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/hub/reliability/power_cut.c");
    let shim = dir.join("power_cut.so");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(source).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    shim
}

/// Undoes what was not synced; how many changes that were.
fn cut_power(log: &Path, database: &Path) -> usize {
    let bytes = std::fs::read(log).unwrap_or_default();
    let mut unsynced: HashMap<PathBuf, Vec<Change>> = HashMap::new();
    let mut rest = &bytes[..];
    while rest.len() >= 29 {
        let number = |from: usize| u64::from_le_bytes(rest[from..from + 8].try_into().unwrap());
        let path_length = usize::try_from(u32::from_le_bytes(rest[1..5].try_into().unwrap())).unwrap();
        let (offset, size, length) = (number(5), number(13), usize::try_from(number(21)).unwrap());
        let path = PathBuf::from(std::str::from_utf8(&rest[29..29 + path_length]).unwrap());
        let old = rest[29 + path_length..29 + path_length + length].to_vec();
        match rest[0] {
            b'W' => unsynced.entry(path).or_default().push(Change { offset, size, old }),
            _ => drop(unsynced.remove(&path)),
        }
        rest = &rest[29 + path_length + length..];
    }
    let mut undone = 0;
    for (path, changes) in unsynced {
        let Ok(file) = std::fs::File::options().write(true).open(&path) else { continue };
        for change in changes.iter().rev() {
            file.write_all_at(&change.old, change.offset).unwrap();
            file.set_len(change.size).unwrap();
            undone += 1;
        }
    }
    // Shared memory does not outlive the power.
    let _ = std::fs::remove_file(database.with_extension("db-shm"));
    let _ = std::fs::remove_file(log);
    undone
}

#[test]
fn what_was_acked_survives_a_power_cut() {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let (shim, log) = (build_shim(dir.path()), dir.path().join("log"));
        let (shim, log_text) = (shim.to_str().unwrap().to_owned(), log.to_str().unwrap().to_owned());
        let careful = [("LD_PRELOAD", shim.as_str()), ("HXA_POWER_LOG", log_text.as_str())];
        let deaf = [careful[0], careful[1], ("HXA_POWER_DEAF", "1")];
        let mut process = ProcessHub::fresh(Db::Sqlite).await.unwrap();
        let org = process.hub.with_org("a").await;
        org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
        let ada = org.bot("ada").await;
        let thread = ada.thread("t", &[]).await;
        let (mut total, mut undone) = (0, 0);
        for cut in 0..=chaos::times(CUTS) {
            // The last one is the control.
            let is_control = cut == chaos::times(CUTS);
            process.signal("TERM");
            process.exited(Duration::from_secs(10)).await;
            process.set_env(if is_control { &deaf } else { &careful });
            process.start().await;
            let says = |n: usize| {
                let content = format!("{cut}.{n}");
                json!({"type": "send_thread_message", "thread_id": thread["id"], "content": content})
            };
            let kill = async {
                tokio::time::sleep(Duration::from_millis(150 + 37 * u64::try_from(cut % 5).unwrap())).await;
                process.kill_9();
            };
            let (one, two) = (ada.socket().await, ada.socket().await);
            let (one, two, ()) = tokio::join!(one.acked_until_gone(says), two.acked_until_gone(says), kill);
            let taken_back = cut_power(&log, &process.sqlite_path());
            process.set_env(&[]);
            process.start().await;
            let stored = ada.message_ids(&thread).await;
            let lost = one.iter().chain(&two).filter(|id| !stored.contains(id)).count();
            if is_control {
                assert!(lost > 0, "a disk that never syncs loses something, or this test cannot see it");
            } else {
                assert_eq!(lost, 0, "cut {cut} of the power lost what was acknowledged");
                (total, undone) = (total + one.len() + two.len(), undone + taken_back);
            }
        }
        let cuts = chaos::times(CUTS);
        assert!(total > 0);
        chaos::figure(
            "R2",
            &format!(
                "SQLite: {cuts} cuts, {total} acknowledged, none lost, {undone} unsynced changes undone; the control run lost some"
            ),
        );
    });
}
