-- Idempotency keys: what a bot was answered, so that a repeated request gets the same answer and does nothing again.
-- A row is written in the transaction of the request's effect. It has no foreign key: a bot that is deleted at the same
-- moment must not make a message fail; rows without a bot are removed after a day like all others.

CREATE TABLE idempotency_keys (
    bot_id TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    fingerprint TEXT NOT NULL,
    answer TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (bot_id, key)
);
CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at);
