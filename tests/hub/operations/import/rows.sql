-- An organisation at work. Marks: «name» is an id, ‹text› its SHA-256, and a number after the currency sign a time in ms.
INSERT INTO schema_versions VALUES ('thread_messages_mentions', ¤0), ('thread_permissions_v1', ¤0);
INSERT INTO orgs VALUES ('«org»', 'Acme', '‹the org secret›', 1, 'active', ¤0, 0),
    ('«closed org»', 'Closed', '‹closed secret›', 1, 'suspended', ¤1, 1);
INSERT INTO org_settings VALUES ('«org»', 77, 30, 100, NULL, 14, NULL, '{"write":["writer"]}', ¤5);
INSERT INTO bots (id, org_id, name, token, auth_role, metadata, bio, tags, protocols, webhook_url, webhook_secret, created_at,
    last_seen_at, join_status, join_status_changed_by) VALUES
    ('«ada»', '«org»', 'ada', '‹bot_ada›', 'admin', '{"a":1}', 'writes', '["x","y"]', '{"p":"1"}', NULL, NULL, ¤10, ¤900,
        'active', 'session:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'),
    ('«bob»', '«org»', 'bob', '‹bot_bob›', 'member', NULL, NULL, NULL, NULL, NULL, NULL, ¤20, NULL, 'active', NULL),
    ('«cleo»', '«org»', 'Cleo', '‹bot_cleo›', 'member', NULL, NULL, NULL, NULL, 'https://hooks.example/x', 'sign', ¤30, NULL,
        'pending', NULL);
INSERT INTO bot_tokens VALUES
    ('«scoped»', '«bob»', '‹scoped_read›', '["read"]', 'reader', NULL, ¤40, NULL),
    ('«old scoped»', '«bob»', '‹scoped_old›', '["full"]', NULL, ¤50, ¤40, ¤45);
INSERT INTO org_tickets VALUES
    ('«ticket»', '«org»', '‹the org secret›', 'tkt_0123456789abcdef', 1, 0, 0, 0, NULL, ¤50),
    ('«nameless ticket»', '«org»', '‹the org secret›', NULL, 0, 0, 0, 0, '«ada»', ¤51);
INSERT INTO platform_invite_codes VALUES
    ('«invite»', '‹hxa_0011223344556677›', 'hxa_0011223344556677', 'friends', 2, 1, 0, ¤60);
INSERT INTO deleted_bot_names VALUES ('«stone»', '«org»', 'ghost', ¤70, 'session');
INSERT INTO sessions VALUES
    ('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'org_admin', '«org»', NULL, NULL, NULL, 0, ¤80, ¤99999999),
    ('cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc', 'bot_owner', '«org»', '«bob»', 'Kim', NULL, 0, ¤81, ¤99999999),
    ('dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd', 'bot_owner', '«org»', '«bob»', NULL, '["read"]', 1, ¤82, ¤99999999),
    ('eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee', 'super_admin', NULL, NULL, NULL, NULL, 0, ¤83, ¤84);
INSERT INTO channels VALUES ('«dm»', '«org»', 'direct', NULL, ¤100), ('«twin dm»', '«org»', 'direct', NULL, ¤101),
    ('«widow dm»', '«org»', 'direct', NULL, ¤102);
INSERT INTO channel_members VALUES ('«dm»', '«ada»', ¤100), ('«dm»', '«bob»', ¤100), ('«twin dm»', '«ada»', ¤101),
    ('«twin dm»', '«bob»', ¤101), ('«widow dm»', '«ada»', ¤102);
INSERT INTO messages VALUES
    ('«m1»', '«dm»', '«ada»', 'hello bob', 'text', NULL, ¤110),
    ('«m2»', '«dm»', '«bob»', 'look', 'text', '[{"type":"text","content":"look"},{"type":"json","content":{"n":1}}]', ¤120),
    ('«m3»', '«twin dm»', '«ada»', 'from the twin', 'text', NULL, ¤130),
    ('«m4»', '«widow dm»', '«ghost»', 'last words', 'text', NULL, ¤140);
INSERT INTO threads VALUES
    ('«plan»', '«org»', 'The plan', '["urgent","collab"]', 'reviewing', '«ada»', '«dm»', '{"goal":"ship"}', NULL, 7,
        '{"close":["initiator"]}', 'members', 'approval', ¤200, ¤290, ¤300, NULL),
    ('«done»', '«org»', 'Done', NULL, 'closed', NULL, NULL, NULL, 'timeout', 3, NULL, 'public', 'open', ¤210, ¤220, ¤220, NULL);
INSERT INTO thread_participants VALUES ('«plan»', '«ada»', NULL, ¤200), ('«plan»', '«bob»', 'writer', ¤201),
    ('«done»', '«bob»', NULL, ¤210);
INSERT INTO thread_join_requests VALUES ('«request»', '«plan»', '«cleo»', 'pending', ¤230, NULL, NULL);
INSERT INTO thread_messages VALUES
    ('«t1»', '«plan»', '«ada»', 'first @bob', 'text', NULL, '{"k":[1]}', ¤240, '[{"bot_id":"«bob»","name":"bob"}]', 0, NULL),
    ('«t2»', '«plan»', '«bob»', 'second', 'text', NULL, NULL, ¤250, NULL, 0, '«t1»'),
    ('«t3»', '«plan»', NULL, 'from nobody', 'text', NULL, NULL, ¤260, NULL, 1, NULL);
INSERT INTO artifacts VALUES
    ('«a1»', '«plan»', 'notes', 'markdown', 'Notes', '# one', NULL, NULL, NULL, '«ada»', 1, 0, ¤270, ¤270),
    ('«a2»', '«plan»', 'notes', 'markdown', 'Notes', '# two', NULL, NULL, NULL, '«bob»', 2, 1, ¤300, ¤300);
INSERT INTO files VALUES ('«file»', '«org»', '«bob»', 'a.txt', 'text/plain', 5, 'files/old/a.txt', ¤310),
    ('«lost file»', '«org»', NULL, 'b.txt', 'text/plain', 9, 'files/old/b.txt', ¤311);
INSERT INTO catchup_events VALUES
    ('«c1»', '«org»', '«bob»', 'thread_invited', '{"thread_id":"«plan»","topic":"The plan","inviter":"«ada»"}', '«plan»', ¤201),
    ('«c2»', '«org»', '«bob»', 'thread_message_summary', '{"thread_id":"«plan»","topic":"The plan","count":1,"last_at":¤240}',
        '«plan»', ¤240),
    ('«c3»', '«org»', '«bob»', 'thread_status_changed', '{"thread_id":"«plan»","from":"active","to":"reviewing"}', '«plan»', ¤290);
INSERT INTO webhook_status VALUES ('«cleo»', ¤1, ¤2, 3, 0);
INSERT INTO audit_log VALUES
    ('«l1»', '«org»', '«ada»', 'thread.create', 'thread', '«plan»', '{"topic":"The plan","tags":["urgent"]}', ¤200),
    ('«l2»', '«org»', '«ada»', 'message.send', 'thread_message', '«t1»', '{"thread_id":"«plan»","via":"ws"}', ¤241),
    ('«l3»', '«org»', '«ada»', 'thread.status_changed', 'thread', '«plan»',
        '{"from":"active","to":"reviewing","close_reason":null}', ¤290),
    ('«l4»', '«org»', NULL, 'auth.login', 'session', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',
        '{"role":"org_admin","ip":"127.0.0.1"}', ¤80);
INSERT INTO rate_limit_events VALUES (1, '«org»', '«ada»', 'message', ¤240);
