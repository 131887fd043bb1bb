-- Webhooks: which events a bot wants, its secret of before the last rotation, the queue, and how its receiver fares.
-- A row of the queue is written in the transaction of what caused it. It has no foreign keys: a bot that is deleted at
-- the same moment must not make a message fail; rows without a bot are removed by their deliverer.

ALTER TABLE bots ADD COLUMN webhook_events TEXT;
ALTER TABLE bots ADD COLUMN webhook_old_secret TEXT;
ALTER TABLE bots ADD COLUMN webhook_old_secret_until BIGINT;

CREATE TABLE webhook_deliveries (
    bot_id TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    id TEXT COLLATE "C" NOT NULL,
    org_id TEXT COLLATE "C" NOT NULL,
    event TEXT NOT NULL,
    payload TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'dead')),
    attempts INTEGER NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    last_status INTEGER,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    PRIMARY KEY (bot_id, position, id)
);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (bot_id, position, id) WHERE finished_at IS NULL;
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at);

CREATE TABLE webhook_health (
    bot_id TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES bots (id) ON DELETE CASCADE,
    last_success BIGINT,
    last_failure BIGINT,
    consecutive_failures INTEGER NOT NULL,
    degraded BOOLEAN NOT NULL
);
