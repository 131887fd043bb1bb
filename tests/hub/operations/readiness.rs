//! Ready means that reads and writes work now: a database that can only be read leaves the hub unready, its writes are
//! refused with 503, and it finds its way back by itself.

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};

use crate::harness::*;

/// A role of the shared server that is gone with this value.
pub struct Role {
    pub name: String,
    server: String,
}

impl Role {
    /// Makes one that may log in.
    pub fn new(database: &Database) -> Self {
        let name = format!("hxa_r_{}", uuid::Uuid::new_v4().simple());
        database.execute(&format!("CREATE ROLE {name} LOGIN"));
        Self { name, server: std::env::var("HXA_TEST_POSTGRES_URL").unwrap() }
    }

    /// The database as this role sees it.
    pub fn on(&self, database: &Database) -> Database {
        let mut url = url::Url::parse(database.postgres_url().unwrap()).unwrap();
        url.set_username(&self.name).unwrap();
        Database::on_postgres(url.as_str())
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // Its rights in the database go with that, which may still be there.
        let drop = format!("psql -q \"{}\" -c 'DROP ROLE IF EXISTS {}' 2>/dev/null", self.server, self.name);
        let _ = std::process::Command::new("sh").args(["-c", &drop]).status();
    }
}

/// The database of a hub that has run, with an organisation and a bot in it.
async fn used(database: Database) -> (Database, Value, Bot) {
    let mut process = ProcessHub::on(database).await;
    let ada = process.hub.with_org("a").await.bot("ada").await;
    let thread = ada.thread("t", &[]).await;
    process.signal("TERM");
    assert!(process.exited(DEADLINE).await.success());
    (process.into_database(), thread, ada)
}

async fn unready(hub: &TestHub) {
    eventually(|| async { hub.anonymous().get("/readyz").await.status }, |status| *status == 503).await;
    assert_eq!(hub.anonymous().get("/health").await.status, 503);
    hub.anonymous().get("/livez").await.ok();
}

async fn ready(hub: &TestHub) {
    eventually(|| async { hub.anonymous().get("/readyz").await.status }, |status| *status == 200).await;
    hub.anonymous().get("/health").await.ok();
}

#[test]
fn a_role_that_may_only_read_is_not_ready() {
    block_on(async {
        let Some(database) = Database::fresh(Db::Postgres) else { return };
        let (database, thread, ada) = used(database).await;
        let role = Role::new(&database);
        database.execute(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}", role.name));
        let process = ProcessHub::unready(role.on(&database)).await;
        let ada = ada.by(Caller::bearer(&process.hub, ada.secret()));
        unready(&process.hub).await;
        ada.messages(&thread, "").await.ok();
        ada.say(&thread, "lost").await.refused(503, "UNAVAILABLE");
        ada.thread_create(json!({"topic": "t"})).await.refused(503, "UNAVAILABLE");
        database.execute(&format!("GRANT ALL ON ALL TABLES IN SCHEMA public TO {}", role.name));
        ready(&process.hub).await;
        ada.say(&thread, "said").await.ok();
        database.execute(&format!("REVOKE INSERT, UPDATE ON ALL TABLES IN SCHEMA public FROM {}", role.name));
        unready(&process.hub).await;
        ada.say(&thread, "lost").await.refused(503, "UNAVAILABLE");
        database.execute(&format!("GRANT ALL ON ALL TABLES IN SCHEMA public TO {}", role.name));
        ready(&process.hub).await;
        assert_eq!(ada.messages(&thread, "").await.list().len(), 1);
        drop(process);
        database.execute(&format!("DROP OWNED BY {}", role.name));
    });
}

#[test]
fn a_standby_is_not_ready_until_it_is_promoted() {
    block_on(async {
        let Some(postgres) = PrivatePostgres::start_fresh() else { return };
        let (database, thread, ada) = used(Database::on_postgres(&postgres.url())).await;
        postgres.stop("fast");
        postgres.configure("standby.signal", "");
        postgres.start();
        let process = ProcessHub::unready(database).await;
        let ada = ada.by(Caller::bearer(&process.hub, ada.secret()));
        unready(&process.hub).await;
        ada.messages(&thread, "").await.ok();
        ada.say(&thread, "lost").await.refused(503, "UNAVAILABLE");
        process.database().execute("SELECT pg_promote()");
        ready(&process.hub).await;
        ada.say(&thread, "said").await.ok();
    });
}

#[test]
fn a_file_that_somebody_else_has_locked_is_not_ready() {
    block_on(async {
        let process = ProcessHub::fresh(Db::Sqlite).await.unwrap();
        ready(&process.hub).await;
        let mut other = SqliteConnection::establish(&process.sqlite_path().to_string_lossy()).unwrap();
        other.batch_execute("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE").unwrap();
        unready(&process.hub).await;
        other.batch_execute("ROLLBACK").unwrap();
        ready(&process.hub).await;
    });
}

/// The file could not be written when the hub opened it, and stayed so for the open connection.
#[test]
fn a_file_that_becomes_writable_is_found() {
    block_on(async {
        let process = ProcessHub::fresh(Db::Sqlite).await.unwrap();
        let ada = process.hub.with_org("a").await.bot("ada").await;
        let thread = ada.thread("t", &[]).await;
        let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON writer_marks BEGIN \
                      SELECT RAISE(ABORT, 'attempt to write a readonly database'); END";
        process.database().execute(refuse);
        unready(&process.hub).await;
        process.database().execute("DROP TRIGGER refuse");
        ready(&process.hub).await;
        ada.say(&thread, "said").await.ok();
    });
}

/// What an operator should look at stands where operators look, and nowhere else.
#[test]
fn warnings_are_for_the_operator() {
    block_on(async {
        let env = [("HXA_CONNECT_ADMIN_SECRET", "nine-char")];
        let process = ProcessHub::with_env(Database::fresh(Db::Sqlite).unwrap(), &env).await;
        let shown = process.hub.anonymous().get("/health").await.ok();
        assert_eq!(shown["warnings"], Value::Null);
        let shown = Caller::bearer(&process.hub, "nine-char").get("/health").await.ok();
        assert!(shown["warnings"][0].as_str().unwrap().contains("shorter than 16"), "{shown}");
        process.logged("shorter than 16").await;
    });
}
