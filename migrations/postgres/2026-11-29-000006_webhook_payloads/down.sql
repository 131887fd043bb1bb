ALTER TABLE webhook_health DROP COLUMN last_dropped;
ALTER TABLE webhook_health DROP COLUMN dropped;
ALTER TABLE webhook_health DROP COLUMN hold_until;
ALTER TABLE webhook_deliveries ADD COLUMN payload TEXT;
UPDATE webhook_deliveries SET payload = p.body FROM webhook_payloads p WHERE p.id = webhook_deliveries.payload_id;
DELETE FROM webhook_deliveries WHERE payload IS NULL;
UPDATE webhook_deliveries SET status = 'dead' WHERE status = 'unknown';
ALTER TABLE webhook_deliveries ALTER COLUMN payload SET NOT NULL;
ALTER TABLE webhook_deliveries DROP CONSTRAINT webhook_deliveries_status_check;
ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_status_check
    CHECK (status IN ('pending', 'delivered', 'dead'));
DROP INDEX webhook_deliveries_payload;
DROP INDEX webhook_deliveries_lanes;
ALTER TABLE webhook_deliveries DROP COLUMN unanswered, DROP COLUMN bytes, DROP COLUMN payload_id, DROP COLUMN lane;
DROP TABLE webhook_payloads;
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (bot_id, position, id) WHERE finished_at IS NULL;
DROP INDEX webhook_deliveries_finished;
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at);
