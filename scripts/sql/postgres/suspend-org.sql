-- What: shuts an organisation out: nobody of it may come in, and its registration tickets that could still be used are deleted.
--   What it has stays.
-- Parameters: org (id of the organisation).
-- Run: psql -v ON_ERROR_STOP=1 -v org=ID -f scripts/sql/postgres/suspend-org.sql "$HXA_CONNECT_DATABASE_URL"
-- Locks: the rows of the organisation and its tickets, for a moment.
-- Undo: reinstate-org.sql; the tickets do not come back, make new ones.
-- Running hub: stop it first. It keeps organisations, bots, threads and who may come in in memory, and would go on by what it
--   knows; no signal makes it read them again. Where it runs, use PATCH /api/orgs/{org_id} with status suspended instead, which
--   closes the sockets too.

BEGIN;
INSERT INTO audit_log (org_id, id, bot_id, action, target_type, target_id, detail, created_at)
    SELECT '',
        (SELECT left(t, 8) || '-' || right(t, 4) || '-7' || left(r, 3) || '-8' || substr(r, 4, 3) || '-' || right(r, 12)
            FROM (SELECT lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') AS t,
                replace(gen_random_uuid()::text, '-', '') AS r) made),
        NULL, 'org.suspend', 'org', id, '{"session":null,"by":"sql"}',
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    FROM orgs WHERE id = :'org' AND status = 'active';
DELETE FROM org_tickets
WHERE org_id IN (SELECT id FROM orgs WHERE id = :'org' AND status <> 'destroyed') AND NOT consumed;
UPDATE orgs SET status = 'suspended' WHERE id = :'org' AND status = 'active';
COMMIT;
SELECT id, name, status FROM orgs WHERE id = :'org';
