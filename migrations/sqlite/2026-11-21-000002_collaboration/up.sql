-- What is said and worked on: direct messages, threads, their messages, participants and artifacts, files, catchup.
-- The message tables are keyed by (conversation, time, id), the order in which they are read; they have no other
-- index and no foreign keys because every message pays for each of them.

-- A channel is the unordered pair of two bots; the smaller id is bot_low.
CREATE TABLE channels (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    bot_low TEXT NOT NULL,
    bot_high TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- Newest message, or the creation; may lag a few seconds behind while the hub runs.
    last_activity_at BIGINT NOT NULL,
    UNIQUE (bot_low, bot_high)
);
CREATE INDEX channels_high ON channels (bot_high);
CREATE INDEX channels_org ON channels (org_id, last_activity_at);

CREATE TABLE channel_messages (
    channel_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    id TEXT NOT NULL,
    sender_id TEXT NOT NULL,
    content TEXT NOT NULL,
    content_type TEXT NOT NULL,
    parts TEXT,
    -- Sent through a socket; the audit of sends is read out of these rows.
    via_socket BOOLEAN NOT NULL,
    PRIMARY KEY (channel_id, created_at, id)
) WITHOUT ROWID;

CREATE TABLE threads (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    topic TEXT NOT NULL,
    tags TEXT,
    status TEXT NOT NULL CHECK (status IN ('active', 'blocked', 'reviewing', 'resolved', 'closed')),
    initiator_id TEXT REFERENCES bots (id) ON DELETE SET NULL,
    channel_id TEXT REFERENCES channels (id) ON DELETE SET NULL,
    context TEXT,
    close_reason TEXT CHECK (close_reason IN ('manual', 'timeout', 'error')),
    permission_policy TEXT,
    visibility TEXT NOT NULL CHECK (visibility IN ('public', 'members', 'private')),
    join_policy TEXT NOT NULL CHECK (join_policy IN ('open', 'approval', 'invite_only')),
    revision BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    -- Newest message or artifact; may lag a few seconds behind while the hub runs.
    last_activity_at BIGINT NOT NULL,
    resolved_at BIGINT
);
CREATE INDEX threads_org_activity ON threads (org_id, last_activity_at, id);
CREATE INDEX threads_initiator ON threads (initiator_id);
CREATE INDEX threads_channel ON threads (channel_id);

CREATE TABLE thread_participants (
    thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    bot_id TEXT NOT NULL REFERENCES bots (id) ON DELETE CASCADE,
    label TEXT,
    joined_at BIGINT NOT NULL,
    PRIMARY KEY (thread_id, bot_id)
) WITHOUT ROWID;
CREATE INDEX thread_participants_bot ON thread_participants (bot_id, thread_id);

CREATE TABLE thread_join_requests (
    id TEXT NOT NULL PRIMARY KEY,
    thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    bot_id TEXT NOT NULL REFERENCES bots (id) ON DELETE CASCADE,
    status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'rejected')),
    requested_at BIGINT NOT NULL,
    resolved_at BIGINT,
    resolved_by TEXT REFERENCES bots (id) ON DELETE SET NULL
);
CREATE INDEX thread_join_requests_thread ON thread_join_requests (thread_id, status, requested_at);
CREATE INDEX thread_join_requests_bot ON thread_join_requests (bot_id);
CREATE INDEX thread_join_requests_resolver ON thread_join_requests (resolved_by);
CREATE UNIQUE INDEX thread_join_requests_pending ON thread_join_requests (thread_id, bot_id) WHERE status = 'pending';

-- A deleted bot's messages stay; its id is read as null once the bot is gone.
CREATE TABLE thread_messages (
    thread_id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    id TEXT NOT NULL,
    sender_id TEXT,
    content TEXT NOT NULL,
    content_type TEXT NOT NULL,
    parts TEXT,
    metadata TEXT,
    mentions TEXT,
    mention_all BOOLEAN NOT NULL,
    reply_to_id TEXT,
    via_socket BOOLEAN NOT NULL,
    PRIMARY KEY (thread_id, created_at, id)
) WITHOUT ROWID;

-- Every version is a row; rows are never updated.
CREATE TABLE artifacts (
    thread_id TEXT NOT NULL,
    artifact_key TEXT NOT NULL,
    version INTEGER NOT NULL,
    id TEXT NOT NULL,
    type TEXT NOT NULL CHECK (type IN ('text', 'markdown', 'json', 'code', 'file', 'link')),
    title TEXT,
    content TEXT,
    language TEXT,
    url TEXT,
    mime_type TEXT,
    contributor_id TEXT,
    format_warning BOOLEAN NOT NULL,
    via_socket BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (thread_id, artifact_key, version)
) WITHOUT ROWID;

-- Catchup asks for the newest versions of a thread.
CREATE INDEX artifacts_time ON artifacts (thread_id, created_at);

CREATE TABLE files (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    uploader_id TEXT,
    name TEXT NOT NULL,
    mime_type TEXT,
    size BIGINT NOT NULL,
    path TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX files_org ON files (org_id, created_at);

-- Only what cannot be read out of messages, artifacts and the audit trail.
CREATE TABLE catchup_events (
    target_bot_id TEXT NOT NULL,
    id TEXT NOT NULL,
    org_id TEXT NOT NULL,
    type TEXT NOT NULL,
    payload TEXT NOT NULL,
    occurred_at BIGINT NOT NULL,
    PRIMARY KEY (target_bot_id, id)
) WITHOUT ROWID;
CREATE INDEX catchup_events_age ON catchup_events (occurred_at);
