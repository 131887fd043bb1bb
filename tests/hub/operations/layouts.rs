//! What the hub makes is for its own user, and how operators lay out their disks is up to them: links, other file systems,
//! secrets in files, variables of an orchestrator.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use hxa_connect::hub::config::{Config, CorsOrigins};

use crate::harness::*;

on_both_databases! {
    credentials_are_not_for_every_origin with development,
}

async fn upload(bot: &Bot, content: &str) -> String {
    let body = format!(
        "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\n{content}\r\n--x--\r\n"
    );
    bot.call("POST", "/api/files/upload").raw("multipart/form-data; boundary=x", body).await.ok().text("url")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

/// Everything below a folder that others than its owner may look at; the log of the test is not the hub's.
fn open_to_others(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let about = std::fs::symlink_metadata(entry.path()).unwrap();
        if about.mode() & 0o077 != 0 && entry.file_name() != "hub.log" {
            found.push(format!("{} {:o}", entry.path().display(), about.mode()));
        }
        if about.is_dir() {
            found.extend(open_to_others(&entry.path()));
        }
    }
    found
}

/// A command run by a shell with a careless umask.
fn run_with_open_umask(process: &ProcessHub, args: &[&str]) -> Output {
    let own = process.cli(args);
    let mut command = Command::new("sh");
    command.args(["-c", "umask 000; exec \"$0\" \"$@\"", BINARY]).args(args);
    command.current_dir(process.database().data_dir()).env_clear();
    command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?)))).output().unwrap()
}

#[test]
fn whatever_is_made_is_private() {
    block_on(async {
        let database = Database::fresh(Db::Sqlite).unwrap();
        // A shell with a careless umask starts the hub.
        let mut process =
            ProcessHub::with_program(database, &["sh", "-c", "umask 000; exec \"$0\" \"$@\"", BINARY]).await;
        let ada = process.hub.with_org("a").await.bot("ada").await;
        upload(&ada, "hello").await;
        let to = process.database().data_dir().join("saved");
        let saved = run_with_open_umask(&process, &["backup", "--to", to.to_str().unwrap()]);
        assert!(saved.status.success(), "{}", said(&saved));
        assert_eq!(open_to_others(process.database().data_dir()), Vec::<String>::new());
        process.kill_9();
        let restored = run_with_open_umask(&process, &["restore", "--from", to.to_str().unwrap(), "--force"]);
        assert!(restored.status.success(), "{}", said(&restored));
        assert_eq!(open_to_others(process.database().data_dir()), Vec::<String>::new());
    });
}

/// A linked folder of files was answered with 403, and a staging folder on another disk with 500.
#[test]
fn folders_may_lie_elsewhere() {
    block_on(async {
        let database = Database::fresh(Db::Sqlite).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        // Memory, where there is any: another file system than that of the test.
        let memory = if Path::new("/dev/shm").is_dir() { "/dev/shm".into() } else { std::env::temp_dir() };
        let staging = tempfile::tempdir_in(memory).unwrap();
        symlink(staging.path(), elsewhere.path().join("_tmp")).unwrap();
        symlink(elsewhere.path(), database.data_dir().join("files")).unwrap();
        let process = ProcessHub::on(database).await;
        let ada = process.hub.with_org("a").await.bot("ada").await;
        let url = upload(&ada, "hello").await;
        assert_eq!(ada.get(&url).await.text, "hello");
        assert_eq!(std::fs::read_dir(staging.path()).unwrap().count(), 0, "nothing stays behind");
        let to = process.database().data_dir().join("saved");
        let saved = process.cli(&["backup", "--to", to.to_str().unwrap()]).output().unwrap();
        assert!(said(&saved).contains("1 uploaded files"), "{}", said(&saved));
    });
}

#[test]
fn a_data_folder_may_be_a_link() {
    block_on(async {
        let database = Database::fresh(Db::Sqlite).unwrap();
        let link = database.data_dir().join("link");
        let real = tempfile::tempdir().unwrap();
        symlink(real.path(), &link).unwrap();
        let env = [("HXA_CONNECT_DATA_DIR", link.to_str().unwrap().to_owned())];
        let env = [(env[0].0, env[0].1.as_str())];
        let process = ProcessHub::with_env(database, &env).await;
        let ada = process.hub.with_org("a").await.bot("ada").await;
        let url = upload(&ada, "hello").await;
        assert_eq!(ada.get(&url).await.text, "hello");
        let mut second = process.cli(&["serve", "--port", "0"]);
        second.env("HXA_CONNECT_DATA_DIR", real.path()).env("HXA_CONNECT_DATABASE_TAKEOVER_SECONDS", "1");
        let second = second.stdin(Stdio::null()).output().unwrap();
        assert!(said(&second).contains("another hub runs"), "by another path: {}", said(&second));
    });
}

