DELETE FROM sessions WHERE role = 'person';
CREATE TABLE sessions_new (
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
DROP TABLE person_links;
DROP TABLE people;
