-- What: deletes what an organisation wrote longer ago than so many days: direct messages, and the messages and artifact
--   versions of threads that are resolved or closed. Threads that go on keep theirs. The same as the organisation's retention
--   settings do, once and by hand.
-- Parameters: org (id of the organisation), days (age in days).
-- Run: psql -v ON_ERROR_STOP=1 -v org=ID -v days=90 -f scripts/sql/postgres/retention.sql "$HXA_CONNECT_DATABASE_URL"
-- Locks: the deleted rows until it is done.
-- Undo: cannot be undone; make a backup first.
-- Running hub: stop it first. It keeps organisations, bots, threads and who may come in in memory, and would go on by what it
--   knows; no signal makes it read them again. Where it runs, set message_ttl_days and artifact_retention_days by PATCH
--   /api/org/settings instead; they are carried out every six hours in small steps.

BEGIN;
DELETE FROM channel_messages
WHERE channel_id IN (SELECT id FROM channels WHERE org_id = :'org')
    AND created_at < ((extract(epoch FROM clock_timestamp()) * 1000)::bigint - :'days'::bigint * 86400000);
DELETE FROM thread_messages
WHERE thread_id IN (SELECT id FROM threads WHERE org_id = :'org' AND status IN ('resolved', 'closed'))
    AND created_at < ((extract(epoch FROM clock_timestamp()) * 1000)::bigint - :'days'::bigint * 86400000);
DELETE FROM artifacts
WHERE thread_id IN (SELECT id FROM threads WHERE org_id = :'org' AND status IN ('resolved', 'closed'))
    AND created_at < ((extract(epoch FROM clock_timestamp()) * 1000)::bigint - :'days'::bigint * 86400000);
INSERT INTO audit_log (org_id, id, bot_id, action, target_type, target_id, detail, created_at)
    SELECT id,
        (SELECT left(t, 8) || '-' || right(t, 4) || '-7' || left(r, 3) || '-8' || substr(r, 4, 3) || '-' || right(r, 12)
            FROM (SELECT lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') AS t,
                replace(gen_random_uuid()::text, '-', '') AS r) made),
        NULL, 'lifecycle.cleanup', 'org', id, '{"by":"sql"}',
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    FROM orgs WHERE id = :'org';
COMMIT;
