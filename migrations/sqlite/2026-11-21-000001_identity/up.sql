-- Who may talk: organisations, their bots and credentials, human sessions, and the audit trail.
-- Ids are UUIDs as text, times are milliseconds since the epoch (UTC), secrets are SHA-256 in hex.

CREATE TABLE orgs (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    secret_hash TEXT NOT NULL,
    persist_messages BOOLEAN NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'suspended', 'destroyed')),
    join_approval_required BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE org_settings (
    org_id TEXT NOT NULL PRIMARY KEY REFERENCES orgs (id) ON DELETE CASCADE,
    messages_per_minute_per_bot INTEGER NOT NULL,
    threads_per_hour_per_bot INTEGER NOT NULL,
    file_upload_mb_per_day_per_bot INTEGER NOT NULL,
    message_ttl_days INTEGER,
    thread_auto_close_days INTEGER,
    artifact_retention_days INTEGER,
    default_thread_permission_policy TEXT,
    updated_at BIGINT NOT NULL
);

CREATE TABLE bots (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    auth_role TEXT NOT NULL CHECK (auth_role IN ('admin', 'member')),
    join_status TEXT NOT NULL CHECK (join_status IN ('pending', 'active', 'rejected')),
    join_status_changed_by TEXT,
    join_status_changed_at BIGINT,
    join_status_reason TEXT,
    metadata TEXT,
    webhook_url TEXT,
    webhook_secret TEXT,
    bio TEXT,
    role TEXT,
    "function" TEXT,
    team TEXT,
    tags TEXT,
    languages TEXT,
    protocols TEXT,
    status_text TEXT,
    timezone TEXT,
    active_hours TEXT,
    version TEXT,
    runtime TEXT,
    last_seen_at BIGINT,
    created_at BIGINT NOT NULL,
    UNIQUE (org_id, name)
);

CREATE TABLE bot_tokens (
    id TEXT NOT NULL PRIMARY KEY,
    bot_id TEXT NOT NULL REFERENCES bots (id) ON DELETE CASCADE,
    token_hash TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    label TEXT,
    expires_at BIGINT,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX bot_tokens_bot ON bot_tokens (bot_id);

CREATE TABLE org_tickets (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    code TEXT NOT NULL UNIQUE,
    reusable BOOLEAN NOT NULL,
    skip_approval BOOLEAN NOT NULL,
    -- 0 = never expires
    expires_at BIGINT NOT NULL,
    consumed BOOLEAN NOT NULL,
    created_by TEXT,
    created_at BIGINT NOT NULL
);
CREATE INDEX org_tickets_org ON org_tickets (org_id, created_at);

CREATE TABLE invite_codes (
    id TEXT NOT NULL PRIMARY KEY,
    code_hash TEXT NOT NULL UNIQUE,
    code TEXT,
    label TEXT,
    -- 0 = unlimited
    max_uses INTEGER NOT NULL,
    use_count INTEGER NOT NULL,
    -- 0 = never expires
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Names of deleted bots stay blocked until a human releases them.
CREATE TABLE tombstones (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    deleted_at BIGINT NOT NULL,
    deleted_by TEXT,
    UNIQUE (org_id, name)
);

-- A session is found by the hash of its cookie; the cookie itself is never stored.
CREATE TABLE sessions (
    id_hash TEXT NOT NULL PRIMARY KEY,
    ref TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('bot_owner', 'org_admin', 'super_admin')),
    org_id TEXT REFERENCES orgs (id) ON DELETE CASCADE,
    bot_id TEXT REFERENCES bots (id) ON DELETE CASCADE,
    -- The scoped token the session was opened with; it ends with that token.
    token_id TEXT REFERENCES bot_tokens (id) ON DELETE CASCADE,
    owner_name TEXT,
    scopes TEXT,
    is_scoped_token BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_org ON sessions (org_id, created_at);
CREATE INDEX sessions_bot ON sessions (bot_id);
CREATE INDEX sessions_ref ON sessions (ref);
CREATE INDEX sessions_expires ON sessions (expires_at);

-- Newest first by (org_id, id): ids are time-ordered. Platform-wide actions have the empty org_id.
CREATE TABLE audit_log (
    org_id TEXT NOT NULL,
    id TEXT NOT NULL,
    bot_id TEXT,
    action TEXT NOT NULL,
    target_type TEXT NOT NULL,
    target_id TEXT NOT NULL,
    detail TEXT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, id)
) WITHOUT ROWID;
-- Catchup reads status changes from the trail instead of writing them again for each participant.
CREATE INDEX audit_log_status ON audit_log (target_id, id) WHERE action = 'thread.status_changed';

-- One row per writer of the hub: the last batch it committed. After a connection is lost during COMMIT this tells
-- whether the batch is in.
CREATE TABLE writer_marks (
    writer TEXT NOT NULL PRIMARY KEY,
    batch BIGINT NOT NULL
);
