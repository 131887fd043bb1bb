-- What: gives a bot a primary token that you chose, in place of the one it had. Make the token with: printf 'bot_%s' $(openssl
--   rand -hex 24), and its hash with: printf %s "$token" | sha256sum. Only the hash is stored.
-- Parameters: bot (id of the bot), token_hash (SHA-256 of the token, 64 hex digits in lower case; anything else changes
--   nothing).
-- Run: psql -v ON_ERROR_STOP=1 -v bot=ID -v token_hash=HASH -f scripts/sql/postgres/set-bot-token.sql "$HXA_CONNECT_DATABASE_URL"
-- Locks: the row of the bot, for a moment.
-- Undo: cannot be undone; the bot rotates its token itself by POST /api/me/rotate-token.
-- Running hub: stop it first. It keeps organisations, bots, threads and who may come in in memory, and would go on by what it
--   knows; no signal makes it read them again.

BEGIN;
INSERT INTO audit_log (org_id, id, bot_id, action, target_type, target_id, detail, created_at)
    SELECT org_id,
        (SELECT left(t, 8) || '-' || right(t, 4) || '-7' || left(r, 3) || '-8' || substr(r, 4, 3) || '-' || right(r, 12)
            FROM (SELECT lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') AS t,
                replace(gen_random_uuid()::text, '-', '') AS r) made),
        NULL, 'bot.token_rotate', 'bot', id, '{"by":"sql"}',
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    FROM bots WHERE id = :'bot' AND :'token_hash' ~ '^[0-9a-f]{64}$';
UPDATE bots SET token_hash = :'token_hash' WHERE id = :'bot' AND :'token_hash' ~ '^[0-9a-f]{64}$';
COMMIT;
SELECT id, name, token_hash = :'token_hash' AS is_set FROM bots WHERE id = :'bot';
