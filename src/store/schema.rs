//! The tables as diesel sees them, one declaration for both databases.
//!
//! A test keeps it equal to `migrations/` by comparing columns on SQLite and PostgreSQL. Only `store` imports this, and
//! features whose queries read a table of the kernel; features declare their own tables themselves.

diesel::table! {
    orgs (id) {
        id -> Text,
        name -> Text,
        secret_hash -> Text,
        persist_messages -> Bool,
        status -> Text,
        join_approval_required -> Bool,
        created_at -> BigInt,
    }
}

diesel::table! {
    org_settings (org_id) {
        org_id -> Text,
        messages_per_minute_per_bot -> Integer,
        threads_per_hour_per_bot -> Integer,
        file_upload_mb_per_day_per_bot -> Integer,
        message_ttl_days -> Nullable<Integer>,
        thread_auto_close_days -> Nullable<Integer>,
        artifact_retention_days -> Nullable<Integer>,
        default_thread_permission_policy -> Nullable<Text>,
        updated_at -> BigInt,
    }
}

diesel::table! {
    bots (id) {
        id -> Text,
        org_id -> Text,
        name -> Text,
        token_hash -> Text,
        auth_role -> Text,
        join_status -> Text,
        join_status_changed_by -> Nullable<Text>,
        join_status_changed_at -> Nullable<BigInt>,
        join_status_reason -> Nullable<Text>,
        metadata -> Nullable<Text>,
        webhook_url -> Nullable<Text>,
        webhook_secret -> Nullable<Text>,
        bio -> Nullable<Text>,
        role -> Nullable<Text>,
        function -> Nullable<Text>,
        team -> Nullable<Text>,
        tags -> Nullable<Text>,
        languages -> Nullable<Text>,
        protocols -> Nullable<Text>,
        status_text -> Nullable<Text>,
        timezone -> Nullable<Text>,
        active_hours -> Nullable<Text>,
        version -> Nullable<Text>,
        runtime -> Nullable<Text>,
        last_seen_at -> Nullable<BigInt>,
        created_at -> BigInt,
        webhook_events -> Nullable<Text>,
        webhook_old_secret -> Nullable<Text>,
        webhook_old_secret_until -> Nullable<BigInt>,
    }
}

diesel::table! {
    bot_tokens (id) {
        id -> Text,
        bot_id -> Text,
        token_hash -> Text,
        scopes -> Text,
        label -> Nullable<Text>,
        expires_at -> Nullable<BigInt>,
        created_at -> BigInt,
        last_used_at -> Nullable<BigInt>,
        parent_id -> Nullable<Text>,
    }
}

diesel::table! {
    org_tickets (id) {
        id -> Text,
        org_id -> Text,
        code -> Text,
        reusable -> Bool,
        skip_approval -> Bool,
        expires_at -> BigInt,
        consumed -> Bool,
        created_by -> Nullable<Text>,
        created_at -> BigInt,
        token_id -> Nullable<Text>,
    }
}

diesel::table! {
    invite_codes (id) {
        id -> Text,
        code_hash -> Text,
        code -> Nullable<Text>,
        label -> Nullable<Text>,
        max_uses -> Integer,
        use_count -> Integer,
        expires_at -> BigInt,
        created_at -> BigInt,
    }
}

diesel::table! {
    tombstones (id) {
        id -> Text,
        org_id -> Text,
        name -> Text,
        deleted_at -> BigInt,
        deleted_by -> Nullable<Text>,
    }
}

diesel::table! {
    sessions (id_hash) {
        id_hash -> Text,
        #[sql_name = "ref"]
        reference -> Text,
        role -> Text,
        org_id -> Nullable<Text>,
        bot_id -> Nullable<Text>,
        token_id -> Nullable<Text>,
        owner_name -> Nullable<Text>,
        scopes -> Nullable<Text>,
        is_scoped_token -> Bool,
        created_at -> BigInt,
        expires_at -> BigInt,
        person_id -> Nullable<Text>,
    }
}

diesel::table! {
    people (id) {
        id -> Text,
        org_id -> Text,
        handle -> Text,
        handle_key -> Text,
        display_name -> Text,
        role -> Text,
        slack_user_id -> Nullable<Text>,
        password_hash -> Nullable<Text>,
        is_disabled -> Bool,
        created_at -> BigInt,
        updated_at -> BigInt,
    }
}

diesel::table! {
    person_links (code_hash) {
        code_hash -> Text,
        person_id -> Text,
        org_id -> Text,
        expires_at -> BigInt,
        created_at -> BigInt,
    }
}

diesel::table! {
    audit_log (org_id, id) {
        org_id -> Text,
        id -> Text,
        bot_id -> Nullable<Text>,
        action -> Text,
        target_type -> Text,
        target_id -> Text,
        detail -> Nullable<Text>,
        created_at -> BigInt,
    }
}

