DROP TABLE webhook_health;
DROP TABLE webhook_deliveries;
ALTER TABLE bots DROP COLUMN webhook_old_secret_until;
ALTER TABLE bots DROP COLUMN webhook_old_secret;
ALTER TABLE bots DROP COLUMN webhook_events;
