//! How each URL is interpreted.

use super::*;

fn tls(url: &str) -> TlsSettings {
    match plan(url) {
        Ok(Plan::Tls(settings)) => *settings,
        Ok(Plan::Plain) => panic!("{url} is taken for plain"),
        Err(problem) => panic!("{url}: {problem}"),
    }
}

fn refused(query: &str) -> String {
    let url = format!("postgres://u:hunter2@db.example.com/app?{query}");
    let Err(problem) = plan(&url) else { panic!("{url} is accepted") };
    assert!(!problem.contains("hunter2"), "{problem}");
    problem
}

#[test]
fn without_a_mode_the_url_is_left_alone() {
    for url in [
        "postgres://u@h/d",
        "postgres://u@h/d?sslmode=disable",
        "postgres://u@h/d?sslmode=&sslrootcert=x",
        "postgres://u@/d?host=/run/postgresql&sslmode=verify-full",
        "postgres://u@%2Frun%2Fpostgresql/d?sslmode=require",
        "host=h sslmode=disable",
    ] {
        assert!(matches!(plan(url), Ok(Plan::Plain)), "{url}");
    }
}

#[test]
fn modes_and_their_authorities() {
    let url = |query: &str| tls(&format!("postgres://u@h/d?{query}"));
    let file = Roots::File(PathBuf::from("/a b/root.crt"));
    for (query, mode, roots) in [
        ("sslmode=allow", Mode::Allow, Roots::Unset),
        ("sslmode=prefer", Mode::Prefer, Roots::Unset),
        ("sslmode=require", Mode::Require, Roots::Unset),
        ("ssl=true", Mode::Require, Roots::Unset),
        ("requiressl=1", Mode::Require, Roots::Unset),
        ("sslmode=require&sslrootcert=/a%20b/root.crt", Mode::Require, file.clone()),
        ("sslmode=verify-ca&sslrootcert=/a%20b/root.crt", Mode::VerifyCa, file.clone()),
        ("sslmode=verify-full&sslrootcert=/a%20b/root.crt", Mode::VerifyFull, file),
        ("sslmode=verify-full", Mode::VerifyFull, Roots::System),
        ("sslmode=verify-full&sslrootcert=system", Mode::VerifyFull, Roots::System),
        ("sslrootcert=system", Mode::VerifyFull, Roots::System),
        ("sslmode=disable&sslmode=require", Mode::Require, Roots::Unset),
    ] {
        let settings = url(query);
        assert_eq!((settings.mode, settings.roots), (mode, roots), "{query}");
    }
    let settings = url("sslmode=require&sslcert=c.pem&sslkey=k.pem&sslsni=0&ssl_min_protocol_version=TLSv1.3");
    assert_eq!(settings.client, Some(("c.pem".into(), "k.pem".into())));
    assert!(settings.only_tls13 && !settings.send_name);
}

#[test]
fn the_server_is_found_as_libpq_finds_it() {
    let server = |url: &str| {
        let server = tls(&format!("{url}{}sslmode=require", if url.contains('?') { '&' } else { '?' })).server;
        (server.host, server.address, server.port)
    };
    let named = |host: &str, port| (host.to_owned(), None, port);
    assert_eq!(server("postgres://u:p@db.example.com:6432/d"), named("db.example.com", 6432));
    assert_eq!(server("postgres://db.example.com"), named("db.example.com", 5432));
    assert_eq!(server("postgresql://u:p?x@h/d?"), named("h", 5432));
    assert_eq!(server("postgres://u@[::1]:7/d"), named("::1", 7));
    assert_eq!(server("postgres://u@/d?host=h&port=9"), named("h", 9));
    assert_eq!(server("postgres://u@h/d?hostaddr=10.0.0.1"), ("h".to_owned(), Some("10.0.0.1".to_owned()), 5432));
    assert_eq!(server("postgres://u@/d?hostaddr=10.0.0.1"), ("10.0.0.1".to_owned(), Some("10.0.0.1".to_owned()), 5432));
}

#[test]
fn libpq_gets_everything_but_tls() {
    let settings = tls(
        "postgres://u:p%40%2F+x@h:7/d%20b?sslmode=verify-full&application_name=a+b&sslrootcert=r&connect_timeout=3\
         &channel_binding=prefer&hostaddr=10.0.0.1",
    );
    assert_eq!(
        settings.through(Path::new("/tmp/a b")),
        "postgres://u:p%40%2F+x@/d%20b?host=/tmp/a%20b&port=1&sslmode=disable&application_name=a+b&connect_timeout=3"
    );
    assert_eq!(
        settings.without_tls(),
        "postgres://u:p%40%2F+x@h:7/d%20b?sslmode=disable&application_name=a+b&connect_timeout=3&hostaddr=10.0.0.1"
    );
    assert!(tls("postgres://u@h?sslmode=require").through(Path::new("/x")).starts_with("postgres://u@/?host=/x&"));
}

#[test]
fn limits_of_the_connection() {
    let settings = tls("postgres://u@h/d?sslmode=require&connect_timeout=3&tcp_user_timeout=8000&keepalives_idle=10");
    let seconds = Duration::from_secs;
    let expected = Patience { connect: seconds(3), unacknowledged: seconds(8), keepalive: Some(seconds(10)) };
    assert_eq!(settings.patience, expected);
    let settings = tls("postgres://u@h/d?sslmode=require&connect_timeout=0&keepalives=0");
    let expected = Patience { connect: NO_LIMIT, unacknowledged: seconds(0), keepalive: None };
    assert_eq!(settings.patience, expected);
}

#[test]
fn what_cannot_be_honoured_is_refused() {
    assert!(refused("sslmode=yes").contains("verify-full"));
    assert!(refused("sslmode=verify-ca").contains("sslrootcert"));
    assert!(refused("sslmode=require&sslrootcert=system").contains("verify-full"));
    assert!(refused("sslmode=require&sslcert=x").contains("sslkey"));
    assert!(refused("sslmode=require&sslcrl=x").contains("sslcrl"));
    assert!(refused("sslmode=require&sslpassword=x").contains("sslpassword"));
    assert!(refused("sslmode=require&sslnegotiation=direct").contains("sslnegotiation"));
    assert!(refused("sslmode=require&channel_binding=require").contains("channel_binding"));
    assert!(refused("sslmode=require&ssl_min_protocol_version=TLSv9").contains("TLSv9"));
    assert!(refused("sslmode=require&ssl_max_protocol_version=TLSv1.2").contains("ssl_max"));
    assert!(refused("sslmode=require&host=a,b").contains("several"));
    assert!(refused("sslmode=require&port=x").contains("port"));
    assert!(refused("sslmode=require&connect_timeout=x").contains("connect_timeout"));
    assert!(plan("postgres://u@/d?sslmode=require").is_err_and(|problem| problem.contains("host")));
    assert!(plan("postgres://u@a:1,b:2/d?sslmode=require").is_err());
}

#[test]
fn the_password_is_told_apart() {
    let split = |url: &str| without_password(url);
    let some = |url: &str, password: &str| (url.to_owned(), Some(password.to_owned()));
    assert_eq!(split("postgres://u:p%40x@h:5/d?a=b&c=d"), some("postgres://u@h:5/d?a=b&c=d", "p@x"));
    assert_eq!(split("postgres://u@h/d?password=q&a=b"), some("postgres://u@h/d?a=b", "q"));
    assert_eq!(split("postgres://h:5/d"), ("postgres://h:5/d".to_owned(), None));
    assert_eq!(split("postgres://u@[::1]/d"), ("postgres://u@[::1]/d".to_owned(), None));
}
