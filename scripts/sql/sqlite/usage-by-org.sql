-- What: how much each organisation holds: bots, conversations, messages, artifact versions and files. One line each, the most
--   messages first.
-- Parameters: none.
-- Run: sqlite3 -bail data/hxa-connect.db <scripts/sql/sqlite/usage-by-org.sql
-- Locks: nothing; it only reads, and in WAL mode readers stop nobody.
-- Undo: nothing to undo.
-- Running hub: may run; the newest activity of a busy conversation is up to a few seconds old.

SELECT
    o.id AS org_id,
    o.name,
    o.status,
    (SELECT count(*) FROM bots b WHERE b.org_id = o.id) AS bots,
    (SELECT count(*) FROM threads t WHERE t.org_id = o.id) AS threads,
    (SELECT count(*) FROM threads t WHERE t.org_id = o.id AND t.status NOT IN ('resolved', 'closed')) AS open_threads,
    (SELECT count(*) FROM threads t JOIN thread_messages m ON m.thread_id = t.id WHERE t.org_id = o.id) AS thread_messages,
    (SELECT count(*) FROM threads t JOIN artifacts a ON a.thread_id = t.id WHERE t.org_id = o.id) AS artifact_versions,
    (SELECT count(*) FROM channels c WHERE c.org_id = o.id) AS channels,
    (SELECT count(*) FROM channels c JOIN channel_messages m ON m.channel_id = c.id WHERE c.org_id = o.id)
        AS direct_messages,
    (SELECT count(*) FROM files f WHERE f.org_id = o.id) AS files,
    (SELECT coalesce(sum(f.size), 0) FROM files f WHERE f.org_id = o.id) AS file_bytes,
    (SELECT max(t.last_activity_at) FROM threads t WHERE t.org_id = o.id) AS last_thread_activity_ms,
    (SELECT max(c.last_activity_at) FROM channels c WHERE c.org_id = o.id) AS last_channel_activity_ms
FROM orgs o
ORDER BY thread_messages DESC, direct_messages DESC, o.id;
