//! Every scenario of the load tester, briefly, against a hub on SQLite: all run, all find nothing wrong, and what they
//! print is what programs read. The hub's program is taken from where the load tester's is; `cargo test --workspace`
//! builds both.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests state what must hold and stop where it does not"
)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

const LOAD: &str = env!("CARGO_BIN_EXE_hxa-load");
const ADMIN_SECRET: &str = "an-admin-secret-of-the-load-tests";
/// All scenarios in the order of `all`, and the one that is left out there.
const SCENARIOS: [&str; 15] = [
    "dm",
    "thread-fanout",
    "many-threads",
    "transitions",
    "artifacts",
    "rest-send",
    "rest-poll",
    "rest-history",
    "connect",
    "coordinate",
    "coordinate-sse",
    "deadlines",
    "request-list",
    "mixed",
    "soak",
];

/// A hub of its own, which ends with this value.
struct Hub {
    child: Child,
    port: u16,
    _data: tempfile::TempDir,
}

impl Hub {
    fn start() -> Self {
        let program = PathBuf::from(LOAD).with_file_name("hxa-connect");
        assert!(program.exists(), "{} is missing; `cargo build` makes it", program.display());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let data = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command.arg("serve").env_clear().current_dir(data.path()).env("HXA_CONNECT_DATA_DIR", data.path());
        command.env("HXA_CONNECT_HOST", "127.0.0.1").env("HXA_CONNECT_PORT", port.to_string());
        command.env("HXA_CONNECT_ADMIN_SECRET", ADMIN_SECRET).stdout(Stdio::null()).stderr(Stdio::null());
        let mut hub = Self { child: command.spawn().unwrap(), port, _data: data };
        let began = Instant::now();
        while !hub.is_ready() {
            assert!(began.elapsed() < Duration::from_secs(60), "the hub is not ready");
            assert!(hub.child.try_wait().unwrap().is_none(), "the hub has exited");
            sleep(Duration::from_millis(20));
        }
        hub
    }

    fn is_ready(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let mut reply = String::new();
        let asked = stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        asked.and_then(|()| stream.read_to_string(&mut reply)).is_ok() && reply.starts_with("HTTP/1.1 200")
    }

    /// Runs the load tester; its exit code and its output.
    fn load(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(LOAD);
        command.args(arguments).args(["--url", &format!("http://127.0.0.1:{}", self.port)]);
        command.args(["--pid", &self.child.id().to_string()]).env_clear().env("HXA_CONNECT_ADMIN_SECRET", ADMIN_SECRET);
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The JSON lines of an output.
fn outcomes(output: &str) -> Vec<Value> {
    output.lines().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_scenario_runs_and_finds_nothing_wrong() {
    let hub = Hub::start();
    let sizes = "--bots 4 --threads 6 --participants 3 --inflight 2 --keys 2 --connections 4 --duration 0.3 --warmup 0.1 \
                 --sockets 20 --rate 100 --clients 5 --requests 40 --due-in 6 --history 60 --messages 60";
    let arguments: Vec<&str> = ["all", "soak", "--delete-org"].into_iter().chain(sizes.split_whitespace()).collect();
    let (code, output) = hub.load(&arguments);
    assert_eq!(code, Some(0), "{output}");
    let outcomes = outcomes(&output);
    let names: Vec<&str> = outcomes.iter().map(|outcome| outcome["scenario"].as_str().unwrap()).collect();
    assert_eq!(names, SCENARIOS);
    for outcome in &outcomes {
        assert!(outcome["ops"].as_u64() > Some(0) || outcome["scenario"] == "connect", "{outcome}");
        assert!(outcome["server"]["rss_after"].as_u64() > Some(0), "{outcome}");
    }
    let of = |name: &str| outcomes.iter().find(|outcome| outcome["scenario"] == name).unwrap();
    let latencies = |name: &str| -> Vec<&str> {
        of(name)["latency_us"].as_array().unwrap().iter().map(|latency| latency["of"].as_str().unwrap()).collect()
    };
    assert_eq!(latencies("coordinate"), ["request_create", "request_respond", "request_read", "coordination"]);
    assert_eq!(latencies("coordinate-sse"), ["delivery", "request_create", "request_cancel"]);
    assert_eq!(latencies("deadlines"), ["request_create", "deadline", "health"]);
    assert_eq!(latencies("request-list"), ["queue"]);
    // Sixty requests, each told by four events to five clients.
    assert_eq!(of("coordinate-sse")["deliveries"], 60 * 4 * 5);
    assert_eq!(of("deadlines")["ops"], 40);
    for figure in ["p50_ratio", "p99_ratio"] {
        assert!(of("request-list")["figures"][figure].as_f64() > Some(0.0), "{figure}");
    }
}

#[test]
fn closed_loops_wait_for_listeners_and_lose_nothing() {
    let hub = Hub::start();
    let sizes = "--bots 3 --connections 3 --clients 10 --duration 0.5 --warmup 0.1";
    let arguments: Vec<&str> = ["coordinate", "coordinate-sse"].into_iter().chain(sizes.split_whitespace()).collect();
    let (code, output) = hub.load(&arguments);
    assert_eq!(code, Some(0), "{output}");
    for outcome in outcomes(&output) {
        assert!(outcome["ops"].as_u64() > Some(0), "{outcome}");
        assert!(outcome["server"]["ops_per_cpu_s"].as_f64().is_some(), "{outcome}");
    }
}

#[test]
fn what_cannot_be_measured_is_said() {
    let hub = Hub::start();
    let (code, output) = hub.load(&["deadlines", "--requests", "20", "--due-in", "3"]);
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("3 is not in 4..=86400"), "{output}");
    let (code, output) = hub.load(&["coordinate-sse", "--clients", "10000000"]);
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("--clients 10000000 needs `ulimit -n"), "{output}");
}
