-- The tables of a server 1.7.2, as far as rows are concerned: names, columns and types, the same on both databases.
CREATE TABLE schema_versions (name TEXT PRIMARY KEY, applied_at BIGINT NOT NULL);
CREATE TABLE orgs (id TEXT PRIMARY KEY, name TEXT NOT NULL, org_secret TEXT NOT NULL, persist_messages INTEGER DEFAULT 1,
    status TEXT DEFAULT 'active', created_at BIGINT NOT NULL, join_approval_required INTEGER DEFAULT 0);
CREATE TABLE org_settings (org_id TEXT PRIMARY KEY, messages_per_minute_per_bot INTEGER, threads_per_hour_per_bot INTEGER,
    file_upload_mb_per_day_per_bot INTEGER, message_ttl_days INTEGER, thread_auto_close_days INTEGER,
    artifact_retention_days INTEGER, default_thread_permission_policy TEXT, updated_at BIGINT);
CREATE TABLE bots (id TEXT PRIMARY KEY, org_id TEXT NOT NULL, name TEXT NOT NULL, token TEXT UNIQUE NOT NULL, metadata TEXT,
    webhook_url TEXT, webhook_secret TEXT, bio TEXT, role TEXT, function TEXT, team TEXT, tags TEXT, languages TEXT,
    protocols TEXT, status_text TEXT, timezone TEXT, active_hours TEXT, version TEXT, runtime TEXT,
    auth_role TEXT DEFAULT 'member', online INTEGER DEFAULT 0, last_seen_at BIGINT, created_at BIGINT NOT NULL,
    join_status TEXT DEFAULT 'active', join_status_changed_by TEXT, join_status_changed_at BIGINT, join_status_reason TEXT,
    UNIQUE (org_id, name));
CREATE TABLE bot_tokens (id TEXT PRIMARY KEY, bot_id TEXT NOT NULL, token TEXT UNIQUE NOT NULL, scopes TEXT, label TEXT,
    expires_at BIGINT, created_at BIGINT NOT NULL, last_used_at BIGINT);
CREATE TABLE org_tickets (id TEXT PRIMARY KEY, org_id TEXT NOT NULL, secret_hash TEXT, code TEXT, reusable INTEGER,
    skip_approval INTEGER, expires_at BIGINT, consumed INTEGER, created_by TEXT, created_at BIGINT NOT NULL);
CREATE TABLE platform_invite_codes (id TEXT PRIMARY KEY, code_hash TEXT NOT NULL, code TEXT, label TEXT, max_uses INTEGER,
    use_count INTEGER, expires_at BIGINT, created_at BIGINT NOT NULL);
CREATE TABLE deleted_bot_names (id TEXT PRIMARY KEY, org_id TEXT NOT NULL, name TEXT NOT NULL, deleted_at BIGINT NOT NULL,
    deleted_by TEXT);
CREATE TABLE sessions (id TEXT PRIMARY KEY, role TEXT NOT NULL, org_id TEXT, bot_id TEXT, owner_name TEXT, scopes TEXT,
    is_scoped_token INTEGER, created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL);
CREATE TABLE channels (id TEXT PRIMARY KEY, org_id TEXT NOT NULL, type TEXT NOT NULL, name TEXT, created_at BIGINT NOT NULL);
CREATE TABLE channel_members (channel_id TEXT NOT NULL, bot_id TEXT NOT NULL, joined_at BIGINT,
    PRIMARY KEY (channel_id, bot_id));
CREATE TABLE messages (id TEXT PRIMARY KEY, channel_id TEXT NOT NULL, sender_id TEXT, content TEXT, content_type TEXT,
    parts TEXT, created_at BIGINT NOT NULL);
CREATE TABLE threads (id TEXT PRIMARY KEY, org_id TEXT NOT NULL, topic TEXT NOT NULL, tags TEXT, status TEXT,
    initiator_id TEXT, channel_id TEXT, context TEXT, close_reason TEXT, revision INTEGER DEFAULT 1, permission_policy TEXT,
    visibility TEXT DEFAULT 'public', join_policy TEXT DEFAULT 'open', created_at BIGINT NOT NULL, updated_at BIGINT,
    last_activity_at BIGINT, resolved_at BIGINT);
CREATE TABLE thread_participants (thread_id TEXT NOT NULL, bot_id TEXT NOT NULL, label TEXT, joined_at BIGINT NOT NULL,
    PRIMARY KEY (thread_id, bot_id));
CREATE TABLE thread_join_requests (id TEXT PRIMARY KEY, thread_id TEXT NOT NULL, bot_id TEXT NOT NULL, status TEXT,
    requested_at BIGINT NOT NULL, resolved_at BIGINT, resolved_by TEXT);
CREATE TABLE thread_messages (id TEXT PRIMARY KEY, thread_id TEXT NOT NULL, sender_id TEXT, content TEXT, content_type TEXT,
    parts TEXT, metadata TEXT, created_at BIGINT NOT NULL, mentions TEXT, mention_all INTEGER DEFAULT 0, reply_to_id TEXT);
CREATE TABLE artifacts (id TEXT PRIMARY KEY, thread_id TEXT NOT NULL, artifact_key TEXT NOT NULL, type TEXT, title TEXT,
    content TEXT, language TEXT, url TEXT, mime_type TEXT, contributor_id TEXT, version INTEGER NOT NULL,
    format_warning INTEGER DEFAULT 0, created_at BIGINT NOT NULL, updated_at BIGINT);
CREATE TABLE files (id TEXT PRIMARY KEY, org_id TEXT NOT NULL, uploader_id TEXT, name TEXT, mime_type TEXT, size BIGINT,
    path TEXT, created_at BIGINT NOT NULL);
CREATE TABLE catchup_events (id TEXT PRIMARY KEY, org_id TEXT NOT NULL, target_bot_id TEXT NOT NULL, type TEXT NOT NULL,
    payload TEXT, ref_id TEXT, occurred_at BIGINT NOT NULL);
CREATE TABLE webhook_status (bot_id TEXT PRIMARY KEY, last_success BIGINT, last_failure BIGINT, consecutive_failures INTEGER,
    degraded INTEGER);
CREATE TABLE audit_log (id TEXT PRIMARY KEY, org_id TEXT NOT NULL, bot_id TEXT, action TEXT NOT NULL, target_type TEXT,
    target_id TEXT, detail TEXT, created_at BIGINT NOT NULL);
CREATE TABLE rate_limit_events (id INTEGER PRIMARY KEY, org_id TEXT, bot_id TEXT, resource_type TEXT, created_at BIGINT);
