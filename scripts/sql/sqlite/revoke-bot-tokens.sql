-- What: ends every credential of a bot: its primary token, its scoped tokens, and the sessions of the people who logged in as
--   it. The bot and what it wrote stay.
-- Parameters: bot (id of the bot).
-- Run: sqlite3 -bail -cmd ".parameter set :bot \"'ID'\"" data/hxa-connect.db <scripts/sql/sqlite/revoke-bot-tokens.sql
-- Locks: the rows of the bot, its tokens and its sessions, for a moment; on SQLite nobody else writes meanwhile.
-- Undo: cannot be undone, the tokens are known to nobody else; set-bot-token.sql gives the bot a new one.
-- Running hub: stop it first. It keeps organisations, bots, threads and who may come in in memory, and would go on by what it
--   knows; no signal makes it read them again. Sessions that are kept in Redis (auth.session_store) are not touched: end them
--   with POST /api/org/sessions/{session_id}/force-logout, or by emptying that Redis.

PRAGMA foreign_keys = ON;
BEGIN IMMEDIATE;
INSERT INTO audit_log (org_id, id, bot_id, action, target_type, target_id, detail, created_at)
    SELECT org_id,
        (SELECT substr(t, 1, 8) || '-' || substr(t, 9) || '-7' || substr(r, 1, 3) || '-8' || substr(r, 4, 3) || '-'
            || substr(r, 7, 12)
            FROM (SELECT printf('%012x', CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)) AS t,
                lower(hex(randomblob(9))) AS r) made),
        NULL, 'bot.token_revoke', 'bot', id, '{"token":"all","by":"sql"}',
        CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)
    FROM bots WHERE id = :bot;
DELETE FROM sessions WHERE bot_id = :bot;
DELETE FROM bot_tokens WHERE bot_id = :bot;
-- The hash of nothing that anybody has.
UPDATE bots SET token_hash = lower(hex(randomblob(32))) WHERE id = :bot;
COMMIT;
SELECT id, name, (SELECT count(*) FROM bot_tokens t WHERE t.bot_id = b.id) AS scoped_tokens,
    (SELECT count(*) FROM sessions s WHERE s.bot_id = b.id) AS sessions
FROM bots b WHERE id = :bot;