/// It was taken for `./data`.
#[test]
fn a_folder_that_is_no_text_is_refused() {
    let database = Database::fresh(Db::Sqlite).unwrap();
    let mut command = command_on(&database, &["config", "check"]);
    command.env("HXA_CONNECT_DATA_DIR", std::ffi::OsStr::from_bytes(b"/tmp/d\xff"));
    let output = command.output().unwrap();
    assert!(!output.status.success() && said(&output).contains("HXA_CONNECT_DATA_DIR"), "{}", said(&output));
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let database = Database::fresh(Db::Sqlite).unwrap();
    for (name, value) in [
        ("DOMAIN", "a,b"),
        ("DOMAIN", "*.example.com"),
        ("DOMAIN", "hub.example.com:8443"),
        ("HXA_CONNECT_HOST", "0.0.0.0:4800"),
        ("HXA_CONNECT_DATA_DIR", "~/data"),
        ("HXA_CONNECT_DATA_DIR", "sqlite:///data"),
        ("HXA_CONNECT_WEBHOOKS_RETRY_MS", "0"),
        ("REDIS_URL", "redis://"),
        ("HXA_CONNECT_ADMIN_SECRET", "seven-c"),
    ] {
        let output = cli_with(&database, &[(name, value)], &["config", "check"]);
        let told = said(&output);
        let named = if name.ends_with("SECRET") { "the admin secret" } else { name };
        assert!(!output.status.success() && told.contains(named), "{name}={value}: {told}");
    }
}

#[test]
fn an_orchestrators_variables_are_not_settings() {
    let database = Database::fresh(Db::Sqlite).unwrap();
    let env = [
        ("HXA_CONNECT_PORT", "tcp://10.0.0.1:4800"),
        ("HXA_CONNECT_SERVICE_HOST", "10.0.0.1"),
        ("HXA_CONNECT_PORT_4800_TCP_ADDR", "10.0.0.1"),
    ];
    let output = cli_with(&database, &env, &["config", "print"]);
    assert!(output.status.success() && said(&output).contains("port = 4800\n"), "{}", said(&output));
}

#[test]
fn a_secret_comes_from_a_file_or_is_made_once() {
    let database = Database::fresh(Db::Sqlite).unwrap();
    let bare = |args: &[&str]| {
        let mut command = command_on(&database, args);
        command.env_remove("HXA_CONNECT_ADMIN_SECRET").stdin(Stdio::null());
        command
    };
    let told = said(&bare(&["config", "check"]).output().unwrap());
    assert!(told.contains("--make-admin-secret"), "{told}");
    std::fs::write(database.data_dir().join("secret"), format!("{ADMIN_SECRET}\n")).unwrap();
    let output = bare(&["config", "check", "--admin-secret-file", "secret"]).output().unwrap();
    assert!(output.status.success() && !said(&output).contains("warning"), "{}", said(&output));
    let output = bare(&["config", "check", "--admin-secret", ADMIN_SECRET]).output().unwrap();
    assert!(output.status.success() && said(&output).contains("--admin-secret-file"), "{}", said(&output));

    let started = |database: &Database| {
        let mut command = bare(&["serve", "--port", "0", "--make-admin-secret"]);
        let log = database.data_dir().join("hub.log");
        command.stdout(Stdio::null()).stderr(std::fs::File::create(&log).unwrap());
        let mut child = command.spawn().unwrap();
        let since = std::time::Instant::now();
        while !std::fs::read_to_string(&log).unwrap().contains("hub is ready") && since.elapsed() < 3 * DEADLINE {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        std::fs::read_to_string(&log).unwrap()
    };
    let first = started(&database);
    let kept = std::fs::read_to_string(database.data_dir().join("admin-secret")).unwrap();
    assert!(kept.trim().len() >= 32 && first.contains(kept.trim()), "{first}");
    let second = started(&database);
    assert!(second.contains("hub is ready") && !second.contains(kept.trim()), "{second}");
    assert_eq!(open_to_others(database.data_dir()).iter().filter(|path| path.contains("admin-secret")).count(), 0);
}

fn development(config: &mut Config) {
    config.server.dev_mode = true;
    config.server.cors_origins = CorsOrigins::Any;
}

/// Any page that a developer opened could ask the hub on the same machine for a token.
async fn credentials_are_not_for_every_origin(hub: TestHub) {
    const ALLOWED: &str = "access-control-allow-origin";
    let ada = hub.with_org("a").await.bot("ada").await;
    for (origin, allowed) in [("https://evil.example", None), ("http://localhost:3000", Some("http://localhost:3000"))]
    {
        let ask = hub.anonymous().call("OPTIONS", "/api/orgs").header("origin", origin);
        let reply = ask.header("access-control-request-method", "POST").await;
        assert_eq!((reply.status, reply.header(ALLOWED)), (204, allowed), "{origin}");
        let made = ada.post("/api/me/tokens", json!({"scopes": ["read"]})).header("origin", origin).await;
        assert_eq!(made.header(ALLOWED), allowed, "{origin}");
        let made = hub.anonymous().post("/api/orgs", json!({"name": "b"})).header("origin", origin).await;
        assert_eq!(made.header(ALLOWED), allowed, "{origin}");
        assert_eq!(ada.me().header("origin", origin).await.header(ALLOWED), Some("*"), "{origin}");
    }
}

#[test]
fn development_listens_on_this_machine() {
    let database = Database::fresh(Db::Sqlite).unwrap();
    let shown = |args: &[&str]| {
        let mut command = command_on(&database, args);
        command.env_remove("HXA_CONNECT_HOST");
        said(&command.output().unwrap())
    };
    assert!(shown(&["config", "print", "--dev-mode"]).contains("host = \"127.0.0.1\""));
    assert!(shown(&["config", "print"]).contains("host = \"0.0.0.0\""));
    assert!(shown(&["config", "print", "--dev-mode", "--host", "0.0.0.0"]).contains("host = \"0.0.0.0\""));
}
