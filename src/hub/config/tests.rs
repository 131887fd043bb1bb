//! Tests of the sources of settings, their precedence, and invalid values.

use super::*;

const SECRET: &str = "planted-secret-0123456789";

fn variables(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Loads from the environment alone, with an admin secret so that the start is not refused for that.
fn load(pairs: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let mut environment = variables(&[("HXA_CONNECT_ADMIN_SECRET", SECRET)]);
    environment.extend(variables(pairs));
    Config::load_with(&no_file(), &environment)
}

/// Tests must not pick up the repository's own file; an empty one stands in for it.
fn no_file() -> Flags {
    Flags { file: Some(PathBuf::from("/dev/null")), ..Flags::default() }
}

fn load_file(text: &str) -> Result<Loaded, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.toml");
    std::fs::write(&path, text).unwrap();
    let flags = Flags { file: Some(path), ..Flags::default() };
    let result = Config::load_with(&flags, &variables(&[("HXA_CONNECT_ADMIN_SECRET", SECRET)]));
    result.map_err(|error| ConfigError {
        problems: error
            .problems
            .iter()
            .map(|line| line.replace(&format!("{}/", folder.path().display()), ""))
            .collect(),
    })
}

fn problems(result: Result<Loaded, ConfigError>) -> Vec<String> {
    result.expect_err("the configuration was accepted").problems
}

#[test]
fn the_generated_file_is_current() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(DEFAULT_FILE);
    let file = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(file == default_file(), "run: cargo run -- config print --default > {DEFAULT_FILE}");
}

