//! What a role, a database or a server is set to must not change what the hub promises: it is set anew for each
//! connection, or refused at the start with the reason.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;

use super::readiness::Role;
use crate::harness::*;

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

#[track_caller]
fn does_not_start(database: &Database, reason: &str) {
    let output = cli_on(database, &["serve", "--port", "0", "--database-takeover-seconds", "1"]);
    assert!(!output.status.success() && said(&output).contains(reason), "`{reason}` is not in: {}", said(&output));
}

/// With these settings nearly everything was a 500, and acknowledged messages were not on disk.
#[test]
fn a_roles_settings_change_nothing() {
    block_on(async {
        let Some(database) = Database::fresh(Db::Postgres) else { return };
        let role = Role::new(&database);
        database.execute(&format!("GRANT ALL ON SCHEMA public TO {}", role.name));
        for setting in [
            "default_transaction_isolation = serializable",
            "default_transaction_read_only = on",
            "default_transaction_deferrable = on",
            "statement_timeout = 100",
            "lock_timeout = 1",
            "idle_in_transaction_session_timeout = 1",
            "client_encoding = latin1",
            "standard_conforming_strings = off",
            "DateStyle = 'SQL, DMY'",
            "TimeZone = 'Asia/Kathmandu'",
            "bytea_output = escape",
            "transform_null_equals = on",
            "synchronous_commit = off",
        ] {
            database.execute(&format!("ALTER ROLE {} SET {setting}", role.name));
        }
        let own = role.on(&database);
        let mut conn = hxa_connect::store::Backend::Postgres(hxa_connect::store::PostgresTarget {
            url: own.postgres_url().unwrap().to_owned(),
            statement_timeout_ms: 10_000,
        })
        .connect()
        .unwrap();
        assert_eq!(shown(&mut conn, "synchronous_commit"), "on");
        assert_eq!(shown(&mut conn, "transaction_isolation"), "read committed");
        assert_eq!(shown(&mut conn, "transaction_read_only"), "off");
        assert_eq!(shown(&mut conn, "statement_timeout"), "10s");
        drop(conn);
        let process = ProcessHub::on(own).await;
        let org = process.hub.with_org("a").await;
        let bots = org.bots(["ada", "bob", "cleo"]).await;
        let thread = bots[0].thread("t", &[&bots[1], &bots[2]]).await;
        let says = |n: usize| bots[n % 3].say(&thread, "grüße 🎉").answered();
        for said in join_all((0..60).map(says)).await {
            said.ok();
        }
        assert_eq!(bots[0].messages(&thread, "?limit=200").await.list().len(), 60);
        drop(process);
        database.execute(&format!("DROP OWNED BY {}", role.name));
    });
}

fn shown(conn: &mut hxa_connect::store::DbConnection, setting: &str) -> String {
    use diesel::RunQueryDsl;
    #[derive(diesel::QueryableByName)]
    struct Shown {
        #[diesel(sql_type = diesel::sql_types::Text)]
        value: String,
    }
    let hxa_connect::store::DbConnection::Postgres(conn) = conn else { panic!("not PostgreSQL") };
    let query = format!("SELECT current_setting('{setting}') AS value");
    diesel::sql_query(query).get_result::<Shown>(conn).unwrap().value
}

