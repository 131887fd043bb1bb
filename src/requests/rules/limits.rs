//! Every number of these rules, each with its reason. `_UNITS` count UTF-16 code units, `_BYTES` bytes.

/// Longest summary: a person reads it in a list.
pub const SUMMARY_UNITS: usize = 10_000;
/// Longest detail.
pub const DETAIL_UNITS: usize = 100_000;
/// Most objects and lists inside each other in free JSON: what a table shows; what walks it stays far from any stack's end.
pub const JSON_DEPTH: usize = 32;
/// Largest free JSON of a request and of an answer: a quarter of the largest body, so that events stay below a frame's limit.
pub const JSON_BYTES: usize = 256 * 1024;
/// Largest context of a request, attachments included: the rest of a body of 1 MiB stays for everything else.
pub const CONTEXT_BYTES: usize = 768 * 1024;
/// Most attachments.
pub const ATTACHMENTS: usize = 20;
/// Longest content of one attachment.
pub const ATTACHMENT_BYTES: usize = 512 * 1024;
/// Longest name and longest type of an attachment: they are labels.
pub const ATTACHMENT_LABEL_UNITS: usize = 256;
/// Most options to choose from.
pub const OPTIONS: usize = 100;
/// Longest key of an option.
pub const OPTION_KEY_UNITS: usize = 256;
/// Longest label and description of an option.
pub const OPTION_TEXT_UNITS: usize = 2_000;
/// Longest handle of a responder, Slack channel, trace id and idempotency key.
pub const NAME_UNITS: usize = 256;
/// Longest time to wait for an answer: a year.
pub const TIMEOUT_MAX_S: i64 = 31_536_000;
/// Most steps of an escalation.
pub const ESCALATIONS: usize = 10;
/// Most members of a quorum: more do not decide together.
pub const QUORUM: usize = 50;
/// Most faults told of one body: whoever makes more reads the first.
pub const FAULTS: usize = 64;
/// Longest value repeated in a message.
pub const QUOTED: usize = 64;

/// Largest JSON Schema of an answer.
pub const SCHEMA_BYTES: usize = 64 * 1024;
/// Most schemas once every reference is followed; validation takes no more steps than these times the answer's values.
pub const SCHEMA_NODES: u64 = 4_000;
/// Most schemas inside each other once every reference is followed.
pub const SCHEMA_DEPTH: usize = 64;
/// Most regular expressions of a schema, references followed.
pub const SCHEMA_PATTERNS: u64 = 20;
/// Longest regular expression.
pub const PATTERN_BYTES: usize = 512;
/// Memory that one compiled regular expression may take, and its cache: each character of a text may visit all of it.
pub const PATTERN_MEMORY: usize = 128 * 1024;
/// Largest answer that is matched with regular expressions.
pub const PATTERN_TEXT_BYTES: usize = 32 * 1024;
/// Most schemas times values of one check: a fraction of a second.
pub const SCHEMA_WORK: u64 = 4_000_000;
/// Up to here all faults are found and not the first alone; each takes some hundred bytes.
pub const SCHEMA_WORK_FOR_ALL: u64 = 40_000;
/// Longest path of a fault.
pub const PATH_CHARS: usize = 256;
/// Longest sentence about a fault of an answer.
pub const MESSAGE_CHARS: usize = 256;
/// Largest vote: up to [`QUORUM`] of them make one answer.
pub const VOTE_BYTES: usize = 8 * 1024;
/// Most faults told of one answer.
pub const ANSWER_FAULTS: usize = 20;

/// Rows of a list of requests unless asked otherwise.
pub const LIST_DEFAULT: i64 = 50;
/// Rows of a list of audit events unless asked otherwise.
pub const AUDIT_DEFAULT: i64 = 100;
/// Most rows of a list.
pub const LIST_MAX: i64 = 1_000;
/// Most rows to skip; further on a cursor leads.
pub const OFFSET_MAX: i64 = 10_000_000;
