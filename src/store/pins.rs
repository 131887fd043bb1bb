//! Session settings of every connection to PostgreSQL.
//!
//! A role, a database and a server have settings of their own, made for other programs. Those that would weaken the
//! hub's guarantees or change how it reads its rows are set on each connection before it is used. A setting that a
//! server does not know is skipped. Settings that cannot be set per connection are checked when the hub starts:
//! [`super::preflight`].

/// The settings and why:
/// the hub's transactions are made for read committed and retried where they are in conflict; it writes; its own statement
/// timeout is the only limit of time, because the others end connections that are only waiting; text, time and bytes have
/// one form; and a server that hears nothing of a hub any more lets go of its locks within seconds, so that another may
/// take its place.
const PINNED: [(&str, &str); 21] = [
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_deferrable", "off"),
    ("lock_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("transaction_timeout", "0"),
    ("client_min_messages", "warning"),
    ("client_encoding", "UTF8"),
    ("standard_conforming_strings", "on"),
    ("DateStyle", "ISO, YMD"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "1"),
    ("transform_null_equals", "off"),
    ("array_nulls", "on"),
    ("xmloption", "content"),
    ("tcp_keepalives_idle", "3"),
    ("tcp_keepalives_interval", "1"),
    ("tcp_keepalives_count", "4"),
    ("tcp_user_timeout", "8000"),
];

/// The statements that a new connection begins with, to be sent one after the other: the first lifts a limit of the role's that
/// the others might not meet. A transaction whose client is gone unseen must not keep its locks for longer than a statement
/// may take.
pub fn statements(statement_timeout_ms: u64) -> [String; 2] {
    let rows: Vec<String> = PINNED.iter().map(|(name, value)| format!("('{name}', '{value}')")).collect();
    let limits = format!(
        "SET statement_timeout = {statement_timeout_ms}; SET idle_in_transaction_session_timeout = {statement_timeout_ms}"
    );
    let rest = format!(
        "SELECT set_config(s.name, p.value, false) FROM (VALUES {}) AS p (name, value) \
         JOIN pg_catalog.pg_settings s ON lower(s.name) = lower(p.name); \
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'; \
         SELECT set_config('lc_messages', 'C', false) FROM pg_catalog.pg_roles WHERE rolname = current_user AND rolsuper",
        rows.join(", ")
    );
    [limits, rest]
}