/// A database in another encoding took the hub in and failed at the first emoji.
#[test]
fn a_database_of_another_encoding_is_refused() {
    let Some(database) = Database::fresh(Db::Postgres) else { return };
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = format!("hxa_e_{}", uuid::Uuid::new_v4().simple());
        database.execute(&format!(
            "CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        ));
        let mut url = url::Url::parse(database.postgres_url().unwrap()).unwrap();
        url.set_path(&name);
        does_not_start(&Database::on_postgres(url.as_str()), &format!("encoded in {encoding}"));
        database.execute(&format!("DROP DATABASE {name} WITH (FORCE)"));
    }
}

#[test]
fn a_schema_that_is_not_there_is_named() {
    let Some(database) = Database::fresh(Db::Postgres) else { return };
    let url = format!("{}?schema=nowhere", database.postgres_url().unwrap());
    does_not_start(&Database::on_postgres(&url), "search_path");
}

#[test]
fn urls_of_other_tools_are_understood() {
    block_on(async {
        let Some(database) = Database::fresh(Db::Postgres) else { return };
        database.execute("CREATE SCHEMA app");
        let more =
            "?schema=app&pgbouncer=true&connection_limit=5&application_name=hub&connect_timeout=5&sslmode=prefer\n";
        let url = format!("{}{more}", database.postgres_url().unwrap());
        let process = ProcessHub::on(Database::on_postgres(&url)).await;
        process.hub.with_org("a").await.bot("ada").await.me().await.ok();
        assert_eq!(database.execute("UPDATE app.orgs SET name = name"), 1);
        drop(process);
        does_not_start(
            &Database::on_postgres(&format!("{}?colour=red", database.postgres_url().unwrap())),
            "\"colour\"",
        );
    });
}

#[test]
fn a_role_with_too_few_connections_is_told() {
    block_on(async {
        let Some(database) = Database::fresh(Db::Postgres) else { return };
        let role = Role::new(&database);
        database.execute(&format!("GRANT ALL ON SCHEMA public TO {}", role.name));
        database.execute(&format!("ALTER ROLE {} CONNECTION LIMIT 12", role.name));
        let process = ProcessHub::on(role.on(&database)).await;
        process.logged("the role's CONNECTION LIMIT is 12").await;
        let shown = Caller::bearer(&process.hub, ADMIN_SECRET).get("/health").await.ok();
        assert!(shown["warnings"].to_string().contains("CONNECTION LIMIT"), "{shown}");
        drop(process);
        database.execute(&format!("DROP OWNED BY {}", role.name));
    });
}

/// One message that the database does not take failed twenty others of its thread that came at the same time.
fn a_refused_row_is_alone_on(db: Db) {
    let Some(database) = Database::fresh(db) else { return };
    let database = &database;
    run_on_database(database, &[], |hub| async move {
        let org = hub.with_org("a").await;
        org.settings(json!({"messages_per_minute_per_bot": 1_000_000})).await.ok();
        let [ada, bob] = org.bots(["ada", "bob"]).await;
        let thread = ada.thread("t", &[&bob]).await;
        ada.send(&bob, "makes the channel").await.ok();
        for table in ["thread_messages", "channel_messages"] {
            match db {
                Db::Sqlite => database.execute(&format!(
                    "CREATE TRIGGER refuse_{table} BEFORE INSERT ON {table} WHEN NEW.content LIKE '%poison%' BEGIN \
                     SELECT RAISE(ABORT, 'poisoned'); END"
                )),
                Db::Postgres => {
                    database.execute(
                        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                         IF NEW.content LIKE '%poison%' THEN RAISE EXCEPTION 'poisoned'; END IF; RETURN NEW; END $$",
                    );
                    database.execute(&format!(
                        "CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"
                    ))
                }
            };
        }
        for round in 0..3 {
            let content = |n: usize| if n == 10 { "poison".to_owned() } else { format!("plain {round} {n}") };
            let said = join_all((0..21).map(|n| ada.say(&thread, &content(n)).answered())).await;
            let sent = join_all((0..21).map(|n| ada.send(&bob, &content(n)).answered())).await;
            for (n, reply) in said.into_iter().enumerate().chain(sent.into_iter().enumerate()) {
                assert_eq!(reply.status, if n == 10 { 500 } else { 200 }, "{n}: {}", reply.text);
            }
        }
        assert_eq!(ada.messages(&thread, "?limit=200").await.list().len(), 60);
    });
}

#[test]
fn a_refused_row_is_alone_sqlite() {
    a_refused_row_is_alone_on(Db::Sqlite);
}

#[test]
fn a_refused_row_is_alone_postgres() {
    a_refused_row_is_alone_on(Db::Postgres);
}

/// Two transactions that are in each other's way are a matter of the database; nobody outside hears of it.
#[test]
fn transactions_in_conflict_are_tried_again() {
    let Some(database) = Database::fresh(Db::Postgres) else { return };
    let other = Database::on_postgres(database.postgres_url().unwrap());
    run_on_database(&database, &[], |hub| async move {
        let ada = hub.with_org("a").await.bot("ada").await;
        let thread = ada.thread("t", &[]).await;
        for (state, message) in [("40001", "could not serialize access"), ("40P01", "deadlock detected")] {
            other.execute("DROP SEQUENCE IF EXISTS tries");
            other.execute("CREATE SEQUENCE tries");
            other.execute(&format!(
                "CREATE OR REPLACE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF nextval('tries') <= 3 THEN RAISE EXCEPTION '{message}' USING ERRCODE = '{state}'; END IF; RETURN NEW; END $$"
            ));
            other.execute(
                "CREATE OR REPLACE TRIGGER conflict BEFORE INSERT ON thread_messages FOR EACH ROW EXECUTE FUNCTION conflict()",
            );
            ada.say(&thread, state).await.ok();
        }
        assert_eq!(ada.messages(&thread, "").await.list().len(), 2);
    });
}

/// A pooler of transactions, as much of it as a hub meets: it has one session of the server and lends it to whoever begins
/// something, until the server says that no transaction is open.
struct Pooler {
    port: u16,
}

impl Pooler {
    fn before(address: &str, user: &str, database: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut server = TcpStream::connect(address).unwrap();
        let welcome = start_session(&mut server, user, database);
        let server = Arc::new(Mutex::new(server));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server, welcome) = (client.unwrap(), server.clone(), welcome.clone());
                std::thread::spawn(move || serve(client, &server, &welcome));
            }
        });
        Self { port }
    }
}

