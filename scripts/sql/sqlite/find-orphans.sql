-- What: counts rows whose owner is gone. The message tables have no foreign keys, so that nothing slows messages down; what a
--   kill or a script left behind shows here. All counts are 0 in a healthy database, but for keys and deliveries of bots that
--   were deleted a moment ago: the hub removes those itself.
-- Parameters: none.
-- Run: sqlite3 -bail data/hxa-connect.db <scripts/sql/sqlite/find-orphans.sql
-- Locks: nothing; it only reads, but it reads all messages.
-- Undo: nothing to undo.
-- Running hub: may run.

SELECT 'thread_messages' AS kind, 'without a thread' AS problem, count(*) AS count, min(m.thread_id) AS example
FROM thread_messages m WHERE NOT EXISTS (SELECT 1 FROM threads t WHERE t.id = m.thread_id)
UNION ALL
SELECT 'channel_messages' AS kind, 'without a channel' AS problem, count(*) AS count, min(m.channel_id) AS example
FROM channel_messages m WHERE NOT EXISTS (SELECT 1 FROM channels c WHERE c.id = m.channel_id)
UNION ALL
SELECT 'artifacts' AS kind, 'without a thread' AS problem, count(*) AS count, min(a.thread_id) AS example
FROM artifacts a WHERE NOT EXISTS (SELECT 1 FROM threads t WHERE t.id = a.thread_id)
UNION ALL
SELECT 'catchup_events' AS kind, 'without a bot' AS problem, count(*) AS count, min(e.target_bot_id) AS example
FROM catchup_events e WHERE NOT EXISTS (SELECT 1 FROM bots b WHERE b.id = e.target_bot_id)
UNION ALL
SELECT 'webhook_deliveries' AS kind, 'without a bot' AS problem, count(*) AS count, min(d.bot_id) AS example
FROM webhook_deliveries d WHERE NOT EXISTS (SELECT 1 FROM bots b WHERE b.id = d.bot_id)
UNION ALL
SELECT 'idempotency_keys' AS kind, 'without a bot' AS problem, count(*) AS count, min(i.bot_id) AS example
FROM idempotency_keys i WHERE NOT EXISTS (SELECT 1 FROM bots b WHERE b.id = i.bot_id)
UNION ALL
SELECT 'channels' AS kind, 'without either bot' AS problem, count(*) AS count, min(c.id) AS example
FROM channels c WHERE NOT EXISTS (SELECT 1 FROM bots b WHERE b.id IN (c.bot_low, c.bot_high))
UNION ALL
SELECT 'orgs' AS kind, 'whose deletion was begun and not finished' AS problem, count(*) AS count, min(o.id) AS example
FROM orgs o WHERE o.status = 'destroyed'
ORDER BY 3 DESC, 1;
