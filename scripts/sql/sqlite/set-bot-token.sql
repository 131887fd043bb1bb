-- What: gives a bot a primary token that you chose, in place of the one it had. Make the token with: printf 'bot_%s' $(openssl
--   rand -hex 24), and its hash with: printf %s "$token" | sha256sum. Only the hash is stored.
-- Parameters: bot (id of the bot), token_hash (SHA-256 of the token, 64 hex digits in lower case; anything else changes
--   nothing).
-- Run: sqlite3 -bail -cmd ".parameter set :bot \"'ID'\"" -cmd ".parameter set :token_hash \"'HASH'\"" data/hxa-connect.db <scripts/sql/sqlite/set-bot-token.sql
-- Locks: the row of the bot, for a moment; on SQLite nobody else writes meanwhile.
-- Undo: cannot be undone; the bot rotates its token itself by POST /api/me/rotate-token.
-- Running hub: stop it first. It keeps organisations, bots, threads and who may come in in memory, and would go on by what it
--   knows; no signal makes it read them again.

PRAGMA foreign_keys = ON;
BEGIN IMMEDIATE;
INSERT INTO audit_log (org_id, id, bot_id, action, target_type, target_id, detail, created_at)
    SELECT org_id,
        (SELECT substr(t, 1, 8) || '-' || substr(t, 9) || '-7' || substr(r, 1, 3) || '-8' || substr(r, 4, 3) || '-'
            || substr(r, 7, 12)
            FROM (SELECT printf('%012x', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)) AS t,
                lower(hex(randomblob(9))) AS r) made),
        NULL, 'bot.token_rotate', 'bot', id, '{"by":"sql"}',
        CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
    FROM bots WHERE id = :bot AND length(:token_hash) = 64 AND :token_hash NOT GLOB '*[^0-9a-f]*';
UPDATE bots SET token_hash = :token_hash WHERE id = :bot AND length(:token_hash) = 64 AND :token_hash NOT GLOB '*[^0-9a-f]*';
COMMIT;
SELECT id, name, token_hash = :token_hash AS is_set FROM bots WHERE id = :bot;
