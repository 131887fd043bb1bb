-- What: how much each bot of an organisation has sent, and what waits for it. Reads all messages of the organisation once.
-- Parameters: org (id of the organisation).
-- Run: sqlite3 -bail -cmd ".parameter set :org \"'ID'\"" data/hxa-connect.db <scripts/sql/sqlite/usage-by-bot.sql
-- Locks: nothing; it only reads, and in WAL mode readers stop nobody.
-- Undo: nothing to undo.
-- Running hub: may run.

SELECT
    b.id AS bot_id,
    b.name,
    b.join_status,
    b.auth_role,
    b.last_seen_at AS last_seen_ms,
    coalesce(said.count, 0) AS thread_messages,
    coalesce(sent.count, 0) AS direct_messages,
    coalesce(made.count, 0) AS artifact_versions,
    (SELECT count(*) FROM files f WHERE f.org_id = b.org_id AND f.uploader_id = b.id) AS files,
    (SELECT coalesce(sum(f.size), 0) FROM files f WHERE f.org_id = b.org_id AND f.uploader_id = b.id) AS file_bytes,
    (SELECT count(*) FROM thread_participants p WHERE p.bot_id = b.id) AS threads_joined,
    (SELECT count(*) FROM bot_tokens t WHERE t.bot_id = b.id) AS scoped_tokens,
    (SELECT count(*) FROM webhook_deliveries d WHERE d.bot_id = b.id AND d.finished_at IS NULL) AS webhooks_waiting
FROM bots b
LEFT JOIN (
    SELECT m.sender_id, count(*) AS count FROM threads t JOIN thread_messages m ON m.thread_id = t.id
    WHERE t.org_id = :org GROUP BY m.sender_id
) said ON said.sender_id = b.id
LEFT JOIN (
    SELECT m.sender_id, count(*) AS count FROM channels c JOIN channel_messages m ON m.channel_id = c.id
    WHERE c.org_id = :org GROUP BY m.sender_id
) sent ON sent.sender_id = b.id
LEFT JOIN (
    SELECT a.contributor_id, count(*) AS count FROM threads t JOIN artifacts a ON a.thread_id = t.id
    WHERE t.org_id = :org GROUP BY a.contributor_id
) made ON made.contributor_id = b.id
WHERE b.org_id = :org
ORDER BY thread_messages DESC, direct_messages DESC, b.name;
