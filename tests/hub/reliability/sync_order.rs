//! What is acknowledged is on disk first: the system calls of a running hub, in the order in which they happened.
//!
//! The hub runs under strace, which stops every thread at each call of interest, so that what one call brings about cannot be
//! written down before it. Of each message three calls matter: the one that puts it into SQLite's log, the sync of that log
//! after the transaction's last frame, and each one that speaks of it to a client. A control, the same program with
//! `synchronous=NORMAL`, must be caught speaking too early, or the test would prove nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use futures_util::future::{join, join_all};

use crate::harness::*;

/// Each speaks over REST and over a socket.
const WRITERS: usize = 4;
const MESSAGES_EACH: usize = 10;
const CALLS: &str = "trace=pwrite64,pwritev,pwritev2,write,writev,sendto,sendmsg,sendmmsg,sendfile,fsync,fdatasync";
/// Before the contents of messages, which name themselves by a UUID of as many characters.
const MARK: &str = "mark-";
const MARK_LENGTH: usize = MARK.len() + 32;
/// Before each page in SQLite's log; its second number is not 0 in the last frame of a transaction.
const FRAME_HEADER: usize = 24;

#[test]
fn nothing_is_acknowledged_before_it_is_synced() {
    block_on(async {
        let Some(strace) = tracer() else { return };
        let mut process = ProcessHub::fresh(Db::Sqlite).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let careless = without_syncs(dir.path());
        let careful = judge(&mut process, &strace, Path::new(BINARY), &dir.path().join("careful")).await;
        assert_eq!(careful.early, BTreeSet::new(), "acknowledged before the log was synced");
        let control = judge(&mut process, &strace, &careless, &dir.path().join("control")).await;
        assert!(!control.early.is_empty(), "a hub that does not sync is caught, or this test cannot see it");
        let (messages, syncs, caught) = (careful.messages, careful.syncs, control.early.len());
        chaos::figure(
            "R2",
            &format!(
                "SQLite: {messages} messages traced, each synced before anybody received it ({syncs} syncs); control run without syncs: \
                 {caught} of {} received too early",
                control.messages
            ),
        );
    });
}

