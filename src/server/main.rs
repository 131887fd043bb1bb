//! The `hxa-connect` program: executes one command and turns its result into an exit code.
//!
//! Exit codes: 0 success, 1 refused or failed (the reason is on standard error), 2 a usage error on the command line. A
//! served hub stops on SIGINT or SIGTERM (clients are told that it shuts down) or SIGQUIT (clients are told that it
//! restarts), with exit code 0 and never later than two seconds after its drain time.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use hxa_connect::StopKind;
use hxa_connect::cli::{AdminArguments, AuditCommand, Cli, Command, ConfigCommand, ImportArguments, SetupKeyArguments};
use hxa_connect::features;
use hxa_connect::hub::config::{self, Config, Flags, SessionStore};
use hxa_connect::logging;
use hxa_connect::serve::store_config;
use hxa_connect::store::StoreConfig;
use hxa_connect::store::import::{self, Destination, ImportOptions};
use hxa_connect::store::migrate;
use hxa_connect::top::{self, Watch};
use hxa_connect::{audit, backup};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Chosen by measurement: a message costs a few dozen small allocations, on one thread, freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    be_private();
    let cli = Cli::parse();
    let outcome = run(cli);
    logging::flush(LOG_GRACE);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // When even standard error is gone there is nobody left to tell.
            let _ = writeln!(io::stderr(), "hxa-connect: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whatever this program makes, and the programs that it runs, is for its own user.
fn be_private() {
    #[cfg(target_os = "linux")]
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

fn run(cli: Cli) -> Outcome {
    match cli.command.unwrap_or(Command::Serve) {
        Command::Serve => serve(&cli.flags),
        Command::Migrate { dry_run } => migrate(&cli.flags, dry_run),
        Command::Import(arguments) => import(&cli.flags, arguments),
        Command::Backup { to } => print(&backup::backup(&Config::load(&cli.flags)?.config, &to)?),
        Command::Restore { from, force } => print(&backup::restore(&Config::load(&cli.flags)?.config, &from, force)?),
        Command::Admin(arguments) => admin(&cli.flags, arguments),
        Command::Audit(command) => audit(&cli.flags, command),
        Command::SetupKey(arguments) => setup_key(&cli.flags, arguments),
        Command::Top { url, every, once } => top(&Watch { url, seconds: every }, once),
        Command::Demo { keep } => Ok(actix_web::rt::System::new().block_on(hxa_connect::demo::run(keep))?),
        Command::Config(ConfigCommand::Check) => check(&cli.flags),
        Command::Config(ConfigCommand::Print { default: true }) => print(&config::default_file()),
        Command::Config(ConfigCommand::Print { default: false }) => {
            print(&config::effective(&Config::load(&cli.flags)?))
        }
        Command::Openapi => print(&hxa_connect::features::FEATURES.document_text()),
    }
}

/// Writes to standard output; a reader that has seen enough (`| head`) is not a failure.
fn print(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    match write!(out, "{text}{end}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn top(watch: &Watch, once: bool) -> Outcome {
    if once { print(&top::once(watch)?) } else { Ok(top::run(watch)?) }
}

fn check(flags: &Flags) -> Outcome {
    let loaded = Config::load(flags)?;
    let warnings: Vec<String> = loaded.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
    print(&format!("{}The configuration is good.", warnings.concat()))
}

fn migrate(flags: &Flags, dry_run: bool) -> Outcome {
    let StoreConfig { backend, catalogue, .. } = store_config(&Config::load(flags)?.config);
    let steps =
        if dry_run { migrate::pending(&catalogue, &backend)? } else { migrate::migrate_alone(&catalogue, &backend)? };
    let verb = if dry_run { "would apply" } else { "applied" };
    if steps.is_empty() {
        return print("The database is up to date.");
    }
    print(&steps.iter().map(|step| format!("{verb} {step}\n")).collect::<String>())
}

fn import(flags: &Flags, arguments: ImportArguments) -> Outcome {
    let config = Config::load(flags)?.config;
    let ImportArguments { from, files, force, dry_run, org, allow_respond, json } = arguments;
    if config::gives_password_away(&from) {
        let warning = "everybody on this machine can read the password of --from in the list of processes; leave it out and set \
                       PGPASSWORD";
        writeln!(io::stderr(), "warning: {warning}")?;
    }
    let StoreConfig { backend, catalogue, .. } = store_config(&config);
    let into = Destination {
        backend,
        catalogue,
        data_dir: config.database.data_dir.clone(),
        admin_secret: config.auth.admin_secret.as_ref().map(|secret| secret.expose()),
        keeps_sessions: config.auth.session_store == SessionStore::Sql,
        persist_messages: config.messages.persist,
    };
    let options = ImportOptions { from, files, force, dry_run, org, allow_respond };
    let report = import::run(into, &options, &features::IMPORTS)?;
    if json { print(&report.to_json().to_string()) } else { print(&report.to_string()) }
}

fn admin(flags: &Flags, arguments: AdminArguments) -> Outcome {
    print(&actix_web::rt::System::new().block_on(hxa_connect::admin::run(flags, arguments))?)
}

fn audit(flags: &Flags, command: AuditCommand) -> Outcome {
    let config = Config::load(flags)?.config;
    match command {
        AuditCommand::Verify { org } => {
            let report = audit::verify(&config, org.as_deref())?;
            print(&report.text)?;
            report.broken.map_or(Ok(()), |broken| Err(broken.into()))
        }
        AuditCommand::Export(export) => audit::export(&config, &export, &mut io::BufWriter::new(io::stdout().lock())),
    }
}

fn setup_key(flags: &Flags, arguments: SetupKeyArguments) -> Outcome {
    let said = actix_web::rt::System::new().block_on(hxa_connect::admin::setup_key(flags, arguments))?;
    if let Some(note) = said.note {
        writeln!(io::stderr(), "{note}")?;
    }
    print(&said.text)
}

fn serve(flags: &Flags) -> Outcome {
    let mut loaded = Config::load(flags)?;
    if let Some(shown) = config::make_admin_secret(&mut loaded.config)? {
        // Not to the log, which is kept and shipped.
        writeln!(io::stderr(), "{shown}")?;
    }
    logging::init(&loaded.config.log)?;
    for warning in &loaded.warnings {
        log::warn!("{warning}");
    }
    actix_web::rt::System::new().block_on(serve_until_stopped(loaded.config))
}

async fn serve_until_stopped(config: Config) -> Outcome {
    let mut signals = Signals::listen()?;
    let longest = Duration::from_secs(config.server.drain_seconds.saturating_add(EXIT_GRACE_SECONDS));
    let hub = tokio::select! {
        hub = hxa_connect::start(config) => hub?,
        _ = signals.next() => {
            // It may be waiting for another hub, or for a database.
            exit_after(Duration::from_secs(EXIT_GRACE_SECONDS), 0);
            return Ok(());
        }
    };
    let control = hxa_connect::admin::listen(hub.hub());
    if let Err(error) = &control {
        log::warn!(error:% = error; "no control socket in the data folder; commands reach this hub only by --url");
    }
    log::info!(url = hub.url(), listening_on = hub.addr().to_string(), version = env!("CARGO_PKG_VERSION"); "hub is ready");
    let (kind, outcome): (StopKind, Outcome) = tokio::select! {
        kind = signals.next() => (kind, Ok(())),
        () = hub.finished() => return Err("the HTTP server stopped unexpectedly".into()),
        () = hub.lease_lost() => (StopKind::Restart, Err("another hub has taken over this database".into())),
    };
    log::info!(kind:?; "stopping");
    exit_after(longest, i32::from(outcome.is_err()));
    if let Ok(control) = control {
        control.close().await;
    }
    hub.stop(kind).await;
    outcome
}

/// What is left for closing the database after the connections had their drain time.
const EXIT_GRACE_SECONDS: u64 = 2;

/// How long the last lines of the log may take: nobody may be reading it.
const LOG_GRACE: Duration = Duration::from_millis(500);

/// Ends the process with `code` after `longest`, on a thread of its own so that nothing that hangs can prevent it.
fn exit_after(longest: Duration, code: i32) {
    std::thread::spawn(move || {
        std::thread::sleep(longest);
        log::error!(seconds = longest.as_secs(); "shutdown took too long; exiting with unfinished work");
        logging::flush(LOG_GRACE);
        std::process::exit(code);
    });
}

/// The signals that the hub listens for. Once it does, they no longer end the process by themselves, so a second one
/// during the stop is ignored.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
    hangup: Signal,
    user: [Signal; 2],
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            user: [signal(SignalKind::user_defined1())?, signal(SignalKind::user_defined2())?],
        })
    }

    /// The next signal that stops the hub. Those with which other servers reopen their logs or read their configuration
    /// anew end a process that does not know them; here they only leave a line.
    async fn next(&mut self) -> StopKind {
        let [first, second] = &mut self.user;
        loop {
            let name = tokio::select! {
                _ = self.interrupt.recv() => return StopKind::Shutdown,
                _ = self.terminate.recv() => return StopKind::Shutdown,
                _ = self.quit.recv() => return StopKind::Restart,
                _ = self.hangup.recv() => "SIGHUP",
                _ = first.recv() => "SIGUSR1",
                _ = second.recv() => "SIGUSR2",
            };
            log::info!(signal = name; "ignored a signal: there is no log file to reopen, and settings are read only at startup");
        }
    }
}
