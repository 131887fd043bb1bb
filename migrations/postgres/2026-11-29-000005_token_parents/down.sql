DROP INDEX org_tickets_token;
ALTER TABLE org_tickets DROP COLUMN token_id;
DROP INDEX bot_tokens_parent;
ALTER TABLE bot_tokens DROP COLUMN parent_id;
