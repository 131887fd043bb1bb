-- What: notes in a database whose schema was made by running the up.sql files by hand that all of them are in, as the hub and
--   the diesel CLI would have noted it. Without these rows a hub would try to make the tables again, and fail.
-- Parameters: none.
-- Run: sqlite3 -bail data/hxa-connect.db <scripts/sql/sqlite/mark-migrations.sql
-- Locks: the small table of notes, for a moment.
-- Undo: DROP TABLE __diesel_schema_migrations, as long as no hub and no diesel CLI has used the database.
-- Running hub: none may be running; run it after the up.sql files of this very version and before the first start.

CREATE TABLE IF NOT EXISTS __diesel_schema_migrations (
    version VARCHAR(50) PRIMARY KEY NOT NULL,
    run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
);
INSERT INTO __diesel_schema_migrations (version) VALUES
    ('20261121000001'),
    ('20261121000002'),
    ('20261121000003'),
    ('20261121000004'),
    ('20261129000005'),
    ('20261129000006'),
    ('20261201000007'),
    ('20261201000009'),
    ('20261201000010')
ON CONFLICT (version) DO NOTHING;
SELECT version, run_on FROM __diesel_schema_migrations ORDER BY version;
