//! A PostgreSQL instance that belongs to one test, which may stop, freeze and start it at will.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

pub struct PrivatePostgres {
    dir: TempDir,
    programs: PathBuf,
    port: u16,
}

impl PrivatePostgres {
    /// Initializes and starts one, or returns `None` when this machine has no PostgreSQL programs (never in CI).
    pub fn start_fresh() -> Option<Self> {
        Self::start_fresh_in(&std::env::temp_dir(), &[])
    }

    /// The same in a folder of that one, with more options for `initdb`.
    pub fn start_fresh_in(parent: &Path, options: &[&str]) -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs the PostgreSQL server programs");
            println!("note: no initdb on this machine; this test did not run");
            return None;
        };
        let dir = tempfile::Builder::new().prefix("hxa-pg-").tempdir_in(parent).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(dir.path()));
        }
        let own = Self { dir, programs, port };
        run(own
            .program("initdb")
            .args(["-U", "hxa", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"])
            .args(options)
            .arg("-D")
            .arg(own.data()));
        own.start();
        Some(own)
    }

    pub fn url(&self) -> String {
        format!("postgres://hxa@{}/postgres", self.address())
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Sends a signal to the server and everything it started.
    pub fn signal(&self, name: &str) {
        let server = self.server_pid();
        let children = Command::new("pgrep").args(["-P", &server]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        for pid in std::iter::once(server.as_str()).chain(children.lines()) {
            // A child may have ended meanwhile.
            let _ = Command::new("kill").args([&format!("-{name}"), pid]).status().unwrap();
        }
    }

    /// The port that it listens on, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A URL that goes through its unix socket, where everybody is trusted whatever `pg_hba.conf` says of TCP.
    pub fn own_url(&self) -> String {
        format!("postgres://hxa@/postgres?host={}&port={}", self.dir.path().display(), self.port)
    }

    /// Writes a file into its data folder that only the server may read; counts from the next start.
    pub fn configure(&self, file: &str, text: &str) {
        let path = self.data().join(file);
        std::fs::write(&path, text).unwrap();
        run(Command::new("chmod").arg("600").arg(&path));
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&path));
        }
    }

    pub fn start(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c shared_buffers=16MB",
            self.port,
            self.dir.path().display()
        );
        let log = self.dir.path().join("log");
        run(self.program("pg_ctl").args(["-w", "-o", &options, "-l"]).arg(log).arg("-D").arg(self.data()).arg("start"));
    }

    /// Whether it runs, or comes back by itself.
    pub fn is_running(&self) -> bool {
        self.program("pg_ctl").arg("-D").arg(self.data()).arg("status").status().unwrap().success()
    }

    /// `fast` ends sessions cleanly, `immediate` is a crash.
    pub fn stop(&self, mode: &str) {
        run(self.program("pg_ctl").args(["-w", "-m", mode, "-D"]).arg(self.data()).arg("stop"));
    }

    /// Ends the server and everything it started at once.
    pub fn kill_9(&self) {
        let server = self.server_pid();
        self.signal("KILL");
        while Path::new(&format!("/proc/{server}")).exists() && !is_zombie(&server) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        // In a container without an init the dead keep their number, and the next server would take them for alive.
        std::fs::remove_file(self.data().join("postmaster.pid")).unwrap();
        std::fs::remove_file(self.dir.path().join(format!(".s.PGSQL.{}.lock", self.port))).unwrap();
    }

    fn server_pid(&self) -> String {
        let pid_file = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        pid_file.lines().next().unwrap().to_owned()
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The server refuses to run as root, so root runs it as `postgres`.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.dir.path()).stdout(std::process::Stdio::null());
        command
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        let _ = self.program("pg_ctl").args(["-m", "immediate", "-D"]).arg(self.data()).arg("stop").status();
    }
}

fn programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path().join("bin"))
        .collect();
    versions.sort();
    let on_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    versions.into_iter().rev().chain(on_path.into_iter().flatten()).find(|dir| dir.join("initdb").exists())
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(Path::new("/proc/self")).unwrap()) == 0
}

#[track_caller]
fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

/// Whether a process has ended and only waits for its parent to notice.
fn is_zombie(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'))
}