diesel::table! {
    writer_marks (writer) {
        writer -> Text,
        batch -> BigInt,
    }
}

diesel::table! {
    channels (id) {
        id -> Text,
        org_id -> Text,
        bot_low -> Text,
        bot_high -> Text,
        created_at -> BigInt,
        last_activity_at -> BigInt,
    }
}

diesel::table! {
    channel_messages (channel_id, created_at, id) {
        channel_id -> Text,
        created_at -> BigInt,
        id -> Text,
        sender_id -> Text,
        content -> Text,
        content_type -> Text,
        parts -> Nullable<Text>,
        via_socket -> Bool,
    }
}

diesel::table! {
    threads (id) {
        id -> Text,
        org_id -> Text,
        topic -> Text,
        tags -> Nullable<Text>,
        status -> Text,
        initiator_id -> Nullable<Text>,
        channel_id -> Nullable<Text>,
        context -> Nullable<Text>,
        close_reason -> Nullable<Text>,
        permission_policy -> Nullable<Text>,
        visibility -> Text,
        join_policy -> Text,
        revision -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        last_activity_at -> BigInt,
        resolved_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    thread_participants (thread_id, bot_id) {
        thread_id -> Text,
        bot_id -> Text,
        label -> Nullable<Text>,
        joined_at -> BigInt,
    }
}

diesel::table! {
    thread_join_requests (id) {
        id -> Text,
        thread_id -> Text,
        bot_id -> Text,
        status -> Text,
        requested_at -> BigInt,
        resolved_at -> Nullable<BigInt>,
        resolved_by -> Nullable<Text>,
    }
}

diesel::table! {
    thread_messages (thread_id, created_at, id) {
        thread_id -> Text,
        created_at -> BigInt,
        id -> Text,
        sender_id -> Nullable<Text>,
        content -> Text,
        content_type -> Text,
        parts -> Nullable<Text>,
        metadata -> Nullable<Text>,
        mentions -> Nullable<Text>,
        mention_all -> Bool,
        reply_to_id -> Nullable<Text>,
        via_socket -> Bool,
    }
}

diesel::table! {
    artifacts (thread_id, artifact_key, version) {
        thread_id -> Text,
        artifact_key -> Text,
        version -> Integer,
        id -> Text,
        #[sql_name = "type"]
        kind -> Text,
        title -> Nullable<Text>,
        content -> Nullable<Text>,
        language -> Nullable<Text>,
        url -> Nullable<Text>,
        mime_type -> Nullable<Text>,
        contributor_id -> Nullable<Text>,
        format_warning -> Bool,
        via_socket -> Bool,
        created_at -> BigInt,
    }
}

diesel::table! {
    files (id) {
        id -> Text,
        org_id -> Text,
        uploader_id -> Nullable<Text>,
        name -> Text,
        mime_type -> Nullable<Text>,
        size -> BigInt,
        path -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    catchup_events (target_bot_id, id) {
        target_bot_id -> Text,
        id -> Text,
        org_id -> Text,
        #[sql_name = "type"]
        kind -> Text,
        payload -> Text,
        occurred_at -> BigInt,
    }
}

diesel::table! {
    webhook_deliveries (bot_id, position, id) {
        bot_id -> Text,
        position -> BigInt,
        id -> Text,
        org_id -> Text,
        event -> Text,
        lane -> Text,
        payload_id -> Text,
        bytes -> BigInt,
        status -> Text,
        attempts -> Integer,
        unanswered -> Integer,
        next_attempt_at -> BigInt,
        last_status -> Nullable<Integer>,
        last_error -> Nullable<Text>,
        created_at -> BigInt,
        finished_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    webhook_health (bot_id) {
        bot_id -> Text,
        last_success -> Nullable<BigInt>,
        last_failure -> Nullable<BigInt>,
        consecutive_failures -> Integer,
        degraded -> Bool,
        hold_until -> BigInt,
        dropped -> BigInt,
        last_dropped -> Nullable<BigInt>,
    }
}

diesel::table! {
    webhook_payloads (id) {
        id -> Text,
        org_id -> Text,
        bytes -> BigInt,
        body -> Text,
    }
}

diesel::table! {
    idempotency_keys (bot_id, key) {
        bot_id -> Text,
        key -> Text,
        fingerprint -> Text,
        answer -> Text,
        created_at -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    orgs,
    org_settings,
    bots,
    bot_tokens,
    org_tickets,
    invite_codes,
    tombstones,
    sessions,
    people,
    person_links,
    audit_log,
    channels,
    channel_messages,
    threads,
    thread_participants,
    thread_join_requests,
    thread_messages,
    artifacts,
    files,
    catchup_events,
    webhook_deliveries,
    webhook_health,
    webhook_payloads,
    idempotency_keys,
);
