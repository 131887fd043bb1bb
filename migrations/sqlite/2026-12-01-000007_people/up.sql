-- People of an organisation: found by their handle in any case, or by their user in Slack. A login link lets a person in
-- once; it is stored by its hash. Their sessions end with them.

CREATE TABLE people (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    handle TEXT NOT NULL,
    -- The handle with its letters folded.
    handle_key TEXT NOT NULL,
    display_name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('admin', 'coordinator', 'responder', 'auditor', 'viewer')),
    slack_user_id TEXT,
    -- A PHC string of argon2id.
    password_hash TEXT,
    is_disabled BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (org_id, handle_key),
    UNIQUE (org_id, slack_user_id)
);

CREATE TABLE person_links (
    code_hash TEXT NOT NULL PRIMARY KEY,
    person_id TEXT NOT NULL UNIQUE REFERENCES people (id) ON DELETE CASCADE,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX person_links_org ON person_links (org_id);
CREATE INDEX person_links_expires ON person_links (expires_at);

CREATE TABLE sessions_new (
    id_hash TEXT NOT NULL PRIMARY KEY,
    ref TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('bot_owner', 'org_admin', 'super_admin', 'person')),
    org_id TEXT REFERENCES orgs (id) ON DELETE CASCADE,
    bot_id TEXT REFERENCES bots (id) ON DELETE CASCADE,
    -- The scoped token the session was opened with; it ends with that token.
    token_id TEXT REFERENCES bot_tokens (id) ON DELETE CASCADE,
    owner_name TEXT,
    scopes TEXT,
    is_scoped_token BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    person_id TEXT REFERENCES people (id) ON DELETE CASCADE
);
INSERT INTO sessions_new (id_hash, ref, role, org_id, bot_id, token_id, owner_name, scopes, is_scoped_token, created_at,
        expires_at)
    SELECT id_hash, ref, role, org_id, bot_id, token_id, owner_name, scopes, is_scoped_token, created_at, expires_at
    FROM sessions;
DROP TABLE sessions;
ALTER TABLE sessions_new RENAME TO sessions;
CREATE INDEX sessions_org ON sessions (org_id, created_at);
CREATE INDEX sessions_bot ON sessions (bot_id);
CREATE INDEX sessions_ref ON sessions (ref);
CREATE INDEX sessions_expires ON sessions (expires_at);
CREATE INDEX sessions_person ON sessions (person_id);