#[test]
fn the_generated_file_loads_also_with_every_line_active() {
    let file = default_file();
    load_file(&file).unwrap();
    let activate = |line: &str| match line.strip_prefix("# ").map(|rest| (rest, rest.split_once(" = "))) {
        Some((rest, Some((key, _)))) if !key.contains(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    let active: Vec<String> = file.lines().map(activate).collect();
    let loaded = load_file(&active.join("\n")).unwrap();
    assert_eq!(loaded.origins.len(), SETTINGS.len());
    assert_eq!(format!("{:?}", loaded.config.sockets), format!("{:?}", Config::default().sockets));
}

#[test]
fn names_are_unique_and_new_variables_follow_the_pattern() {
    let mut names = std::collections::HashSet::new();
    for setting in SETTINGS {
        assert!(names.insert(format!("--{}", setting.flag)), "flag {} twice", setting.flag);
        for variable in setting.env {
            assert!(names.insert((*variable).to_owned()), "variable {variable} twice");
        }
    }
    for area in AREAS {
        assert!(SETTINGS.iter().any(|setting| setting.area == area.name), "{} is empty", area.name);
    }
}

#[test]
fn defaults_are_the_documented_ones() {
    let config = load(&[]).unwrap().config;
    assert_eq!((config.server.host.as_str(), config.server.port), ("0.0.0.0", 4800));
    assert_eq!(config.messages.max_length, 65_536);
    assert_eq!((config.files.max_file_size_mb, config.files.upload_mb_per_day), (50, 500));
    assert_eq!(config.server.cors_origins, CorsOrigins::None);
    assert_eq!(config.log.level, LogLevel::Info);
    assert_eq!(config.sqlite_path(), Path::new("./data/hxa-connect.db"));
    assert!(config.messages.persist && !config.server.dev_mode && config.database.url.is_none());
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.toml");
    std::fs::write(&path, "[server]\nport = 1001\nhost = \"file\"\ndomain = \"file.example\"\n").unwrap();
    let mut flags = Flags { values: variables(&[("port", "1003")]), file: Some(path.clone()), ..Flags::default() };
    let environment = variables(&[
        ("HXA_CONNECT_PORT", "1002"),
        ("HXA_CONNECT_HOST", "127.0.0.1"),
        ("HXA_CONNECT_ADMIN_SECRET", SECRET),
    ]);
    let loaded = Config::load_with(&flags, &environment).unwrap();
    let server = &loaded.config.server;
    assert_eq!(
        (server.port, server.host.as_str(), server.domain.as_deref()),
        (1003, "127.0.0.1", Some("file.example"))
    );
    let origin = |key: &str| loaded.origin(SETTINGS.iter().find(|setting| setting.key == key).unwrap());
    assert_eq!(*origin("port"), Origin::Flag("port"));
    assert_eq!(*origin("host"), Origin::Environment("HXA_CONNECT_HOST".into()));
    assert_eq!(*origin("domain"), Origin::File(path));
    assert_eq!(*origin("workers"), Origin::Default);

    flags.file = Some(folder.path().join("absent.toml"));
    assert!(problems(Config::load_with(&flags, &environment)).join("").contains("absent.toml: cannot be read"));
}

#[test]
fn compatible_variables_keep_their_rules() {
    let config = |pairs: &[(&str, &str)]| load(pairs).unwrap().config;
    assert_eq!(config(&[("HXA_CONNECT_PORT", "0")]).server.port, 4800);
    assert_eq!(config(&[("HXA_CONNECT_PORT", "")]).server.port, 4800);
    assert_eq!(config(&[("HXA_CONNECT_MAX_MSG_LEN", "0")]).messages.max_length, 65_536);
    for (text, expected) in [("true", true), ("TRUE", false), ("1", false), ("yes", false)] {
        assert_eq!(config(&[("DEV_MODE", text)]).server.dev_mode, expected, "DEV_MODE={text}");
    }
    for (text, expected) in [("false", false), ("0", true), ("FALSE", true)] {
        assert_eq!(config(&[("HXA_CONNECT_PERSIST", text)]).messages.persist, expected, "PERSIST={text}");
    }
    let redis = [("SESSION_STORE", "Redis"), ("REDIS_URL", "redis://localhost:6379")];
    assert_eq!(config(&redis).auth.session_store, SessionStore::Redis);
    assert_eq!(config(&[("SESSION_STORE", "memcached")]).auth.session_store, SessionStore::Sql);
    let base_path = |pairs| config(pairs).server.base_path.to_string();
    assert_eq!(base_path(&[("NEXT_PUBLIC_BASE_PATH", " hub/ ")]), "/hub");
    assert_eq!(base_path(&[("NEXT_PUBLIC_BASE_PATH", "/a"), ("BASE_PATH", "/b")]), "/b");
    let cors = [("HXA_CONNECT_CORS", "*"), ("HXA_CONNECT_CORS_ORIGINS", "https://a.example , https://b.example")];
    let origins = vec!["https://a.example".to_owned(), "https://b.example".to_owned()];
    assert_eq!(config(&cors).server.cors_origins, CorsOrigins::List(origins));
    assert_eq!(config(&[("HXA_CONNECT_CORS", "*")]).server.cors_origins, CorsOrigins::Any);
    let both = [("DATABASE_URL", "postgres://b/x"), ("HXA_CONNECT_DATABASE_URL", "postgresql://a/x")];
    assert!(config(&both).database.url.unwrap().matches("postgresql://a/x"));
    assert!(config(&[("DATABASE_URL", "postgres://b/x")]).database.url.unwrap().matches("postgres://b/x"));
}

#[test]
fn values_taken_for_something_else_are_mentioned() {
    let warnings = |pairs: &[(&str, &str)]| load(pairs).unwrap().warnings;
    assert_eq!(warnings(&[("DEV_MODE", "1")]), ["DEV_MODE=1 is taken for false"]);
    assert_eq!(warnings(&[("HXA_CONNECT_PORT", "0")]), ["HXA_CONNECT_PORT=0 is taken for the default"]);
    assert_eq!(warnings(&[("SESSION_STORE", "memcached")]), ["SESSION_STORE=memcached is taken for sql"]);
    let none: [&str; 0] = [];
    assert_eq!(warnings(&[("SESSION_STORE", "SQLite"), ("DEV_MODE", "false"), ("HXA_CONNECT_PERSIST", "true")]), none);
    assert_eq!(
        warnings(&[("HXA_CONNECT_PROT", "1"), ("HXA_CONNECT_DATABASE_URL_FILE", "")]),
        ["environment variable HXA_CONNECT_PROT names no setting and is ignored"]
    );
}

#[test]
fn development_mode_moves_defaults_but_not_settings() {
    let config = Config::load_with(&no_file(), &variables(&[("DEV_MODE", "true")])).unwrap().config;
    assert_eq!((config.log.level, &config.server.cors_origins), (LogLevel::Debug, &CorsOrigins::Any));
    assert_eq!(config.server.host, "127.0.0.1", "not for strangers");
    let explicit = [("DEV_MODE", "true"), ("HXA_CONNECT_LOG_LEVEL", "warn"), ("HXA_CONNECT_CORS", "https://a.example")];
    let config = load(&explicit).unwrap().config;
    assert_eq!(config.log.level, LogLevel::Warn);
    assert_eq!(config.server.cors_origins, CorsOrigins::List(vec!["https://a.example".into()]));
}

#[test]
fn every_problem_is_reported_at_once() {
    let environment = variables(&[
        ("HXA_CONNECT_PORT", "70000"),
        ("SESSION_STORE", "redis"),
        ("HXA_CONNECT_LOG_LEVEL", "loud"),
        ("DOMAIN", "https://connect.example.com"),
    ]);
    assert_eq!(
        problems(Config::load_with(&no_file(), &environment)),
        [
            "HXA_CONNECT_PORT: \"70000\" is not a whole number from 0 to 65535",
            "DOMAIN: \"https://connect.example.com\" is not a host name such as connect.example.com",
            "HXA_CONNECT_LOG_LEVEL: \"loud\" is not one of debug, info, warn, error",
            "no admin secret: set HXA_CONNECT_ADMIN_SECRET to at least 16 random characters (openssl rand -hex 32), \
             --make-admin-secret to have one made, or DEV_MODE=true to try things out",
            "SESSION_STORE=redis needs REDIS_URL, such as redis://localhost:6379",
        ]
    );
}

#[test]
fn a_database_url_of_another_kind_is_refused_without_repeating_it() {
    for url in ["mysql://u:hunter2@h/d", "postgres:/u:hunter2@h/d", "hunter2"] {
        let problem = problems(load(&[("DATABASE_URL", url)])).join("");
        assert!(problem.starts_with("DATABASE_URL: ") && problem.contains("postgres:// or postgresql://"), "{problem}");
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}

#[test]
fn mistakes_in_the_file_name_their_place() {
    let unknown = problems(load_file("[server]\nprot = 1\n\n[severs]\nport = 1\n"));
    assert!(
        unknown
            .iter()
            .any(|line| line.starts_with("hub.toml:2:1: unknown key \"server.prot\"; accepted are host, port, "))
    );
    assert!(
        unknown
            .iter()
            .any(|line| line.starts_with("hub.toml:4:2: unknown section \"severs\"; accepted are server, auth, "))
    );
    let cases = [
        ("[server]\nport = \"x\"", "hub.toml:2:8: server.port: expected a number, found a string"),
        ("[server]\nport = 70000", "hub.toml:2:8: server.port: \"70000\" is not a whole number from 0 to 65535"),
        ("[server]\n  dev_mode = 1", "hub.toml:2:14: server.dev_mode: expected true or false, found a number"),
        ("[sockets]\nper_bot = 0", "hub.toml:2:11: sockets.per_bot: 0 is out of range; accepted are 1 to 100000"),
        ("[log]\nlevel = \"loud\"", "hub.toml:2:9: log.level: \"loud\" is not one of debug, info, warn, error"),
        (
            "[server]\ntrusted_proxies = [1]",
            "hub.toml:2:19: server.trusted_proxies: expected a list of strings, found a list of other things than strings",
        ),
        ("server = 1", "hub.toml:1:1: \"server\" is a section; write [server]"),
    ];
    for (text, expected) in cases {
        assert_eq!(problems(load_file(text)), [expected], "{text}");
    }
    assert!(problems(load_file("[server]\nport = \n")).join("").starts_with("hub.toml:2:"));
}

#[test]
fn arbitrary_files_never_panic() {
    use proptest::prelude::*;
    let token = prop_oneof![
        Just("[server]\n"),
        Just("port"),
        Just(" = "),
        Just("\""),
        Just("é"),
        Just("\n"),
        Just("1"),
        Just("[["),
        Just("]"),
        Just("true"),
        Just("{"),
        Just("}"),
        Just("#"),
        Just("auth.admin_secret"),
        Just("'"),
        Just("0x1f"),
        Just("1.5"),
        Just("\r"),
    ];
    proptest!(|(tokens in proptest::collection::vec(token, 0..40))| {
        let mut config = Config::default();
        file::apply(&mut config, Path::new("x"), &tokens.concat());
    });
}

#[test]
fn secrets_can_come_from_files_and_are_never_printed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, format!("{SECRET}\n")).unwrap();
    let environment = variables(&[
        ("HXA_CONNECT_ADMIN_SECRET_FILE", path.to_str().unwrap()),
        ("DATABASE_URL", "postgres://u:planted-secret@h/d"),
        ("REDIS_URL", "redis://:planted-secret@h"),
    ]);
    let loaded = Config::load_with(&no_file(), &environment).unwrap();
    assert!(loaded.config.auth.admin_secret.as_ref().unwrap().matches(SECRET));
    let shown = format!("{}\n{loaded:?}", effective(&loaded));
    assert!(shown.contains("admin_secret = \"***\"  # environment HXA_CONNECT_ADMIN_SECRET_FILE"), "{shown}");
    assert!(!shown.contains("planted-secret"), "{shown}");

    let absent = variables(&[("HXA_CONNECT_ADMIN_SECRET_FILE", "/nonexistent")]);
    assert!(
        problems(Config::load_with(&no_file(), &absent))
            .join("")
            .contains("HXA_CONNECT_ADMIN_SECRET_FILE: the file cannot be read")
    );
}

#[test]
fn short_admin_secrets_are_warned_about_and_shorter_ones_refused() {
    let loaded = load(&[("HXA_CONNECT_ADMIN_SECRET", "nine-char")]).unwrap();
    assert_eq!(loaded.warnings, ["the admin secret is shorter than 16 characters and can be guessed"]);
    let short = [("HXA_CONNECT_ADMIN_SECRET", "seven-c")];
    assert!(problems(load(&short)).join("").contains("shorter than 8 characters"));
    let try_out = load(&[short[0], ("DEV_MODE", "true")]).unwrap();
    assert!(try_out.warnings.iter().any(|warning| warning.contains("shorter than 16")), "{:?}", try_out.warnings);
}

#[test]
fn secrets_on_the_command_line_are_warned_about() {
    let with = |flag: &str, value: &str| {
        let flags = Flags { values: variables(&[(flag, value)]), ..no_file() };
        Config::load_with(&flags, &variables(&[("DEV_MODE", "true")])).unwrap().warnings.join("; ")
    };
    assert!(with("admin-secret", SECRET).contains("--admin-secret-file or HXA_CONNECT_ADMIN_SECRET_FILE"));
    assert!(with("database-url", "postgres://u:pw@h/d").contains("--database-url-file"));
    assert!(!with("database-url", "postgres://u@h/d").contains("--database-url-file"), "nothing is given away");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, format!("{SECRET}\n")).unwrap();
    let files = HashMap::from([("admin-secret-file".to_owned(), path)]);
    let mut flags = Flags { secret_files: files, ..no_file() };
    let loaded = Config::load_with(&flags, &HashMap::new()).unwrap();
    assert!(loaded.config.auth.admin_secret.unwrap().matches(SECRET) && loaded.warnings.is_empty());
    flags.values = variables(&[("admin-secret", SECRET)]);
    assert!(problems(Config::load_with(&flags, &HashMap::new())).join("").contains("exclude each other"));
}

