-- What: deletes an organisation with everything in it, but for its audit trail. Prints the paths of its files first: they lie
--   in the data folder and are removed by hand afterwards.
-- Parameters: org (id of the organisation).
-- Run: sqlite3 -bail -cmd ".parameter set :org \"'ID'\"" data/hxa-connect.db <scripts/sql/sqlite/purge-org.sql
-- Locks: everything of that organisation until it is done, which takes minutes for millions of messages; on SQLite nobody else
--   writes meanwhile.
-- Undo: cannot be undone; make a backup first.
-- Running hub: stop it first. It keeps organisations, bots, threads and who may come in in memory, and would go on by what it
--   knows; no signal makes it read them again. Where it runs, use DELETE /api/orgs/{org_id} instead, which goes in small steps.

PRAGMA foreign_keys = ON;
BEGIN IMMEDIATE;
SELECT path FROM files WHERE org_id = :org ORDER BY path;
INSERT INTO audit_log (org_id, id, bot_id, action, target_type, target_id, detail, created_at)
    SELECT '',
        (SELECT substr(t, 1, 8) || '-' || substr(t, 9) || '-7' || substr(r, 1, 3) || '-8' || substr(r, 4, 3) || '-'
            || substr(r, 7, 12)
            FROM (SELECT printf('%012x', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)) AS t,
                lower(hex(randomblob(9))) AS r) made),
        NULL, 'org.destroy', 'org', id, '{"session":null,"by":"sql"}',
        CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
    FROM orgs WHERE id = :org;
DELETE FROM thread_messages WHERE thread_id IN (SELECT id FROM threads WHERE org_id = :org);
DELETE FROM artifacts WHERE thread_id IN (SELECT id FROM threads WHERE org_id = :org);
DELETE FROM channel_messages WHERE channel_id IN (SELECT id FROM channels WHERE org_id = :org);
DELETE FROM idempotency_keys WHERE bot_id IN (SELECT id FROM bots WHERE org_id = :org);
DELETE FROM catchup_events WHERE target_bot_id IN (SELECT id FROM bots WHERE org_id = :org);
DELETE FROM webhook_deliveries WHERE org_id = :org;
DELETE FROM webhook_payloads WHERE org_id = :org;
-- Bots, tokens, tickets, people, sessions, settings, threads, channels and file rows go with it.
DELETE FROM orgs WHERE id = :org;
COMMIT;