/// strace, where it is and may trace.
fn tracer() -> Option<PathBuf> {
    let program = tool("strace")?;
    let tried = Command::new(&program).args(["-o", "/dev/null", "true"]).output().unwrap();
    if tried.status.success() {
        return Some(program);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must be able to trace: {tried:?}");
    println!("note: nothing may be traced here; this test did not run");
    None
}

/// The program with the one word changed that makes SQLite sync its log.
fn without_syncs(dir: &Path) -> PathBuf {
    let (path, patch) = (dir.join("careless"), "s/synchronous = FULL/synchronous=NORMAL/");
    std::fs::copy(BINARY, &path).unwrap();
    let patched = Command::new("sed").env("LC_ALL", "C").args(["-i", patch]).arg(&path).output().unwrap();
    assert!(patched.status.success(), "{patched:?}");
    path
}

/// What a trace tells.
#[derive(Debug, Default)]
struct Verdict {
    messages: usize,
    syncs: usize,
    /// Contents of messages that somebody heard of before they were synced.
    early: BTreeSet<String>,
}

/// Runs this program, lets everybody speak, and reads the trace of it.
async fn judge(process: &mut ProcessHub, strace: &Path, program: &Path, trace: &Path) -> Verdict {
    let org = process.hub.with_org(&trace.file_name().unwrap().to_string_lossy()).await;
    org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
    let mut writers = Vec::new();
    let listener = org.bot("listener").await;
    for n in 0..WRITERS {
        writers.push(org.bot(&format!("bot{n}")).await);
    }
    let thread = writers[0].thread("t", &writers.iter().skip(1).chain([&listener]).collect::<Vec<_>>()).await;
    process.signal("TERM");
    process.exited(DEADLINE).await;
    let (strace, trace_text, program) = (strace.to_str().unwrap(), trace.to_str().unwrap(), program.to_str().unwrap());
    // The tracer stands aside (-D), so that the hub's signals and exit are its own.
    process.set_program(&[
        strace,
        "-D",
        "-f",
        "--seccomp-bpf",
        "-y",
        "-s",
        "1000000",
        "-e",
        CALLS,
        "-o",
        trace_text,
        program,
    ]);
    process.start().await;
    let mut hears = listener.socket().await;
    let hear = async {
        for _ in 0..2 * WRITERS * chaos::times(MESSAGES_EACH) {
            hears.next("thread_message").await;
        }
    };
    let (said, ()) = join(join_all(writers.iter().map(|writer| speak(writer, &thread))), hear).await;
    let pid = process.pid();
    process.signal("TERM");
    process.exited(Duration::from_secs(30)).await;
    process.set_program(&[BINARY]);
    process.start().await;
    // strace aligns its lines by blanks after short numbers.
    let pid = pid.to_string();
    let is_last = |line: &str| {
        line.split_once(' ')
            .is_some_and(|(process, what)| process == pid && what.trim_start() == "+++ exited with 0 +++")
    };
    let whole = || async { std::fs::read_to_string(trace).unwrap() };
    // Other threads may be seen to end after the first.
    eventually(|| async { whole().await.lines().any(is_last) }, |is_over| *is_over).await;
    Reader::new(said.into_iter().flatten().collect()).read(&whole().await)
}

/// Half over REST, half over a socket, each without waiting for the other; ids by content.
async fn speak(bot: &Bot, thread: &Value) -> Vec<(String, String)> {
    let content = || format!("{MARK}{}", uuid::Uuid::new_v4().simple());
    let by_rest = async {
        let mut said = Vec::new();
        for content in (0..chaos::times(MESSAGES_EACH)).map(|_| content()) {
            let id = bot.say(thread, &content).await.ok().text("id");
            said.push((content, id));
        }
        said
    };
    let by_socket = async {
        let (mut socket, mut said) = (bot.socket().await, Vec::new());
        for content in (0..chaos::times(MESSAGES_EACH)).map(|_| content()) {
            let says = json!({"type": "send_thread_message", "thread_id": thread["id"], "content": content});
            said.push((content, socket.op(says).await.ack().text("message_id")));
        }
        said
    };
    let (mut by_rest, by_socket) = join(by_rest, by_socket).await;
    by_rest.extend(by_socket);
    by_rest
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// In the log, in a transaction that has more frames to come.
    Open,
    /// In the log with its whole transaction.
    Written,
    /// A sync that began after that has succeeded.
    Synced,
}

/// Reads a trace, call by call.
struct Reader {
    /// Content by id.
    ids: BTreeMap<String, String>,
    stages: BTreeMap<String, Stage>,
    heard: BTreeSet<String>,
    /// Calls that have begun and not ended, by thread.
    begun: BTreeMap<String, String>,
    /// What syncs under way will have made durable, by thread.
    covered: BTreeMap<String, Vec<String>>,
    /// The newest frame header ends a transaction.
    is_last_frame: bool,
    verdict: Verdict,
}

impl Reader {
    fn new(said: Vec<(String, String)>) -> Self {
        let verdict = Verdict { messages: said.len(), ..Verdict::default() };
        let ids = said.into_iter().map(|(content, id)| (id, content)).collect();
        let (stages, heard, begun, covered) = Default::default();
        Self { ids, stages, heard, begun, covered, is_last_frame: false, verdict }
    }

    fn read(mut self, trace: &str) -> Verdict {
        for line in trace.lines() {
            let (thread, rest) = line.split_once(' ').unwrap();
            let rest = rest.trim_start();
            if rest.starts_with("+++") || rest.starts_with("---") {
                continue;
            }
            if let Some((_, end)) = rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
                let start = self.begun.remove(thread).expect("what is resumed has begun");
                self.ends(thread, &start, end);
            } else if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
                self.begins(thread, start);
                self.begun.insert(thread.to_owned(), start.to_owned());
            } else {
                self.begins(thread, rest);
                self.ends(thread, rest, rest);
            }
        }
        let contents: BTreeSet<String> = self.ids.values().cloned().collect();
        assert_eq!(self.stages.keys().cloned().collect::<BTreeSet<_>>(), contents, "all of them are seen in the log");
        assert_eq!(self.heard, contents, "all of them are seen on their way to clients");
        self.verdict
    }

    fn begins(&mut self, thread: &str, call: &str) {
        if is_sync_of_log(call) {
            let written = self.stages.iter().filter(|(_, stage)| **stage == Stage::Written);
            let written = written.map(|(content, _)| content.clone()).collect();
            self.covered.insert(thread.to_owned(), written);
        } else if call.contains("<socket:[") {
            for content in self.ids.iter().filter(|(id, _)| call.contains(id.as_str())).map(|(_, content)| content) {
                self.heard.insert(content.clone());
                if self.stages.get(content) != Some(&Stage::Synced) {
                    self.verdict.early.insert(content.clone());
                }
            }
        }
    }

    fn ends(&mut self, thread: &str, call: &str, end: &str) {
        if is_sync_of_log(call) {
            if end.trim_end().ends_with("= ?") {
                // The process ended meanwhile.
                self.covered.remove(thread);
                return;
            }
            assert!(end.trim_end().ends_with("= 0"), "a sync failed: {end}");
            self.verdict.syncs += 1;
            for content in self.covered.remove(thread).expect("it has begun") {
                self.stages.insert(content, Stage::Synced);
            }
        } else if call.starts_with("pwrite64(") && call.contains("-wal>") {
            self.logged(call);
        }
    }

    /// A frame comes as two writes: its header, then its page.
    fn logged(&mut self, call: &str) {
        let (first, last) = (call.find('"').unwrap(), call.rfind('"').unwrap());
        let bytes = &call[first + 1..last];
        if call[last..].starts_with(&format!("\", {FRAME_HEADER},")) {
            self.is_last_frame = unescaped(bytes)[4..8] != [0; 4];
            return;
        }
        for (at, _) in bytes.match_indices(MARK) {
            let content = bytes.get(at..at + MARK_LENGTH).unwrap_or_default();
            if self.ids.values().any(|said| said == content) {
                // Pages are written again with later messages.
                self.stages.entry(content.to_owned()).or_insert(Stage::Open);
            }
        }
        if self.is_last_frame {
            self.stages.values_mut().filter(|stage| **stage == Stage::Open).for_each(|stage| *stage = Stage::Written);
        }
    }
}

fn is_sync_of_log(call: &str) -> bool {
    (call.starts_with("fsync(") || call.starts_with("fdatasync(")) && call.contains("-wal>")
}

/// The bytes of a string as strace prints it, with the escapes of C.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'\\' {
            bytes.push(byte);
            rest = after;
            continue;
        }
        let digits = after.iter().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
        let named = b"ntrvf".iter().position(|name| *name == after[0]);
        bytes.push(match named {
            _ if digits > 0 => u8::from_str_radix(&text[text.len() - after.len()..][..digits], 8).unwrap(),
            Some(at) => b"\n\t\r\x0b\x0c"[at],
            None => after[0],
        });
        rest = &after[digits.max(1)..];
    }
    bytes
}