#[test]
fn what_an_orchestrator_sets_is_not_configuration() {
    let loaded = load(&[
        ("HXA_CONNECT_PORT", "tcp://10.0.0.1:4800"),
        ("HXA_CONNECT_SERVICE_HOST", "10.0.0.1"),
        ("HXA_CONNECT_PORT_4800_TCP_ADDR", "10.0.0.1"),
        ("HXA_CONNECT_LOG_LEVEL", " "),
        ("NODE_ENV", ""),
    ]);
    let loaded = loaded.unwrap();
    assert_eq!(loaded.config.server.port, 4800);
    assert_eq!(
        loaded.warnings,
        ["HXA_CONNECT_PORT is the address of a service, set by an orchestrator, and is ignored"]
    );
}

#[test]
fn settings_that_say_different_things_are_mentioned() {
    let warnings = |pairs: &[(&str, &str)]| load(pairs).unwrap().warnings.join("; ");
    assert!(warnings(&[("DOMAIN", "c.example"), ("HUB_PUBLIC_URL", "https://p.example")]).contains("different hosts"));
    assert!(warnings(&[("BASE_PATH", "/hub"), ("HUB_PUBLIC_URL", "https://p.example")]).contains("base_path"));
    assert!(warnings(&[("HXA_CONNECT_SERVER_TRUSTED_PROXIES", "0.0.0.0/0")]).contains("whole internet"));
    assert_eq!(warnings(&[("DOMAIN", "c.example"), ("HUB_PUBLIC_URL", "https://c.example:8443/hub")]), "");
}

#[test]
fn the_base_url_follows_the_public_names() {
    let url = |pairs: &[(&str, &str)]| load(pairs).unwrap().config.base_url(4801);
    assert_eq!(url(&[("BASE_PATH", "/hub")]), "http://localhost:4801/hub");
    assert_eq!(url(&[("BASE_PATH", "/hub"), ("DOMAIN", "c.example")]), "https://c.example/hub");
    assert_eq!(url(&[("DOMAIN", "c.example"), ("HUB_PUBLIC_URL", "https://p.example/x/")]), "https://p.example/x");
    assert!(problems(load(&[("HUB_PUBLIC_URL", "p.example")])).join("").contains("is not a URL such as"));
}
