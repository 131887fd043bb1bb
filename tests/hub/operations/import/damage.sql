-- What a database may look like after years without anybody looking: rows that belong to nothing, words nobody knows.
INSERT INTO orgs VALUES ('«org»', 'Acme', 'a secret in clear', 1, 'frozen', ¤0, 0), ('not-a-uuid', 'X', '‹x›', 1, 'active', ¤0, 0);
INSERT INTO org_settings VALUES ('«no org»', 1, 1, 1, NULL, NULL, NULL, NULL, 0);
INSERT INTO bots (id, org_id, name, token, metadata, auth_role, join_status, created_at) VALUES
    ('«ada»', '«org»', 'ada', '‹bot_ada›', '{broken', 'king', 'active', ¤1),
    ('«ada two»', '«org»', 'ada', '‹bot_ada_2›', NULL, 'member', 'maybe', ¤2),
    ('«like an id»', '«org»', '0192F0C1-2345-7ABC-8DEF-0123456789AB', '‹bot_id›', NULL, 'member', 'active', ¤3),
    ('«orphan»', '«no org»', 'orphan', '‹bot_orphan›', NULL, 'member', 'active', ¤3);
INSERT INTO bot_tokens VALUES ('«token»', '«ada»', '‹scoped_x›', 'full', NULL, NULL, ¤4, NULL),
    ('«lost token»', '«nobody»', '‹scoped_y›', '["full"]', NULL, NULL, ¤4, NULL);
INSERT INTO deleted_bot_names VALUES ('no-uuid', '«org»', 'ghost', ¤4, NULL);
INSERT INTO channels VALUES ('«dm»', '«org»', 'direct', NULL, ¤5), ('«group»', '«org»', 'group', 'all', ¤5);
INSERT INTO channel_members VALUES ('«dm»', '«ada»', ¤5), ('«dm»', '«ada two»', ¤5);
INSERT INTO messages VALUES ('«m1»', '«dm»', '«ada»', 'kept', 'text', 'no json', ¤6),
    ('«m2»', '«group»', '«ada»', 'lost', 'text', NULL, ¤6), ('«m3»', '«nowhere»', '«ada»', 'lost', 'text', NULL, ¤6);
INSERT INTO threads (id, org_id, topic, status, initiator_id, visibility, join_policy, created_at) VALUES
    ('«odd»', '«org»', 'Odd', 'pondering', '«nobody»', 'sometimes', 'perhaps', ¤7);
INSERT INTO thread_participants VALUES ('«odd»', '«ada»', NULL, ¤7), ('«odd»', '«nobody»', NULL, ¤7),
    ('«nowhere»', '«ada»', NULL, ¤7);
INSERT INTO thread_messages (id, thread_id, sender_id, content, metadata, created_at) VALUES
    ('«t1»', '«odd»', '«ada»', 'kept', '{"a":', ¤8), ('«t2»', '«nowhere»', '«ada»', 'lost', NULL, ¤8);
INSERT INTO artifacts (id, thread_id, artifact_key, type, version, created_at) VALUES ('«a1»', '«odd»', 'k', 'hologram', 1, ¤9),
    ('«a2»', '«odd»', 'k', 'text', 1, ¤9);
INSERT INTO files VALUES ('«file»', '«org»', NULL, 'x', NULL, 1, '../../etc/passwd', ¤9);
INSERT INTO audit_log VALUES ('«l1»', '«org»', NULL, 'thread.create', 'thread', '«odd»', 'no json', ¤9),
    ('«l2»', '«no org»', NULL, 'thread.create', 'thread', '«odd»', NULL, ¤9);
