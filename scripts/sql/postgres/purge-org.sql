-- What: deletes an organisation with everything in it, but for its audit trail. Prints the paths of its files first: they lie
--   in the data folder and are removed by hand afterwards.
-- Parameters: org (id of the organisation).
-- Run: psql -v ON_ERROR_STOP=1 -v org=ID -f scripts/sql/postgres/purge-org.sql "$HXA_CONNECT_DATABASE_URL"
-- Locks: everything of that organisation until it is done, which takes minutes for millions of messages; others are not held
--   up.
-- Undo: cannot be undone; make a backup first.
-- Running hub: stop it first. It keeps organisations, bots, threads and who may come in in memory, and would go on by what it
--   knows; no signal makes it read them again. Where it runs, use DELETE /api/orgs/{org_id} instead, which goes in small steps.

BEGIN;
SELECT path FROM files WHERE org_id = :'org' ORDER BY path;
INSERT INTO audit_log (org_id, id, bot_id, action, target_type, target_id, detail, created_at)
    SELECT '',
        (SELECT left(t, 8) || '-' || right(t, 4) || '-7' || left(r, 3) || '-8' || substr(r, 4, 3) || '-' || right(r, 12)
            FROM (SELECT lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') AS t,
                replace(gen_random_uuid()::text, '-', '') AS r) made),
        NULL, 'org.destroy', 'org', id, '{"session":null,"by":"sql"}',
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    FROM orgs WHERE id = :'org';
DELETE FROM thread_messages WHERE thread_id IN (SELECT id FROM threads WHERE org_id = :'org');
DELETE FROM artifacts WHERE thread_id IN (SELECT id FROM threads WHERE org_id = :'org');
DELETE FROM channel_messages WHERE channel_id IN (SELECT id FROM channels WHERE org_id = :'org');
DELETE FROM idempotency_keys WHERE bot_id IN (SELECT id FROM bots WHERE org_id = :'org');
DELETE FROM catchup_events WHERE target_bot_id IN (SELECT id FROM bots WHERE org_id = :'org');
DELETE FROM webhook_deliveries WHERE org_id = :'org';
DELETE FROM webhook_payloads WHERE org_id = :'org';
-- Bots, tokens, tickets, people, sessions, settings, threads, channels and file rows go with it.
DELETE FROM orgs WHERE id = :'org';
COMMIT;
