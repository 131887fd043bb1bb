-- Webhooks: a payload is stored once for all bots that are told of an event, and goes with the last delivery that needs
-- it. Deliveries know their size and their conversation, within which they keep their order; one that was sent without
-- an answer is a conversation of its own. Payloads have no foreign keys either.

CREATE TABLE webhook_payloads (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    org_id TEXT COLLATE "C" NOT NULL,
    bytes BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX webhook_payloads_org ON webhook_payloads (org_id, id, bytes);
INSERT INTO webhook_payloads (id, org_id, bytes, body)
    SELECT id, org_id, octet_length(payload), payload FROM webhook_deliveries
    ON CONFLICT DO NOTHING;

ALTER TABLE webhook_deliveries ADD COLUMN lane TEXT COLLATE "C" NOT NULL DEFAULT 'org';
ALTER TABLE webhook_deliveries ADD COLUMN payload_id TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE webhook_deliveries ADD COLUMN bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE webhook_deliveries ADD COLUMN unanswered INTEGER NOT NULL DEFAULT 0;
UPDATE webhook_deliveries SET
    lane = coalesce(payload::json ->> 'thread_id', payload::json -> 'thread' ->> 'id', payload::json ->> 'channel_id', 'org'),
    payload_id = id,
    bytes = octet_length(payload);
ALTER TABLE webhook_deliveries DROP COLUMN payload;
ALTER TABLE webhook_deliveries ALTER COLUMN lane DROP DEFAULT, ALTER COLUMN payload_id DROP DEFAULT,
    ALTER COLUMN bytes DROP DEFAULT, ALTER COLUMN unanswered DROP DEFAULT;
ALTER TABLE webhook_deliveries DROP CONSTRAINT webhook_deliveries_status_check;
ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_status_check
    CHECK (status IN ('pending', 'delivered', 'dead', 'unknown'));
DROP INDEX webhook_deliveries_pending;
DROP INDEX webhook_deliveries_finished;
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX webhook_deliveries_lanes ON webhook_deliveries (bot_id, lane, position, id) WHERE finished_at IS NULL;
CREATE INDEX webhook_deliveries_payload ON webhook_deliveries (payload_id);

ALTER TABLE webhook_health ADD COLUMN hold_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE webhook_health ADD COLUMN dropped BIGINT NOT NULL DEFAULT 0;
ALTER TABLE webhook_health ADD COLUMN last_dropped BIGINT;
ALTER TABLE webhook_health ALTER COLUMN hold_until DROP DEFAULT, ALTER COLUMN dropped DROP DEFAULT;
