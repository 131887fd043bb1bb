//! The two sets of migrations against each other and against the tables as the code sees them; up, down and up again;
//! and what `hxa-connect migrate` does and does not do.

use std::collections::BTreeSet;

use diesel::sql_types::Text;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use hxa_connect::features::FEATURES;
use hxa_connect::store::migrate;
use hxa_connect::store::{Backend, PostgresTarget};

use crate::harness::*;

/// What a schema consists of, one sentence each.
type Sentences = BTreeSet<String>;

const SQLITE_SCHEMA: [&str; 5] = [
    r#"SELECT t.name || '.' || c.name || ' ' || c.type || CASE WHEN c."notnull" THEN ' NOT NULL' ELSE '' END
        || coalesce(' DEFAULT ' || c.dflt_value, '') AS line
        FROM sqlite_master t, pragma_table_info(t.name) c WHERE t.type = 'table'"#,
    r"SELECT t.name || CASE i.origin WHEN 'c' THEN ' INDEX ' || i.name WHEN 'u' THEN ' KEY' ELSE ' PRIMARY KEY' END
        || ' (' || (SELECT group_concat(coalesce(k.name, '?'), ', ')
            FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno) k) || ')'
        || CASE WHEN i.[unique] THEN ' UNIQUE' ELSE '' END || CASE WHEN i.partial THEN ' WHERE' ELSE '' END AS line
        FROM sqlite_master t, pragma_index_list(t.name) i WHERE t.type = 'table'",
    r#"SELECT t.name || ' FOREIGN KEY (' || f."from" || ') REFERENCES ' || f."table" || ' (' || f."to"
        || ') ON DELETE ' || f.on_delete || ' ON UPDATE ' || f.on_update AS line
        FROM sqlite_master t, pragma_foreign_key_list(t.name) f WHERE t.type = 'table'"#,
    r"SELECT t.name || ' CHECKS ' || ((length(t.sql) - length(replace(t.sql, 'CHECK (', ''))) / 7) AS line
        FROM sqlite_master t WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%'",
    "SELECT type || ' ' || name AS line FROM sqlite_master WHERE type NOT IN ('table', 'index')",
];

const POSTGRES_SCHEMA: [&str; 5] = [
    r"SELECT t.relname || '.' || c.attname || ' ' || upper(format_type(c.atttypid, c.atttypmod))
        || CASE WHEN c.attnotnull THEN ' NOT NULL' ELSE '' END
        || coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '') AS line
        FROM pg_class t JOIN pg_attribute c ON c.attrelid = t.oid AND c.attnum > 0 AND NOT c.attisdropped
        LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = c.attnum
        WHERE t.relkind = 'r' AND t.relnamespace = 'public'::regnamespace",
    r"SELECT t.relname || CASE WHEN o.contype IS NULL THEN ' INDEX ' || n.relname
            WHEN o.contype = 'u' THEN ' KEY' ELSE ' PRIMARY KEY' END
        || ' (' || (SELECT string_agg(coalesce(c.attname, '?'), ', ' ORDER BY k.position)
            FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (attnum, position)
            LEFT JOIN pg_attribute c ON c.attrelid = t.oid AND c.attnum = k.attnum AND k.attnum > 0) || ')'
        || CASE WHEN i.indisunique THEN ' UNIQUE' ELSE '' END
        || CASE WHEN i.indpred IS NOT NULL THEN ' WHERE' ELSE '' END AS line
        FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class n ON n.oid = i.indexrelid
        LEFT JOIN pg_constraint o ON o.conindid = i.indexrelid AND o.contype IN ('p', 'u')
        WHERE t.relnamespace = 'public'::regnamespace",
    r"SELECT t.relname || ' FOREIGN KEY (' || a.attname || ') REFERENCES ' || r.relname || ' (' || b.attname
        || ') ON DELETE ' || (ARRAY['NO ACTION', 'CASCADE', 'SET NULL'])[position(f.confdeltype::text in 'acn')]
        || ' ON UPDATE ' || (ARRAY['NO ACTION', 'CASCADE', 'SET NULL'])[position(f.confupdtype::text in 'acn')] AS line
        FROM pg_constraint f JOIN pg_class t ON t.oid = f.conrelid JOIN pg_class r ON r.oid = f.confrelid
        CROSS JOIN unnest(f.conkey, f.confkey) k (own, other)
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.own
        JOIN pg_attribute b ON b.attrelid = r.oid AND b.attnum = k.other
        WHERE f.contype = 'f' AND t.relnamespace = 'public'::regnamespace",
    r"SELECT t.relname || ' CHECKS ' || (SELECT count(*) FROM pg_constraint o
            WHERE o.conrelid = t.oid AND o.contype = 'c') AS line
        FROM pg_class t WHERE t.relkind = 'r' AND t.relnamespace = 'public'::regnamespace",
    r"SELECT 'other ' || relname AS line FROM pg_class
        WHERE relkind NOT IN ('r', 'i') AND relnamespace = 'public'::regnamespace
        UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
            WHERE NOT tgisinternal AND relnamespace = 'public'::regnamespace
        UNION ALL SELECT 'type ' || typname FROM pg_type
            WHERE typnamespace = 'public'::regnamespace AND typtype <> 'c' AND typelem = 0",
];

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

