//! Random input everywhere: parsers, frames, routes, uploads, raw bytes. Whatever comes is answered, and the hub lives on.
//!
//! What must hold is said by each file; [`Patient`] looks after all of them: no panic, no memory that grows without
//! bound, and at the end a hub that works. Cases are counted and printed. They follow from a seed, which is printed too.
//! An ordinary run has always the same one, so that a change is judged by what it changed; `HXA_FUZZ_SEED=random` looks
//! further, a number repeats a run, `HXA_FUZZ_CASES` multiplies its length (`HXA_FUZZ_CASES=100` for a night).

mod bytes;
mod frames;
mod noise;
mod parsers;
mod routes;

pub use noise::Noise;

use crate::harness::*;

/// Memory a hub may take beyond what it had when the cases began.
const GROWTH_MIB: u64 = 400;

/// How many cases to run where `cases` are usual.
fn scaled(cases: usize) -> usize {
    let factor = std::env::var("HXA_FUZZ_CASES").ok().and_then(|factor| factor.parse::<f64>().ok()).unwrap_or(1.0);
    (cases as f64 * factor) as usize
}

/// Adds cases to what has been tried.
fn count(cases: usize) {
    chaos::figure("R17", &format!("+{cases} cases of random input on both databases: no panic, no 500, no hang"));
}

/// The source of a test's cases.
fn noise(what: &str) -> Noise {
    let seed = match std::env::var("HXA_FUZZ_SEED").ok().as_deref() {
        None | Some("") => 1,
        Some("random") => u64::try_from(now_ms()).unwrap(),
        Some(number) => number.parse().expect("HXA_FUZZ_SEED is a number or random"),
    };
    println!("{what}: HXA_FUZZ_SEED={seed}");
    Noise::new(seed)
}

/// A hub in a process of its own, whose log tells of panics and whose memory can be read.
struct Patient {
    process: ProcessHub,
    memory_before: u64,
}

impl Patient {
    async fn fresh(db: Db) -> Option<Self> {
        let mut process = ProcessHub::on(Database::fresh(db)?).await;
        process.kill_9();
        process.set_env(&[
            ("HXA_CONNECT_SERVER_TRUSTED_PROXIES", "127.0.0.1"),
            ("HXA_CONNECT_SERVER_MAX_BODY_BYTES", "65536"),
            ("HXA_CONNECT_SOCKETS_MAX_FRAME_BYTES", "65536"),
            ("HXA_CONNECT_SOCKETS_OUTBOX_BYTES", "16777216"),
            ("HXA_CONNECT_SOCKETS_PER_BOT", "10000"),
            ("HXA_CONNECT_MAX_FILE_SIZE_MB", "1"),
            ("HXA_CONNECT_FILE_UPLOAD_MB_PER_DAY", "100000"),
            ("HXA_CONNECT_LOG_LEVEL", "warn"),
        ]);
        process.start().await;
        let memory_before = process.memory_mib();
        Some(Self { process, memory_before })
    }

    fn hub(&self) -> &TestHub {
        &self.process.hub
    }

    /// What must hold after any input.
    async fn is_well(&self) {
        let log = self.process.log();
        let bad = log.lines().find(|line| line.contains("panicked") || line.contains("request failed"));
        assert!(bad.is_none(), "in the log: {}", bad.unwrap_or_default());
        let metrics = self.hub().anonymous().get("/metrics").await;
        let panics =
            metrics.text.lines().find(|line| line.starts_with("hub_actor_panics_total") && !line.ends_with(" 0"));
        assert_eq!(panics, None);
        let grown = self.process.memory_mib().saturating_sub(self.memory_before);
        assert!(grown < GROWTH_MIB, "the hub took {grown} MiB more");
        let [ada, bob] = self.hub().with_org("afterwards").await.bots(["ada", "bob"]).await;
        let mut socket = bob.socket().await;
        ada.send(&bob, "still here").await.ok();
        assert_eq!(socket.next("message").await["message"]["content"], "still here");
    }
}

/// An organisation whose rates do not stand in the way.
async fn roomy_org(hub: &TestHub) -> Org {
    let org = hub.with_org("fuzz").await;
    let most = 2_147_483_647;
    let rates = json!({
        "messages_per_minute_per_bot": most, "threads_per_hour_per_bot": most, "file_upload_mb_per_day_per_bot": most,
    });
    org.settings(rates).await.ok();
    org
}

/// Runs a test body on both databases, each with a hub of its own.
macro_rules! on_patients {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn sqlite() {
                super::super::on_patient($crate::harness::Db::Sqlite, super::$name);
            }
            #[test]
            fn postgres() {
                super::super::on_patient($crate::harness::Db::Postgres, super::$name);
            }
        }
    )+};
}
use on_patients;

fn on_patient(db: Db, body: impl AsyncFnOnce(&Patient, Noise) -> usize) {
    block_on(async {
        let Some(patient) = Patient::fresh(db).await else { return };
        let (started, what) = (std::time::Instant::now(), std::any::type_name_of_val(&body).to_owned());
        let cases = body(&patient, noise(&what)).await;
        patient.is_well().await;
        println!("{what} on {db}: {cases} cases in {:?}", started.elapsed());
        count(cases);
    });
}
