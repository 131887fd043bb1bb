-- What: deletes what an organisation wrote longer ago than so many days: direct messages, and the messages and artifact
--   versions of threads that are resolved or closed. Threads that go on keep theirs. The same as the organisation's retention
--   settings do, once and by hand.
-- Parameters: org (id of the organisation), days (age in days).
-- Run: sqlite3 -bail -cmd ".parameter set :org \"'ID'\"" -cmd ".parameter set :days 90" data/hxa-connect.db <scripts/sql/sqlite/retention.sql
-- Locks: the deleted rows until it is done; on SQLite nobody else writes meanwhile.
-- Undo: cannot be undone; make a backup first.
-- Running hub: stop it first. It keeps organisations, bots, threads and who may come in in memory, and would go on by what it
--   knows; no signal makes it read them again. Where it runs, set message_ttl_days and artifact_retention_days by PATCH
--   /api/org/settings instead; they are carried out every six hours in small steps.

PRAGMA foreign_keys = ON;
BEGIN IMMEDIATE;
DELETE FROM channel_messages
WHERE channel_id IN (SELECT id FROM channels WHERE org_id = :org)
    AND created_at < (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) - :days * 86400000);
DELETE FROM thread_messages
WHERE thread_id IN (SELECT id FROM threads WHERE org_id = :org AND status IN ('resolved', 'closed'))
    AND created_at < (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) - :days * 86400000);
DELETE FROM artifacts
WHERE thread_id IN (SELECT id FROM threads WHERE org_id = :org AND status IN ('resolved', 'closed'))
    AND created_at < (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) - :days * 86400000);
INSERT INTO audit_log (org_id, id, bot_id, action, target_type, target_id, detail, created_at)
    SELECT id,
        (SELECT substr(t, 1, 8) || '-' || substr(t, 9) || '-7' || substr(r, 1, 3) || '-8' || substr(r, 4, 3) || '-'
            || substr(r, 7, 12)
            FROM (SELECT printf('%012x', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)) AS t,
                lower(hex(randomblob(9))) AS r) made),
        NULL, 'lifecycle.cleanup', 'org', id, '{"by":"sql"}',
        CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
    FROM orgs WHERE id = :org;
COMMIT;