fn backend(database: &Database) -> Backend {
    match database.postgres_url() {
        Some(url) => Backend::Postgres(PostgresTarget { url: url.to_owned(), statement_timeout_ms: 10_000 }),
        None => Backend::Sqlite(database.sqlite_path()),
    }
}

fn migrate(backend: &Backend) -> Result<Vec<String>, String> {
    migrate::migrate(&FEATURES.catalogue(), backend)
}

fn pending(backend: &Backend) -> Result<Vec<String>, String> {
    migrate::pending(&FEATURES.catalogue(), backend)
}

fn revert_all(backend: &Backend) -> Result<(), String> {
    migrate::revert_all(&FEATURES.catalogue(), backend)
}

fn sqlite(database: &Database) -> SqliteConnection {
    SqliteConnection::establish(&database.sqlite_path().to_string_lossy()).unwrap()
}

/// The schema of a database, without what diesel keeps for itself.
fn schema(database: &Database) -> Sentences {
    let lines: Vec<Line> = match database.postgres_url() {
        Some(url) => {
            let mut conn = PgConnection::establish(url).unwrap();
            POSTGRES_SCHEMA.iter().flat_map(|sql| sql_query(*sql).load(&mut conn).unwrap()).collect()
        }
        None => {
            let mut conn = sqlite(database);
            SQLITE_SCHEMA.iter().flat_map(|sql| sql_query(*sql).load(&mut conn).unwrap()).collect()
        }
    };
    lines.into_iter().map(|line| line.line).filter(|line| !line.contains("__diesel")).collect()
}

fn both() -> Vec<Database> {
    [Db::Sqlite, Db::Postgres].into_iter().filter_map(Database::fresh).collect()
}

#[track_caller]
fn same(what: &str, one: &Sentences, other: &Sentences) {
    let only = |a: &Sentences, b: &Sentences| a.difference(b).cloned().collect::<Vec<_>>().join("\n");
    assert!(one == other, "{what}\nonly the first:\n{}\nonly the second:\n{}", only(one, other), only(other, one));
}

#[test]
fn both_databases_get_the_same_schema() {
    let databases = both();
    let schemas: Vec<Sentences> = databases
        .iter()
        .map(|database| {
            migrate(&backend(database)).unwrap();
            schema(database)
        })
        .collect();
    let kinds = [" TEXT NOT NULL", " BIGINT", " INTEGER", " BOOLEAN NOT NULL", " INDEX ", " PRIMARY KEY ", " KEY ("];
    for kind in kinds.into_iter().chain([" FOREIGN KEY ", " UNIQUE WHERE", ") WHERE", " CHECKS 4"]) {
        assert!(schemas[0].iter().any(|line| line.contains(kind)), "no{kind}: {:#?}", schemas[0]);
    }
    if let [sqlite, postgres] = &schemas[..] {
        // A trigger of PostgreSQL calls a function, and only there a table can be truncated; SQLite alone can replace a row.
        let is_own = |line: &&String| {
            line.starts_with("function ") || line.ends_with("_keeps_all") || line.ends_with("_replaces_none")
        };
        let shared = |lines: &Sentences| lines.iter().filter(|line| !is_own(line)).cloned().collect();
        same("SQLite and PostgreSQL differ", &shared(sqlite), &shared(postgres));
    }
}

