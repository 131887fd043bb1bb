-- People of an organisation: found by their handle in any case, or by their user in Slack. A login link lets a person in
-- once; it is stored by its hash. Their sessions end with them.

CREATE TABLE people (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org_id TEXT COLLATE "C" NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    handle TEXT NOT NULL,
    -- The handle with its letters folded.
    handle_key TEXT COLLATE "C" NOT NULL,
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
    code_hash TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    person_id TEXT COLLATE "C" NOT NULL UNIQUE REFERENCES people (id) ON DELETE CASCADE,
    org_id TEXT COLLATE "C" NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX person_links_org ON person_links (org_id);
CREATE INDEX person_links_expires ON person_links (expires_at);

ALTER TABLE sessions ADD COLUMN person_id TEXT COLLATE "C" REFERENCES people (id) ON DELETE CASCADE;
ALTER TABLE sessions DROP CONSTRAINT sessions_role_check;
ALTER TABLE sessions ADD CONSTRAINT sessions_role_check CHECK (role IN ('bot_owner', 'org_admin', 'super_admin', 'person'));
CREATE INDEX sessions_person ON sessions (person_id);
