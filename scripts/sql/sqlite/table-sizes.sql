-- What: the bytes of every table and index, and how full their pages are. A file much larger than the sum has free pages:
--   VACUUM gives them back. SQLite does not count how often an index is used; EXPLAIN QUERY PLAN tells whether a statement uses
--   one.
-- Parameters: none.
-- Run: sqlite3 -bail data/hxa-connect.db <scripts/sql/sqlite/table-sizes.sql
-- Locks: nothing; it only reads, and in WAL mode readers stop nobody. It reads every page of the file.
-- Undo: nothing to undo.
-- Running hub: may run.

SELECT
    s.tbl_name AS table_name,
    d.name,
    CASE WHEN d.name = s.tbl_name THEN 'table' ELSE 'index' END AS kind,
    sum(d.pgsize) AS bytes,
    sum(d.ncell) AS entries,
    round(100.0 * sum(d.payload) / sum(d.pgsize), 1) AS percent_used
FROM dbstat d JOIN sqlite_master s ON s.name = d.name
GROUP BY d.name
ORDER BY bytes DESC, d.name;

SELECT page_count * page_size AS file_bytes, freelist_count * page_size AS free_bytes
FROM pragma_page_count(), pragma_page_size(), pragma_freelist_count();
