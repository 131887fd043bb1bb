//! The real binary in a process of its own: for kill -9, signals, exit codes and the command line.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use super::hub::ADMIN_SECRET;
use super::{DEADLINE, Database, Db, TestHub, eventually};

/// The hub under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_hxa-connect");

pub struct ProcessHub {
    pub hub: TestHub,
    database: Option<Database>,
    port: u16,
    child: Option<Child>,
    program: Vec<String>,
    env: Vec<(String, String)>,
    log: std::path::PathBuf,
    unread: Option<std::io::PipeReader>,
}

impl ProcessHub {
    /// Starts on a fresh database, or returns `None` when there is no server for it.
    pub async fn fresh(db: Db) -> Option<Self> {
        Some(Self::on(Database::fresh(db)?).await)
    }

    pub async fn on(database: Database) -> Self {
        Self::with_env(database, &[]).await
    }

    /// As [`Self::on`], with more environment variables; they can be changed between two starts.
    pub async fn with_env(database: Database, env: &[(&str, &str)]) -> Self {
        let mut process = Self::prepared(database, env);
        process.start().await;
        process
    }

    /// As [`Self::on`], by another program that runs the binary.
    pub async fn with_program(database: Database, program: &[&str]) -> Self {
        let mut process = Self::prepared(database, &[]);
        process.set_program(program);
        process.start().await;
        process
    }

    /// As [`Self::on`], of a hub that answers and need not be ready.
    pub async fn unready(database: Database) -> Self {
        let mut process = Self::prepared(database, &[]);
        process.spawn();
        process.answers("/livez").await;
        process
    }

    fn prepared(database: Database, env: &[(&str, &str)]) -> Self {
        let port = free_port();
        let hub = TestHub::at(&format!("http://127.0.0.1:{port}"));
        let log = database.data_dir().join("hub.log");
        let program = vec![BINARY.to_owned()];
        let mut process =
            Self { hub, database: Some(database), port, child: None, program, env: Vec::new(), log, unread: None };
        process.set_env(env);
        process
    }

    /// Starts the binary (again) on the same port, database and folder and waits until it is ready.
    pub async fn start(&mut self) {
        self.spawn();
        self.answers("/readyz").await;
    }

    fn spawn(&mut self) {
        assert!(self.child.is_none(), "already running");
        let log = std::fs::File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = prepared(Command::new(&self.program[0]), self.database());
        command.args(&self.program[1..]).arg("serve");
        command.env("HXA_CONNECT_PORT", self.port.to_string()).envs(self.env.clone());
        command.stdout(log.try_clone().unwrap());
        match &self.unread {
            Some(_) => {
                let (reader, writer) = std::io::pipe().unwrap();
                self.unread = Some(reader);
                command.stderr(writer)
            }
            None => command.stderr(log),
        };
        self.child = Some(command.spawn().unwrap());
    }

    /// From the next start on nobody reads what the process writes to standard error.
    pub fn leave_log_unread(&mut self) {
        self.unread = Some(std::io::pipe().unwrap().0);
    }

    /// What the process wrote to standard error while nobody read it, up to its end.
    pub fn read_unread_log(&mut self) -> String {
        let mut text = String::new();
        self.unread.take().expect("left unread").read_to_string(&mut text).unwrap();
        text
    }

    /// Replaces the additional environment variables of the next start.
    pub fn set_env(&mut self, env: &[(&str, &str)]) {
        self.env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    }

    /// Replaces the program of the next start: what is run in place of the binary, with the arguments before its own.
    pub fn set_program(&mut self, program: &[&str]) {
        self.program = program.iter().map(|&part| part.to_owned()).collect();
    }

    async fn answers(&mut self, path: &str) {
        let start = Instant::now();
        loop {
            let answer = self.hub.http().get(format!("{}{path}", self.hub.url())).send().await;
            if answer.is_ok_and(|reply| reply.status() == 200) {
                return;
            }
            let exited = self.child.as_mut().unwrap().try_wait().unwrap();
            let late = start.elapsed() > 3 * DEADLINE;
            assert!(!late && exited.is_none(), "the hub is not ready ({exited:?}): {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The database it runs on.
    pub fn database(&self) -> &Database {
        self.database.as_ref().expect("not given away")
    }

    /// The database of a process that has ended.
    pub fn into_database(mut self) -> Database {
        assert!(self.child.is_none(), "still running");
        self.database.take().expect("not given away")
    }

    /// The binary with these arguments on the database of this hub, to be run beside it.
    pub fn cli(&self, args: &[&str]) -> Command {
        command(self.database(), args)
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("running").id()
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
    }

    /// Open file descriptors.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    pub fn sqlite_path(&self) -> std::path::PathBuf {
        self.database().sqlite_path()
    }

    /// What the process wrote so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// What has been logged, once `text` is among it. A thread of its own writes the log: a line may come after the answer
    /// that it is about.
    #[track_caller]
    pub fn logged(&self, text: &str) -> impl Future<Output = String> {
        let log = self.log.clone();
        eventually(move || std::future::ready(std::fs::read_to_string(&log).unwrap()), move |log| log.contains(text))
    }

    /// Memory that the process has in use.
    pub fn memory_mib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.as_ref().expect("running").id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }

    /// Kills at once; nothing gets a chance to be written.
    pub fn kill_9(&mut self) {
        let mut child = self.child.take().expect("running");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Sends a signal by name (`TERM`, `INT`, `QUIT`, `STOP`, `CONT`).
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Waits until the process has ended by itself.
    pub async fn exited(&mut self, within: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.as_mut().expect("running").try_wait().unwrap() {
                self.child = None;
                return status;
            }
            assert!(start.elapsed() < within, "still running after {within:?}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for ProcessHub {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            println!("log of the hub:\n{}", std::fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

/// Runs the binary to its end with these arguments, in an empty folder.
pub fn cli(args: &[&str]) -> Output {
    let database = Database::fresh(Db::Sqlite).unwrap();
    command(&database, args).env_remove("HXA_CONNECT_DATA_DIR").stdin(Stdio::null()).output().unwrap()
}

/// Runs the binary to its end with these arguments on a database.
pub fn cli_on(database: &Database, args: &[&str]) -> Output {
    command(database, args).stdin(Stdio::null()).output().unwrap()
}

/// The same with more environment variables.
pub fn cli_with(database: &Database, env: &[(&str, &str)], args: &[&str]) -> Output {
    command(database, args).envs(env.iter().copied()).stdin(Stdio::null()).output().unwrap()
}

/// The binary with these arguments on a database, to be run.
pub fn command_on(database: &Database, args: &[&str]) -> Command {
    command(database, args)
}

fn command(database: &Database, args: &[&str]) -> Command {
    let mut command = prepared(Command::new(BINARY), database);
    command.args(args);
    command
}

/// With the folder and the settings that every hub under test has.
fn prepared(mut command: Command, database: &Database) -> Command {
    command.current_dir(database.data_dir()).env_clear();
    command.env("HXA_CONNECT_HOST", "127.0.0.1").env("HXA_CONNECT_DATA_DIR", database.data_dir());
    command.env("HXA_CONNECT_ADMIN_SECRET", ADMIN_SECRET).env("HXA_CONNECT_LOG_LEVEL", "info");
    if let Some(url) = database.postgres_url() {
        command.env("HXA_CONNECT_DATABASE_URL", url);
    }
    command
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
