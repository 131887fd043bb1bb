-- The database of the original service, as its version 0.1.0 makes it.

CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO schema_version (version) VALUES (1);

CREATE TABLE coordination_requests (
    request_id TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL,
    intent TEXT NOT NULL,
    urgency TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'SUBMITTED',
    context_package TEXT NOT NULL,
    response_schema TEXT,
    timeout_policy TEXT NOT NULL,
    routing_hints TEXT NOT NULL,
    trace_id TEXT,
    idempotency_key TEXT UNIQUE,
    responder_id TEXT NOT NULL,
    response_data TEXT,
    responded_by TEXT,
    responded_at TEXT,
    submitted_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    timeout_at TEXT NOT NULL,
    delivered_at TEXT
);
CREATE INDEX idx_cr_state ON coordination_requests (state);
CREATE INDEX idx_cr_agent ON coordination_requests (agent_id);
CREATE INDEX idx_cr_responder ON coordination_requests (responder_id);
CREATE INDEX idx_cr_timeout ON coordination_requests (timeout_at);

CREATE TABLE audit_events (
    event_id TEXT PRIMARY KEY,
    request_id TEXT NOT NULL REFERENCES coordination_requests (request_id),
    event_type TEXT NOT NULL,
    actor TEXT NOT NULL,
    actor_type TEXT NOT NULL,
    payload TEXT NOT NULL DEFAULT '{}',
    created_at TEXT NOT NULL
);
CREATE INDEX idx_audit_request ON audit_events (request_id);

CREATE TABLE api_keys (
    key_id TEXT PRIMARY KEY,
    key_hash TEXT NOT NULL UNIQUE,
    agent_id TEXT NOT NULL,
    label TEXT NOT NULL,
    scopes TEXT NOT NULL DEFAULT '[]',
    created_at TEXT NOT NULL,
    revoked_at TEXT
);
