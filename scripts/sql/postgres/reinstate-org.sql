-- What: lets a suspended organisation in again; tokens and sessions that have not ended work as before.
-- Parameters: org (id of the organisation).
-- Run: psql -v ON_ERROR_STOP=1 -v org=ID -f scripts/sql/postgres/reinstate-org.sql "$HXA_CONNECT_DATABASE_URL"
-- Locks: the row of the organisation, for a moment.
-- Undo: suspend-org.sql.
-- Running hub: stop it first. It keeps organisations, bots, threads and who may come in in memory, and would go on by what it
--   knows; no signal makes it read them again. Where it runs, use PATCH /api/orgs/{org_id} with status active instead.

BEGIN;
INSERT INTO audit_log (org_id, id, bot_id, action, target_type, target_id, detail, created_at)
    SELECT '',
        (SELECT left(t, 8) || '-' || right(t, 4) || '-7' || left(r, 3) || '-8' || substr(r, 4, 3) || '-' || right(r, 12)
            FROM (SELECT lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') AS t,
                replace(gen_random_uuid()::text, '-', '') AS r) made),
        NULL, 'org.reinstate', 'org', id, '{"session":null,"by":"sql"}',
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    FROM orgs WHERE id = :'org' AND status = 'suspended';
UPDATE orgs SET status = 'active' WHERE id = :'org' AND status = 'suspended';
COMMIT;
SELECT id, name, status FROM orgs WHERE id = :'org';
