-- What a scoped token made: tokens and registration tickets end with the token that made them, and what those made in turn.
-- Nothing stands here for what the primary token made, or what was made before this step. The first key is looked at when
-- a transaction ends, because a copy inserts tokens in the order of their ids.

ALTER TABLE bot_tokens ADD COLUMN parent_id TEXT
    REFERENCES bot_tokens (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX bot_tokens_parent ON bot_tokens (parent_id);

ALTER TABLE org_tickets ADD COLUMN token_id TEXT REFERENCES bot_tokens (id) ON DELETE CASCADE;
CREATE INDEX org_tickets_token ON org_tickets (token_id);
