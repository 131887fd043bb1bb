-- Coordination requests: what agents ask people, and the tamper-evident record of what became of it.
-- Ids of requests and audit events are ULIDs, whose order is that of time; times are milliseconds.

CREATE TABLE coordination_requests (
    id TEXT NOT NULL PRIMARY KEY,
    org_id TEXT NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    -- The bot that asks; no foreign key, because its requests stay when it is deleted.
    bot_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    intent TEXT NOT NULL CHECK (intent IN (
        'APPROVAL', 'CLARIFICATION', 'ESCALATION', 'NOTIFICATION', 'DECISION', 'REVIEW', 'INPUT'
    )),
    urgency TEXT NOT NULL CHECK (urgency IN ('CRITICAL', 'HIGH', 'MEDIUM', 'LOW')),
    state TEXT NOT NULL CHECK (state IN (
        'SUBMITTED', 'ROUTING', 'PENDING_RESPONSE', 'RESPONDED', 'DELIVERED', 'ESCALATED', 'TIMED_OUT', 'CANCELLED'
    )),
    context TEXT NOT NULL,
    response_schema TEXT,
    allow_edit BOOLEAN NOT NULL,
    timeout_policy TEXT NOT NULL,
    routing_hints TEXT NOT NULL,
    trace_id TEXT,
    idempotency_key TEXT,
    -- Of what was asked under an idempotency key.
    body_hash TEXT,
    responder_id TEXT NOT NULL,
    -- The responder as lists find it: ignoring case, as people's handles do; empty while a quorum is asked instead.
    responder_key TEXT NOT NULL,
    thread_id TEXT,
    -- The state that the thread must still be told of.
    thread_owed TEXT,
    level INTEGER NOT NULL,
    -- Votes and who may answer as well, as JSON, where there is such.
    progress TEXT,
    response_data TEXT,
    responded_by TEXT,
    responded_at BIGINT,
    submitted_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    timeout_at BIGINT NOT NULL,
    delivered_at BIGINT,
    -- The deadline while the request is open, else null.
    due_at BIGINT,
    slack TEXT,
    -- Counts the changes: each one names the revision that it was computed on.
    revision BIGINT NOT NULL
);
CREATE UNIQUE INDEX coordination_requests_idempotency ON coordination_requests (bot_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX coordination_requests_org ON coordination_requests (org_id, id);
CREATE INDEX coordination_requests_agent ON coordination_requests (bot_id, id);
CREATE INDEX coordination_requests_responder ON coordination_requests (org_id, responder_key, id);
-- Queues: open requests alone, so that they are read as fast after a hundred thousand answered ones. The last column spares a
-- look at each row.
CREATE INDEX coordination_requests_queue ON coordination_requests (org_id, responder_key, id, due_at)
    WHERE due_at IS NOT NULL;
CREATE INDEX coordination_requests_open ON coordination_requests (org_id, id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX coordination_requests_trace ON coordination_requests (org_id, trace_id, id) WHERE trace_id IS NOT NULL;
-- Threads that wait for somebody, and those that must still be told something.
CREATE INDEX coordination_requests_thread ON coordination_requests (thread_id)
    WHERE thread_id IS NOT NULL AND due_at IS NOT NULL;
CREATE INDEX coordination_requests_owed ON coordination_requests (org_id, thread_id, id) WHERE thread_owed IS NOT NULL;

-- Who sees a request besides the responder of its row: members of a quorum, to whom it was delegated, who has answered.
CREATE TABLE request_seats (
    org_id TEXT NOT NULL,
    responder_key TEXT NOT NULL,
    request_id TEXT NOT NULL REFERENCES coordination_requests (id) ON DELETE CASCADE,
    -- Until when they are asked, ms; 0 where they only have answered.
    asked_until BIGINT NOT NULL,
    PRIMARY KEY (org_id, responder_key, request_id)
) WITHOUT ROWID;
CREATE INDEX request_seats_request ON request_seats (request_id);

-- What an organisation lets requests do by themselves, as JSON.
CREATE TABLE request_policies (
    org_id TEXT NOT NULL PRIMARY KEY REFERENCES orgs (id) ON DELETE CASCADE,
    auto_approve TEXT NOT NULL,
    updated_at BIGINT NOT NULL
) WITHOUT ROWID;

-- What happened to requests, each row bound to the one before it by its hash, per organisation; never changed.
CREATE TABLE request_audit (
    org_id TEXT NOT NULL,
    -- In the order of `seq`.
    event_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    request_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    actor TEXT NOT NULL,
    actor_type TEXT NOT NULL CHECK (actor_type IN ('AGENT', 'HUMAN', 'SYSTEM')),
    payload TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (org_id, event_id)
) WITHOUT ROWID;
CREATE INDEX request_audit_request ON request_audit (request_id, event_id);

-- The newest row of each organisation's chain, and up to where its oldest rows were let go.
CREATE TABLE request_audit_heads (
    org_id TEXT NOT NULL PRIMARY KEY,
    event_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    hash TEXT NOT NULL,
    purged_seq BIGINT NOT NULL,
    purged_hash TEXT NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER request_audit_keeps_rows BEFORE UPDATE ON request_audit
BEGIN
    SELECT RAISE(ABORT, 'request_audit is append-only');
END;

-- REPLACE removes rows without the trigger of a removal.
CREATE TRIGGER request_audit_replaces_none BEFORE INSERT ON request_audit
WHEN EXISTS (SELECT 1 FROM request_audit a WHERE a.org_id = NEW.org_id AND a.event_id = NEW.event_id)
BEGIN
    SELECT RAISE(ABORT, 'request_audit is append-only');
END;

-- Rows go when retention has moved the start of the chain behind them, or with the whole chain of an organisation.
CREATE TRIGGER request_audit_loses_none BEFORE DELETE ON request_audit
WHEN EXISTS (SELECT 1 FROM request_audit_heads h WHERE h.org_id = OLD.org_id AND h.purged_seq < OLD.seq)
BEGIN
    SELECT RAISE(ABORT, 'request_audit is append-only');
END;
