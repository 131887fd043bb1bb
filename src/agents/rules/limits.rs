//! Every number of these rules, each with its reason. `_UNITS` count UTF-16 code units, `_BYTES` bytes, `_MS` milliseconds.

/// Longest namespace name: it is a label that people type into a token.
pub const NAMESPACE_BYTES: usize = 64;
/// Longest access token worth hashing; generated ones have 43 characters and a namespace.
pub const TOKEN_BYTES: usize = 512;
/// Longest id of a session, machine, request or message that a client gives; its own ids are UUIDs.
pub const ID_UNITS: usize = 256;
/// Longest local id of a message: a UUID with a prefix.
pub const LOCAL_ID_UNITS: usize = 256;
/// Longest name in the settings of a session: model, effort, mode, service tier.
pub const NAME_UNITS: usize = 256;
/// Most local ids in one list: the web client asks for the state of a whole queue in one call.
pub const LOCAL_IDS: usize = 1_000;
/// Longest value that a fault repeats.
pub const QUOTED: usize = 64;

/// Largest metadata of a session or machine: it is part of each update and of each list of machines.
pub const METADATA_BYTES: usize = 256 * 1024;
/// Largest state of an agent or runner: it holds the arguments of requests, and old requests until the agent drops them.
pub const STATE_BYTES: usize = 1024 * 1024;
/// Largest content of one message: the size of a frame by default, less what surrounds it.
pub const CONTENT_BYTES: usize = 4 * 1024 * 1024;
/// Longest text inside an agent's message before it is cut; a longer one is the output of a tool, read by its ends.
pub const AGENT_TEXT_BYTES: usize = 64 * 1024;
/// What is kept of the beginning of a text that is cut.
pub const AGENT_TEXT_HEAD_BYTES: usize = 48 * 1024;
/// What is kept of the end of a text that is cut; with the head and the marker it stays below [`AGENT_TEXT_BYTES`].
pub const AGENT_TEXT_TAIL_BYTES: usize = 12 * 1024;

// A text that was cut is not cut again: the marker has less than a hundred bytes.
const _: () = assert!(AGENT_TEXT_HEAD_BYTES + AGENT_TEXT_TAIL_BYTES + 100 < AGENT_TEXT_BYTES);

/// A session without a heartbeat for longer than this is inactive: clients send one every two to five seconds.
pub const SESSION_TIMEOUT_MS: i64 = 30_000;
/// The same for machines, which send one every ten to twenty seconds.
pub const MACHINE_TIMEOUT_MS: i64 = 45_000;
/// Time between two sweeps for what has timed out: with it a session is inactive after 35 s at the latest.
pub const SWEEP_MS: i64 = 5_000;
/// How long a session or machine stays active after its last socket left: a reconnect takes one to five seconds.
pub const LEAVE_GRACE_MS: i64 = 5_000;
/// How long a prompt from the web keeps a session thinking although heartbeats say that it is not: the agent needs time to take
/// the prompt up.
pub const THINKING_GRACE_MS: i64 = 15_000;
/// Heartbeats that change nothing are passed on to web clients when the last one is older than this.
pub const ALIVE_BROADCAST_MS: i64 = 10_000;

/// Messages of a page unless asked otherwise.
pub const PAGE_DEFAULT: i64 = 50;
/// Most messages of a page.
pub const PAGE_MAX: i64 = 200;
/// Messages that a command-line client gets at once unless it asks otherwise: it reads all it has missed.
pub const BACKFILL_DEFAULT: i64 = 200;
/// Most queued prompts added to the newest page beyond its limit; a queue longer than this is not read by people.
pub const QUEUED_MAX: usize = 1_000;
/// Time an agent has to answer a cancel: people wait for it.
pub const CANCEL_TIMEOUT_MS: i64 = 500;
/// After this a prompt that a socket has got and not taken is sent to it once more: the packet may have been lost with an agent
/// that restarted behind the same socket.
pub const REDELIVER_MS: i64 = 60_000;

/// Longest name of a session that a person gives.
pub const SESSION_NAME_UNITS: usize = 255;
/// Longest name of a machine that a person gives, counted after it is trimmed.
pub const MACHINE_NAME_UNITS: usize = 64;
/// Most requests shown in a summary: a list has room for a few.
pub const SUMMARY_REQUESTS: usize = 5;
/// Most sessions of a list.
pub const SESSIONS_MAX: i64 = 500;
/// Most paths of one question whether they exist.
pub const PATHS: usize = 1_000;
/// Attempts of a write of the hub's own that meets a newer version, before the caller is told of a conflict.
pub const WRITE_ATTEMPTS: u32 = 5;

/// Longest name of an RPC method with the id before it.
pub const METHOD_UNITS: usize = 512;
/// Most methods that one socket may register: clients have up to 32.
pub const METHODS_PER_SOCKET: usize = 256;
/// Most sockets that stand behind one method; a fifth is a client that reconnects without leaving.
pub const OWNERS_PER_METHOD: usize = 16;
/// Time an RPC has unless its caller says otherwise.
pub const RPC_TIMEOUT_MS: i64 = 30_000;
/// Longest time a caller may give an RPC: a spawn of an agent that installs itself.
pub const RPC_TIMEOUT_MAX_MS: i64 = 120_000;
/// Shortest time a caller may give an RPC; below this every answer is late.
pub const RPC_TIMEOUT_MIN_MS: i64 = 100;
/// Longest error text of an agent that is passed on.
pub const RPC_ERROR_UNITS: usize = 2_000;

/// Most events that a namespace keeps for streams that come back.
pub const RING_EVENTS: usize = 256;
/// Most bytes of them.
pub const RING_BYTES: usize = 2 * 1024 * 1024;
/// Time between two heartbeats of an event stream: clients give a silent one up after 90 s.
pub const STREAM_HEARTBEAT_MS: i64 = 30_000;
/// How long a ticket for an event stream waits for its only use.
pub const TICKET_MS: i64 = 30_000;
/// Most tickets of a namespace that wait: a page takes one for each stream, and has two streams.
pub const TICKETS: usize = 1_000;
