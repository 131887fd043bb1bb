ALTER TABLE request_policies DROP COLUMN slack_names;
DROP TABLE slack_outbox;