/// The `schema.rs` of the store and of every feature.
fn declarations() -> String {
    let crates = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).unwrap();
    let files = crates.filter_map(|folder| std::fs::read_to_string(folder.unwrap().path().join("schema.rs")).ok());
    files.filter(|text| text.contains("diesel::table!")).collect()
}

#[test]
fn the_declared_tables_are_those_of_the_migrations() {
    let database = Database::fresh(Db::Sqlite).unwrap();
    migrate(&backend(&database)).unwrap();
    let mut declared = Sentences::new();
    let (mut table, mut column) = (String::new(), None);
    for line in declarations().lines().map(str::trim) {
        if let Some((name, keys)) = line.strip_suffix(") {").and_then(|line| line.split_once(" (")) {
            table = name.to_owned();
            declared.insert(format!("{name} PRIMARY KEY ({keys}) UNIQUE"));
        } else if let Some(name) = line.strip_prefix("#[sql_name = \"") {
            column = Some(name.trim_end_matches("\"]").to_owned());
        } else if let Some((name, kind)) = line.trim_end_matches(',').split_once(" -> ") {
            let bare = kind.trim_start_matches("Nullable<").trim_end_matches('>');
            let kind = bare.to_uppercase().replace("BOOL", "BOOLEAN") + if bare == kind { " NOT NULL" } else { "" };
            declared.insert(format!("{table}.{} {kind}", column.take().unwrap_or_else(|| name.to_owned())));
        }
    }
    let is_declared = |line: &String| line.contains(" PRIMARY KEY ") || line.split(' ').next().unwrap().contains('.');
    // Declarations have no defaults; a column that was added later needs one.
    let bare = |line: String| line.split(" DEFAULT ").next().unwrap_or_default().to_owned();
    let made = schema(&database).into_iter().filter(is_declared).map(bare).collect();
    same("schema.rs and the migrations differ", &declared, &made);
}

#[test]
fn up_down_and_up_again_is_up() {
    for database in both() {
        let backend = backend(&database);
        let steps = migrate(&backend).unwrap();
        assert_eq!(migrate(&backend).unwrap(), Vec::<String>::new(), "{database}: nothing is applied twice");
        let before = schema(&database);
        revert_all(&backend).unwrap();
        same("something is left behind", &schema(&database), &Sentences::new());
        assert_eq!(pending(&backend).unwrap(), steps, "{database}");
        assert_eq!(migrate(&backend).unwrap(), steps, "{database}");
        same("the second time is not as the first", &before, &schema(&database));
    }
}

