//! The tables of this feature. What their columns mean is said in the migrations.

diesel::table! {
    coordination_requests (id) {
        id -> Text,
        org_id -> Text,
        bot_id -> Text,
        agent_id -> Text,
        intent -> Text,
        urgency -> Text,
        state -> Text,
        context -> Text,
        response_schema -> Nullable<Text>,
        allow_edit -> Bool,
        timeout_policy -> Text,
        routing_hints -> Text,
        trace_id -> Nullable<Text>,
        idempotency_key -> Nullable<Text>,
        body_hash -> Nullable<Text>,
        responder_id -> Text,
        responder_key -> Text,
        thread_id -> Nullable<Text>,
        thread_owed -> Nullable<Text>,
        level -> Integer,
        progress -> Nullable<Text>,
        response_data -> Nullable<Text>,
        responded_by -> Nullable<Text>,
        responded_at -> Nullable<BigInt>,
        submitted_at -> BigInt,
        updated_at -> BigInt,
        timeout_at -> BigInt,
        delivered_at -> Nullable<BigInt>,
        due_at -> Nullable<BigInt>,
        slack -> Nullable<Text>,
        revision -> BigInt,
    }
}

diesel::table! {
    request_seats (org_id, responder_key, request_id) {
        org_id -> Text,
        responder_key -> Text,
        request_id -> Text,
        asked_until -> BigInt,
    }
}

diesel::table! {
    request_policies (org_id) {
        org_id -> Text,
        auto_approve -> Text,
        updated_at -> BigInt,
        slack_names -> Bool,
    }
}

diesel::table! {
    slack_outbox (request_id, seq) {
        request_id -> Text,
        seq -> BigInt,
        org_id -> Text,
        kind -> Text,
        of_seq -> Nullable<BigInt>,
        name -> Text,
        status -> Text,
        channel -> Nullable<Text>,
        ts -> Nullable<Text>,
        error -> Nullable<Text>,
        due_at -> BigInt,
        queued_at -> BigInt,
        failures -> Integer,
    }
}

diesel::table! {
    request_audit (org_id, event_id) {
        org_id -> Text,
        event_id -> Text,
        seq -> BigInt,
        request_id -> Text,
        event_type -> Text,
        actor -> Text,
        actor_type -> Text,
        payload -> Text,
        created_at -> BigInt,
        hash -> Text,
    }
}

diesel::table! {
    request_audit_heads (org_id) {
        org_id -> Text,
        event_id -> Text,
        seq -> BigInt,
        hash -> Text,
        purged_seq -> BigInt,
        purged_hash -> Text,
    }
}