/// Logs in at the server; everything that it says until it is ready.
fn start_session(server: &mut TcpStream, user: &str, database: &str) -> Vec<u8> {
    let words = format!("user\0{user}\0database\0{database}\0\0");
    let mut hello = u32::try_from(words.len() + 8).unwrap().to_be_bytes().to_vec();
    hello.extend(196_608_u32.to_be_bytes());
    hello.extend(words.as_bytes());
    server.write_all(&hello).unwrap();
    let mut welcome = Vec::new();
    loop {
        let message = read_message(server).unwrap();
        welcome.extend(&message);
        if message[0] == b'Z' {
            return welcome;
        }
    }
}

fn read_message(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = [0; 5];
    from.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    let mut message = head.to_vec();
    message.resize(usize::try_from(length).unwrap() + 1, 0);
    from.read_exact(&mut message[5..]).ok()?;
    Some(message)
}

fn serve(mut client: TcpStream, server: &Mutex<TcpStream>, welcome: &[u8]) -> Option<()> {
    let mut length = [0; 4];
    client.read_exact(&mut length).ok()?;
    let mut rest = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap() - 4];
    client.read_exact(&mut rest).ok()?;
    client.write_all(welcome).ok()?;
    loop {
        let mut message = read_message(&mut client)?;
        let mut server = server.lock().unwrap();
        loop {
            if message[0] == b'X' {
                return None;
            }
            server.write_all(&message).ok()?;
            // Queries and Sync are answered until the server is ready again.
            if matches!(message[0], b'Q' | b'S') {
                let is_idle = loop {
                    let answer = read_message(&mut server)?;
                    client.write_all(&answer).ok()?;
                    if answer[0] == b'Z' {
                        break answer[5] == b'I';
                    }
                };
                if is_idle {
                    break;
                }
            }
            message = read_message(&mut client)?;
        }
    }
}

#[test]
fn a_pooler_of_transactions_is_recognised() {
    let Some(database) = Database::fresh(Db::Postgres) else { return };
    let url = url::Url::parse(database.postgres_url().unwrap()).unwrap();
    let address = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let pooler = Pooler::before(&address, url.username(), url.path().trim_start_matches('/'));
    let via = format!("postgres://{}@127.0.0.1:{}{}", url.username(), pooler.port, url.path());
    does_not_start(&Database::on_postgres(&via), "PgBouncer");
}
