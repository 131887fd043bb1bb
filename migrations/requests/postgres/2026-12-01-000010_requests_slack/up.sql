-- Messages about requests that Slack is to have, and those that it has as long as they may have to be changed. What a message says
-- is made of its request when it is sent.

CREATE TABLE slack_outbox (
    request_id TEXT COLLATE "C" NOT NULL REFERENCES coordination_requests (id) ON DELETE CASCADE,
    -- The order of a request's messages.
    seq BIGINT NOT NULL,
    org_id TEXT COLLATE "C" NOT NULL,
    -- A message that asks, or what takes its place: somebody else is asked, somebody may answer as well, it is over.
    kind TEXT NOT NULL CHECK (kind IN ('ask', 'reassigned', 'delegated', 'over')),
    -- The message that it takes the place of.
    of_seq BIGINT,
    -- Whom it names: who is asked, or who has withdrawn the request.
    name TEXT NOT NULL,
    -- waiting: to be sent; posted: Slack has it, and the request does not say so yet; sent; failed: given up, and the request does
    -- not say so yet.
    status TEXT NOT NULL CHECK (status IN ('waiting', 'posted', 'sent', 'failed')),
    -- Where it is, and why it was given up.
    channel TEXT,
    ts TEXT,
    error TEXT,
    due_at BIGINT NOT NULL,
    queued_at BIGINT NOT NULL,
    failures INTEGER NOT NULL,
    PRIMARY KEY (request_id, seq)
);
-- What a hub that starts has to go on with.
CREATE INDEX slack_outbox_open ON slack_outbox (org_id, request_id) WHERE status <> 'sent';

-- Whether Slack users who are no people of the organisation answer, as slack:<name>.
ALTER TABLE request_policies ADD COLUMN slack_names BOOLEAN NOT NULL DEFAULT false;