/// The folders of all steps for a kind of database, the kernel's and those of features, in their order.
pub fn steps(migrations: &std::path::Path, kind: &str) -> Vec<std::path::PathBuf> {
    let folders = |path: std::path::PathBuf| {
        let entries = std::fs::read_dir(path).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let of_features = folders(migrations.to_owned()).into_iter().map(|feature| feature.join(kind));
    let mut steps: Vec<_> = of_features.chain([migrations.join(kind)]).flat_map(folders).collect();
    steps.sort_by_key(|step| step.file_name().unwrap().to_owned());
    steps
}

/// What an operator who will not let a program make tables does: the files in order, by hand, then the notes.
#[test]
fn the_files_run_by_hand_make_the_same_schema_and_the_hub_accepts_it() {
    for (made, by_hand) in both().into_iter().zip(both()) {
        let Some(shell) = SqlShell::of(&by_hand) else { continue };
        migrate(&backend(&made)).unwrap();
        let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        let steps = steps(&root.join("migrations"), shell.folder());
        steps
            .iter()
            .for_each(|step| assert_eq!(shell.run(&step.join("up.sql"), &[]), Vec::<String>::new(), "{by_hand}"));
        same("by hand and by the hub differ", &schema(&made), &schema(&by_hand));
        let said = migrate(&backend(&by_hand)).unwrap_err();
        assert!(said.contains("already exists"), "without notes the hub would begin anew: {said}");
        shell.run(&root.join("scripts/sql").join(shell.folder()).join("mark-migrations.sql"), &[]);
        assert_eq!(run(&by_hand, &["migrate"]), (true, "The database is up to date.\n".to_owned()), "{by_hand}");
        same("the hub changed what was made by hand", &schema(&made), &schema(&by_hand));
        let notes = "SELECT version FROM __diesel_schema_migrations ORDER BY version";
        assert_eq!(shell.query(notes), SqlShell::of(&made).unwrap().query(notes), "{by_hand}");
        revert_all(&backend(&by_hand)).unwrap();
        same("something is left behind", &schema(&by_hand), &Sentences::new());
    }
}

/// The diesel CLI reads the folder that diesel.toml names; this is what it does with it.
#[test]
fn the_diesel_cli_finds_the_steps_that_the_hub_has() {
    use diesel_migrations::{FileBasedMigrations, MigrationHarness};
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let settings: toml::Table = std::fs::read_to_string(root.join("diesel.toml")).unwrap().parse().unwrap();
    assert_eq!(settings.keys().collect::<Vec<_>>(), ["migrations_directory"], "the CLI writes schema.rs when told to");
    let named = settings["migrations_directory"]["dir"].as_str().unwrap();
    assert_eq!(named, "migrations/postgres");
    for database in both() {
        let folder = if database.postgres_url().is_some() { named } else { "migrations/sqlite" };
        let steps = FileBasedMigrations::from_path(root.join(folder)).unwrap();
        let applied = match database.postgres_url() {
            Some(url) => PgConnection::establish(url).unwrap().run_pending_migrations(steps).unwrap().len(),
            None => sqlite(&database).run_pending_migrations(steps).unwrap().len(),
        };
        assert!(applied >= 4, "{database}");
        let rest = pending(&backend(&database)).unwrap();
        let is_kernel_s = |step: &String| root.join(folder).join(step).exists();
        assert!(!rest.iter().any(is_kernel_s), "{database}: the hub finds all of them applied, and not {rest:?}");
        assert_eq!(migrate(&backend(&database)).unwrap(), rest, "{database}: those of features come behind them");
    }
}

/// Runs `hxa-connect` on a database; its exit code and all that it printed.
fn run(database: &Database, args: &[&str]) -> (bool, String) {
    let outcome = cli_on(database, args);
    let said = [outcome.stdout, outcome.stderr].concat();
    (outcome.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn a_dry_run_names_the_steps_and_changes_nothing() {
    for database in both() {
        let backend = backend(&database);
        let would = pending(&backend).unwrap().iter().map(|step| format!("would apply {step}\n")).collect::<String>();
        for _ in 0..2 {
            assert_eq!(run(&database, &["migrate", "--dry-run"]), (true, would.clone()), "{database}");
        }
        match database.postgres_url() {
            Some(url) => {
                let mut conn = PgConnection::establish(url).unwrap();
                let tables = "SELECT relname::text AS line FROM pg_class WHERE relnamespace = 'public'::regnamespace";
                assert!(sql_query(tables).load::<Line>(&mut conn).unwrap().is_empty(), "{database}");
            }
            None => assert_eq!(std::fs::read_dir(database.data_dir()).unwrap().count(), 0, "{database}"),
        }
        assert_eq!(run(&database, &["migrate"]), (true, would.replace("would apply", "applied")), "{database}");
        for args in [&["migrate"][..], &["migrate", "--dry-run"]] {
            assert_eq!(run(&database, args), (true, "The database is up to date.\n".to_owned()), "{database} {args:?}");
        }
        assert_eq!(pending(&backend).unwrap(), Vec::<String>::new(), "{database}");
    }
}

#[test]
fn a_database_of_a_newer_hub_is_refused() {
    for database in both() {
        migrate(&backend(&database)).unwrap();
        let before = schema(&database);
        database.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('20991231000001')");
        for args in [&["migrate"][..], &["migrate", "--dry-run"], &["serve", "--port", "0"]] {
            let (is_ok, said) = run(&database, args);
            assert!(!is_ok && said.contains("20991231000001") && said.contains("newer hub"), "{args:?}: {said}");
        }
        same("the refused database was changed", &before, &schema(&database));
    }
}
