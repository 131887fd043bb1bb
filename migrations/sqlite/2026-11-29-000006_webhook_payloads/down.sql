ALTER TABLE webhook_health DROP COLUMN last_dropped;
ALTER TABLE webhook_health DROP COLUMN dropped;
ALTER TABLE webhook_health DROP COLUMN hold_until;
CREATE TABLE webhook_queue (
    bot_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    org_id TEXT NOT NULL,
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
) WITHOUT ROWID;
INSERT INTO webhook_queue (bot_id, position, id, org_id, event, payload, status, attempts, next_attempt_at, last_status,
        last_error, created_at, finished_at)
    SELECT d.bot_id, d.position, d.id, d.org_id, d.event, p.body,
        CASE WHEN d.status = 'unknown' THEN 'dead' ELSE d.status END, d.attempts, d.next_attempt_at, d.last_status,
        d.last_error, d.created_at, d.finished_at
    FROM webhook_deliveries d JOIN webhook_payloads p ON p.id = d.payload_id;
DROP TABLE webhook_deliveries;
DROP TABLE webhook_payloads;
ALTER TABLE webhook_queue RENAME TO webhook_deliveries;
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (bot_id, position, id) WHERE finished_at IS NULL;
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at);
