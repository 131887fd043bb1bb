//! TLS to PostgreSQL: what each `sslmode` accepts and refuses, and that the hub works through it as without.

use std::path::{Path, PathBuf};

use diesel::sql_types::BigInt;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, sql_query};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use crate::harness::*;

/// The host name that the server's certificate is for; it exists nowhere, so tests give the address beside it.
const NAME: &str = "db.example.test";
const PASSWORD: &str = "planted-p@ssword";
const PASSWORD_IN_URL: &str = "planted-p%40ssword";

/// A certificate authority of a test.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Certificate and key for a name, as PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A server with TLS, and the files of those who connect to it.
struct TlsServer {
    postgres: PrivatePostgres,
    files: tempfile::TempDir,
    authority: Authority,
}

impl TlsServer {
    /// One that takes TCP connections by `rule` (the end of a line of `pg_hba.conf`) only; `None` without PostgreSQL.
    fn start(rule: &str, own_certificate: Option<(String, String)>) -> Option<Self> {
        let postgres = PrivatePostgres::start_fresh()?;
        execute(&postgres, &format!("ALTER ROLE hxa PASSWORD '{PASSWORD}'"));
        postgres.stop("fast");
        let authority = Authority::named("authority");
        let (certificate, key) = own_certificate.unwrap_or_else(|| authority.sign(NAME));
        postgres.configure("server.crt", &certificate);
        postgres.configure("server.key", &key);
        postgres.configure("root.crt", &authority.pem);
        postgres.configure("postgresql.auto.conf", "ssl = on\nssl_ca_file = 'root.crt'\n");
        postgres.configure("pg_hba.conf", &format!("local all all trust\n{rule}\n"));
        postgres.start();
        let files = tempfile::tempdir().unwrap();
        let server = Self { postgres, files, authority };
        server.file("root.crt", &server.authority.pem);
        server.file("other.crt", &Authority::named("another authority").pem);
        server.file("twin.crt", &Authority::named("authority").pem);
        Some(server)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn path(&self, name: &str) -> String {
        self.files.path().join(name).display().to_string()
    }

    /// A URL for `host`, which is at this server whatever its name; `<file>` in the query stands for the path of a file.
    fn url(&self, host: &str, query: &str) -> String {
        let query = query.replace('<', &format!("{}/", self.files.path().display())).replace('>', "");
        let port = self.postgres.port();
        format!("postgres://hxa:{PASSWORD_IN_URL}@{host}:{port}/postgres?hostaddr=127.0.0.1&{query}")
    }

    /// What `hxa-connect migrate` says to that URL.
    fn migrate(&self, host: &str, query: &str) -> (bool, String) {
        migrate(&self.url(host, query))
    }
}

fn migrate(url: &str) -> (bool, String) {
    let outcome = cli_on(&Database::on_postgres(url), &["migrate"]);
    let said = String::from_utf8([outcome.stdout, outcome.stderr].concat()).unwrap();
    assert!(!said.contains("planted"), "the password is shown: {said}");
    (outcome.status.success(), said)
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn count(postgres: &PrivatePostgres, sql: &str) -> i64 {
    let mut conn = PgConnection::establish(&postgres.own_url()).unwrap();
    sql_query(sql).get_result::<Count>(&mut conn).unwrap().count
}

fn execute(postgres: &PrivatePostgres, sql: &str) {
    let mut conn = PgConnection::establish(&postgres.own_url()).unwrap();
    sql_query(sql).execute(&mut conn).unwrap();
}

const SCRAM: &str = "hostssl all all 127.0.0.1/32 scram-sha-256";

/// Private folders of relays in the temporary folder of this test's processes.
fn folders_left(temporary: &Path) -> usize {
    std::fs::read_dir(temporary).unwrap().count()
}

#[test]
fn the_hub_works_through_tls_and_survives_a_restart_of_the_database() {
    let Some(server) = TlsServer::start(SCRAM, None) else { return };
    let temporary = tempfile::tempdir().unwrap();
    let database = Database::on_postgres(&server.url(NAME, "sslmode=verify-full&sslrootcert=<root.crt>"));
    block_on(async {
        let process = ProcessHub::with_env(database, &[("TMPDIR", temporary.path().to_str().unwrap())]).await;
        let org = process.hub.with_org("a").await;
        let [ada, bob] = org.bots(["ada", "bob"]).await;
        let thread = ada.thread("t", &[&bob]).await;
        let mut socket = bob.socket().await;
        let long = "a long message ".repeat(4000);
        ada.say(&thread, &long).await.ok();
        assert_eq!(ada.messages(&thread, "").await.list()[0]["content"], long);
        let of_the_hub = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
            WHERE a.backend_type = 'client backend' AND a.client_addr IS NOT NULL";
        assert!(count(&server.postgres, of_the_hub) >= 2);
        assert_eq!(count(&server.postgres, &format!("{of_the_hub} AND NOT s.ssl")), 0);
        for mode in ["fast", "immediate"] {
            let ready = || async { process.hub.anonymous().get("/readyz").await.status };
            server.postgres.stop(mode);
            eventually(ready, |status| *status == 503).await;
            ada.say(&thread, "lost").await.refused(503, "UNAVAILABLE");
            socket.op(json!({"type": "send_dm", "to": "ada", "content": "lost"})).await.refused("UNAVAILABLE");
            server.postgres.start();
            eventually(ready, |status| *status == 200).await;
            eventually(|| async { ada.say(&thread, mode).await.status }, |status| *status == 200).await;
        }
        socket.op(json!({"type": "send_dm", "to": "ada", "content": "the socket lived on"})).await.ack();
        let said: Vec<String> = ada.messages(&thread, "").await.list().iter().map(|m| m.text("content")).collect();
        assert!(said.contains(&"immediate".to_owned()) && !said.contains(&"lost".to_owned()), "{said:?}");
        let log = process.logged(&format!("{NAME} port")).await;
        assert!(!log.contains("planted"), "the password is in the log");
        // They are there while connections are made, and the pool may make one at any time.
        eventually(|| async { folders_left(temporary.path()) }, |left| *left == 0).await;
    });
}

#[test]
fn each_mode_accepts_and_refuses_what_libpq_would() {
    let Some(server) = TlsServer::start(SCRAM, None) else { return };
    for (host, query) in [
        (NAME, "sslmode=verify-full&sslrootcert=<root.crt>"),
        (NAME, "sslmode=verify-full&sslrootcert=<root.crt>&ssl_min_protocol_version=TLSv1.3"),
        ("other.test", "sslmode=verify-ca&sslrootcert=<root.crt>"),
        ("other.test", "sslmode=require&sslrootcert=<root.crt>"),
        ("other.test", "sslmode=require"),
        ("other.test", "sslmode=prefer"),
        ("other.test", "sslmode=allow"),
    ] {
        let (is_ok, said) = server.migrate(host, query);
        assert!(is_ok, "{host} {query}: {said}");
    }
    for (host, query, part) in [
        (NAME, "sslmode=verify-full&sslrootcert=<other.crt>", "is not signed by an authority in"),
        (NAME, "sslmode=verify-full&sslrootcert=<twin.crt>", "is not signed by an authority in"),
        (NAME, "sslmode=verify-ca&sslrootcert=<other.crt>", "is not signed by an authority in"),
        (NAME, "sslmode=require&sslrootcert=<other.crt>", "is not signed by an authority in"),
        (NAME, "sslmode=verify-full", "is not signed by an authority that this machine knows"),
        ("other.test", "sslmode=verify-full&sslrootcert=<root.crt>", "is not for the host name \"other.test\""),
        ("other.test", "sslmode=verify-full&sslrootcert=<root.crt>", NAME),
        (NAME, "sslmode=require&sslrootcert=<missing.crt>", "missing.crt"),
        (NAME, "sslmode=verify-ca", "needs sslrootcert"),
        (NAME, "sslmode=disable", "no encryption"),
    ] {
        let (is_ok, said) = server.migrate(host, query);
        assert!(!is_ok && said.contains(part), "{host} {query}: {said}");
    }
    let wrong = server.url(NAME, "sslmode=require").replace(PASSWORD_IN_URL, "planted-wrong");
    let (is_ok, said) = migrate(&wrong);
    assert!(!is_ok && said.contains("password authentication failed") && said.contains(NAME), "{said}");
    let (is_ok, said) = migrate(&format!("postgres://hxa@{NAME}:1/postgres?hostaddr=127.0.0.1&sslmode=require"));
    assert!(!is_ok && said.contains("refused"), "{said}");
}

#[test]
fn a_server_without_tls_is_refused_unless_it_is_only_preferred() {
    let Some(postgres) = PrivatePostgres::start_fresh() else { return };
    for mode in ["require", "verify-full"] {
        let (is_ok, said) = migrate(&format!("{}?sslmode={mode}", postgres.url()));
        assert!(!is_ok && said.contains("the server has no TLS"), "{said}");
    }
    for mode in ["prefer", "allow", "disable"] {
        let (is_ok, said) = migrate(&format!("{}?sslmode={mode}", postgres.url()));
        assert!(is_ok, "{mode}: {said}");
    }
}

#[test]
fn a_client_certificate_is_shown_when_the_server_asks() {
    let Some(server) = TlsServer::start("hostssl all all 127.0.0.1/32 cert", None) else { return };
    let certificate = |authority: &Authority, name: &str| {
        let (certificate, key) = authority.sign("hxa");
        server.file(&format!("{name}.crt"), &certificate);
        server.file(&format!("{name}.key"), &key);
        format!("sslmode=verify-full&sslrootcert=<root.crt>&sslcert=<{name}.crt>&sslkey=<{name}.key>")
    };
    let (is_ok, said) = server.migrate(NAME, &certificate(&server.authority, "known"));
    assert!(is_ok, "{said}");
    let (is_ok, said) = server.migrate(NAME, &certificate(&Authority::named("authority"), "unknown"));
    assert!(!is_ok && said.contains("the TLS connection broke"), "{said}");
    let (is_ok, said) = server.migrate(NAME, "sslmode=require");
    assert!(!is_ok && said.contains("connection requires a valid client certificate"), "{said}");
    let mixed = "sslmode=require&sslcert=<known.crt>&sslkey=<unknown.key>";
    let (is_ok, said) = server.migrate(NAME, mixed);
    assert!(!is_ok && said.contains(&server.path("known.crt")), "{said}");
}

/// The certificate that people make with one `openssl req -x509` is authority and server in one; it is believed when
/// `sslrootcert` has it, but not after its time.
#[test]
fn a_self_signed_certificate_is_believed_while_it_is_valid() {
    for (year, is_valid) in [(4000, true), (2001, false)] {
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        let Some(server) = TlsServer::start(SCRAM, Some((pem.clone(), key.serialize_pem()))) else { return };
        server.file("self.crt", &pem);
        let (is_ok, said) = server.migrate(NAME, "sslmode=verify-full&sslrootcert=<self.crt>");
        assert_eq!(is_ok, is_valid, "{said}");
        assert!(is_valid || said.contains("has expired"), "{said}");
        let (is_ok, said) = server.migrate("other.test", "sslmode=verify-full&sslrootcert=<self.crt>");
        assert!(!is_ok, "{said}");
        assert!(server.migrate("other.test", "sslmode=require").0, "{year}: nothing is checked");
    }
}
