-- What: the size of every table with its indexes, rows alive and dead, when autovacuum last came by, and how often each index
--   was used since the statistics began. An index that is never used although the hub has been busy for weeks may be a mistake;
--   a table with many dead rows wants VACUUM.
-- Parameters: none.
-- Run: psql -v ON_ERROR_STOP=1 -f scripts/sql/postgres/table-sizes.sql "$HXA_CONNECT_DATABASE_URL"
-- Locks: nothing; it only reads.
-- Undo: nothing to undo.
-- Running hub: may run.

SELECT
    relname AS table_name,
    pg_total_relation_size(relid) AS total_bytes,
    pg_table_size(relid) AS table_bytes,
    pg_indexes_size(relid) AS index_bytes,
    n_live_tup AS live_rows,
    n_dead_tup AS dead_rows,
    seq_scan AS full_scans,
    idx_scan AS index_scans,
    last_autovacuum,
    last_autoanalyze
FROM pg_stat_user_tables
ORDER BY total_bytes DESC, table_name;

SELECT
    relname AS table_name,
    indexrelname AS index_name,
    pg_relation_size(indexrelid) AS index_bytes,
    idx_scan AS scans,
    idx_tup_read AS entries_read
FROM pg_stat_user_indexes
ORDER BY scans, index_bytes DESC, index_name;
