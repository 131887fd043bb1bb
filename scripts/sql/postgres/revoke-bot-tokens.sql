-- What: ends every credential of a bot: its primary token, its scoped tokens, and the sessions of the people who logged in as
--   it. The bot and what it wrote stay.
-- Parameters: bot (id of the bot).
-- Run: psql -v ON_ERROR_STOP=1 -v bot=ID -f scripts/sql/postgres/revoke-bot-tokens.sql "$HXA_CONNECT_DATABASE_URL"
-- Locks: the rows of the bot, its tokens and its sessions, for a moment.
-- Undo: cannot be undone, the tokens are known to nobody else; set-bot-token.sql gives the bot a new one.
-- Running hub: stop it first. It keeps organisations, bots, threads and who may come in in memory, and would go on by what it
--   knows; no signal makes it read them again. Sessions that are kept in Redis (auth.session_store) are not touched: end them
--   with POST /api/org/sessions/{session_id}/force-logout, or by emptying that Redis.

BEGIN;
INSERT INTO audit_log (org_id, id, bot_id, action, target_type, target_id, detail, created_at)
    SELECT org_id,
        (SELECT left(t, 8) || '-' || right(t, 4) || '-7' || left(r, 3) || '-8' || substr(r, 4, 3) || '-' || right(r, 12)
            FROM (SELECT lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') AS t,
                replace(gen_random_uuid()::text, '-', '') AS r) made),
        NULL, 'bot.token_revoke', 'bot', id, '{"token":"all","by":"sql"}',
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    FROM bots WHERE id = :'bot';
DELETE FROM sessions WHERE bot_id = :'bot';
DELETE FROM bot_tokens WHERE bot_id = :'bot';
-- The hash of nothing that anybody has.
UPDATE bots SET token_hash = encode(sha256((gen_random_uuid()::text || gen_random_uuid()::text)::bytea), 'hex') WHERE id = :'bot';
COMMIT;
SELECT id, name, (SELECT count(*) FROM bot_tokens t WHERE t.bot_id = b.id) AS scoped_tokens,
    (SELECT count(*) FROM sessions s WHERE s.bot_id = b.id) AS sessions
FROM bots b WHERE id = :'bot';
