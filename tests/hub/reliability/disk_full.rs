//! A disk that fills up: writes are refused and never half done, reads go on, and with space the hub goes on by itself.
//!
//! Needs a small file system of its own, which only root may mount; elsewhere it says so, in CI it must run.

use std::cell::Cell;
use std::path::PathBuf;
use std::process::Command;

use diesel::prelude::*;

use crate::harness::*;

const CYCLES: usize = 3;

/// A small file system in memory, unmounted at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("hxa-disk-").tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(dir.path())
            .output();
        if mounted.as_ref().is_ok_and(|output| output.status.success()) {
            return Some(Self(dir));
        }
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must be able to mount a tmpfs: {mounted:?}");
        println!("note: only root may mount a small disk; this test did not run");
        None
    }

    fn filler(&self) -> PathBuf {
        self.0.path().join("filler")
    }

    /// Takes all space that is left.
    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::options().create(true).append(true).open(self.filler()).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_refused_and_recovered_from() {
    block_on(async {
        let Some(disk) = SmallDisk::mount("64m") else { return };
        let process = ProcessHub::on(Database::in_folder(disk.0.path())).await;
        let hub = &process.hub;
        let org = hub.with_org("a").await;
        org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
        let [ada, bob] = org.bots(["ada", "bob"]).await;
        let thread = ada.thread("t", &[&bob]).await;
        let (mut acked, mut refused) = (Vec::new(), 0);
        for cycle in 0..chaos::times(CYCLES) {
            acked.push(ada.say(&thread, &format!("before {cycle}")).await.ok().text("id"));
            disk.fill();
            // The log of the database has some room left in what it has already taken.
            let mut full = false;
            for n in 0..200 {
                let reply = ada.say(&thread, &format!("{cycle}.{n} {}", "x".repeat(20_000))).await;
                match reply.status {
                    200 => acked.push(reply.ok().text("id")),
                    _ => {
                        assert!(reply.header("retry-after").is_some(), "{}", reply.text);
                        reply.refused(503, "UNAVAILABLE");
                        (full, refused) = (true, refused + 1);
                    }
                }
                if refused % 5 == 4 {
                    break;
                }
            }
            assert!(full, "the disk was not full");
            ada.messages(&thread, "").await.ok();
            let upload = ada.upload("f.txt", &"x".repeat(3_000_000)).await;
            let refusal = (upload.status, upload["code"].as_str().unwrap_or_default());
            assert!([(500, "STORAGE_ERROR"), (503, "UNAVAILABLE")].contains(&refusal), "{}", upload.text);
            assert_eq!(hub.anonymous().get("/livez").await.status, 200);
            disk.free();
            let says = || async { ada.say(&thread, "after").await };
            acked.push(eventually(says, |reply| reply.status == 200).await.ok().text("id"));
            ada.upload("f.txt", "fits").await.ok();
        }
        check(&process, &ada, &thread, &acked).await;
        let files = std::fs::read_dir(process.sqlite_path().with_file_name("files")).map_or(0, deep_count);
        assert_eq!(files, chaos::times(CYCLES), "an upload that failed leaves nothing");
        let cycles = chaos::times(CYCLES);
        chaos::figure(
            "R5",
            &format!("SQLite: {cycles} cycles, {} acknowledged and none lost, {refused} refused with 503", acked.len()),
        );
    });
}

/// The disk is the database server's. It may refuse, crash and be started again by its operator; what the hub
/// acknowledged is there.
#[test]
fn a_full_disk_under_postgres_is_refused_and_recovered_from() {
    block_on(async {
        let Some(disk) = SmallDisk::mount("128m") else { return };
        // Small segments, so that the log of the server needs a new one soon.
        let Some(postgres) = PrivatePostgres::start_fresh_in(disk.0.path(), &["--wal-segsize=1"]) else { return };
        let process = ProcessHub::on(Database::on_postgres(&postgres.url())).await;
        let hub = &process.hub;
        let org = hub.with_org("a").await;
        org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
        let ada = org.bot("ada").await;
        let thread = ada.thread("t", &[]).await;
        let (mut acked, mut refused, crashes) = (Vec::new(), 0, Cell::new(0));
        for cycle in 0..chaos::times(CYCLES) {
            acked.push(ada.say(&thread, &format!("before {cycle}")).await.ok().text("id"));
            disk.fill();
            let before = refused;
            for n in 0..400 {
                let content = format!("{cycle}.{n} {}", "x".repeat(20_000));
                let reply = ada.say(&thread, &content).await;
                if reply.status == 200 {
                    acked.push(reply.ok().text("id"));
                } else {
                    assert!(reply.header("retry-after").is_some(), "{}", reply.text);
                    reply.refused(503, "UNAVAILABLE");
                    refused += 1;
                }
                if refused - before == 5 {
                    break;
                }
            }
            assert!(refused > before, "the disk was not full");
            assert_eq!(hub.anonymous().get("/livez").await.status, 200);
            disk.free();
            let says = || async {
                if !postgres.is_running() {
                    crashes.set(crashes.get() + 1);
                    postgres.start();
                }
                ada.say(&thread, "after").await
            };
            acked.push(eventually(says, |reply| reply.status == 200).await.ok().text("id"));
        }
        let stored = ada.message_ids(&thread).await;
        assert!(acked.iter().all(|id| stored.contains(id)), "something acknowledged is lost");
        let cycles = chaos::times(CYCLES);
        chaos::figure(
            "R5",
            &format!(
                "PostgreSQL: {cycles} cycles, {} acknowledged and none lost, {refused} refused with 503; its server exited {} times \
                 and was restarted",
                acked.len(),
                crashes.get()
            ),
        );
    });
}

fn deep_count(files: std::fs::ReadDir) -> usize {
    let count = |entry: std::fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => deep_count(std::fs::read_dir(entry.path()).unwrap()),
        false => 1,
    };
    files.map(|entry| count(entry.unwrap())).sum()
}

async fn check(process: &ProcessHub, bot: &Bot, thread: &Value, acked: &[String]) {
    let stored = bot.message_ids(thread).await;
    assert!(acked.iter().all(|id| stored.contains(id)), "something acknowledged is lost");
    #[derive(QueryableByName)]
    struct Verdict {
        #[diesel(sql_type = diesel::sql_types::Text)]
        integrity_check: String,
    }
    let mut own = SqliteConnection::establish(&process.sqlite_path().to_string_lossy()).unwrap();
    let verdict: Verdict = diesel::sql_query("PRAGMA integrity_check").get_result(&mut own).unwrap();
    assert_eq!(verdict.integrity_check, "ok");
}
