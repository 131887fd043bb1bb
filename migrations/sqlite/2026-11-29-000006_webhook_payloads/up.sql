-- Webhooks: a payload is stored once for all bots that are told of an event, and goes with the last delivery that needs
-- it. Deliveries know their size and their conversation, within which they keep their order; one that was sent without
-- an answer is a conversation of its own. Payloads have no foreign keys either.

CREATE TABLE webhook_payloads (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX webhook_payloads_org ON webhook_payloads (org_id, id, bytes);
INSERT OR IGNORE INTO webhook_payloads (id, org_id, bytes, body)
    SELECT id, org_id, length(CAST(payload AS BLOB)), payload FROM webhook_deliveries;

CREATE TABLE webhook_queue (
    bot_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    org_id TEXT NOT NULL,
    event TEXT NOT NULL,
    lane TEXT NOT NULL,
    payload_id TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'dead', 'unknown')),
    attempts INTEGER NOT NULL,
    unanswered INTEGER NOT NULL,
    next_attempt_at BIGINT NOT NULL,
    last_status INTEGER,
    last_error TEXT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    PRIMARY KEY (bot_id, position, id)
) WITHOUT ROWID;
INSERT INTO webhook_queue (bot_id, position, id, org_id, event, lane, payload_id, bytes, status, attempts, unanswered,
        next_attempt_at, last_status, last_error, created_at, finished_at)
    SELECT bot_id, position, id, org_id, event,
        CASE WHEN json_valid(payload) THEN coalesce(json_extract(payload, '$.thread_id'),
            json_extract(payload, '$.thread.id'), json_extract(payload, '$.channel_id'), 'org') ELSE 'org' END,
        id, length(CAST(payload AS BLOB)), status, attempts, 0, next_attempt_at, last_status, last_error, created_at,
        finished_at
    FROM webhook_deliveries;
DROP TABLE webhook_deliveries;
ALTER TABLE webhook_queue RENAME TO webhook_deliveries;
CREATE INDEX webhook_deliveries_lanes ON webhook_deliveries (bot_id, lane, position, id) WHERE finished_at IS NULL;
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX webhook_deliveries_payload ON webhook_deliveries (payload_id);

CREATE TABLE webhook_fares (
    bot_id TEXT NOT NULL PRIMARY KEY REFERENCES bots (id) ON DELETE CASCADE,
    last_success BIGINT,
    last_failure BIGINT,
    consecutive_failures INTEGER NOT NULL,
    degraded BOOLEAN NOT NULL,
    hold_until BIGINT NOT NULL,
    dropped BIGINT NOT NULL,
    last_dropped BIGINT
);
INSERT INTO webhook_fares (bot_id, last_success, last_failure, consecutive_failures, degraded, hold_until, dropped)
    SELECT bot_id, last_success, last_failure, consecutive_failures, degraded, 0, 0 FROM webhook_health;
DROP TABLE webhook_health;
ALTER TABLE webhook_fares RENAME TO webhook_health;
