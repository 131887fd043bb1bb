-- What: lets a suspended organisation in again; tokens and sessions that have not ended work as before.
-- Parameters: org (id of the organisation).
-- Run: sqlite3 -bail -cmd ".parameter set :org \"'ID'\"" data/hxa-connect.db <scripts/sql/sqlite/reinstate-org.sql
-- Locks: the row of the organisation, for a moment; on SQLite nobody else writes meanwhile.
-- Undo: suspend-org.sql.
-- Running hub: stop it first. It keeps organisations, bots, threads and who may come in in memory, and would go on by what it
--   knows; no signal makes it read them again. Where it runs, use PATCH /api/orgs/{org_id} with status active instead.

PRAGMA foreign_keys = ON;
BEGIN IMMEDIATE;
INSERT INTO audit_log (org_id, id, bot_id, action, target_type, target_id, detail, created_at)
    SELECT '',
        (SELECT substr(t, 1, 8) || '-' || substr(t, 9) || '-7' || substr(r, 1, 3) || '-8' || substr(r, 4, 3) || '-'
            || substr(r, 7, 12)
            FROM (SELECT printf('%012x', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)) AS t,
                lower(hex(randomblob(9))) AS r) made),
        NULL, 'org.reinstate', 'org', id, '{"session":null,"by":"sql"}',
        CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
    FROM orgs WHERE id = :org AND status = 'suspended';
UPDATE orgs SET status = 'active' WHERE id = :org AND status = 'suspended';
COMMIT;
SELECT id, name, status FROM orgs WHERE id = :org;
