//! Resolving the hosts of webhooks, on dedicated threads.
//!
//! The system's resolver blocks its thread, for half a minute if no name server responds. So each lookup has a thread
//! of its own; their number is bounded and shared between organisations and their bots, and a thread counts until the
//! system call returns, even if the caller has stopped waiting. Results are cached for some seconds, and concurrent
//! lookups of one host share one call. The clients connect to the cached addresses only.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dashmap::{DashMap, Entry};
use tokio::sync::watch;
use uuid::Uuid;

use hxa_domain::shares::{Share, Shares};

/// Finds the addresses of a host; may block for as long as it likes.
pub type LookUp = fn(&str) -> io::Result<Vec<IpAddr>>;

/// How long anybody waits for a host's addresses.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two tries to get a thread.
const TRY_AGAIN: Duration = Duration::from_millis(50);
/// How long addresses are taken for true: a burst of deliveries asks once, a host that moves is followed at once.
const FOUND_KEPT: Duration = Duration::from_secs(10);
/// How long a host is taken for unknown after a look-up failed.
const FAILURE_KEPT: Duration = Duration::from_secs(2);
/// Hosts kept at most.
const HOSTS: usize = 4096;

/// The addresses of a host, or nothing when it has none or could not be looked up.
type Found = Option<Arc<[IpAddr]>>;

/// Why there are no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The host has none, or no name server answered in time.
    Unknown,
    /// As many look-ups as the organisation or the bot may have are still under way.
    Busy,
}

/// What is known of a host.
enum Host {
    /// Somebody looks it up.
    Wanted(watch::Receiver<Option<Found>>),
    /// It was looked up, and this was found.
    Known { found: Found, since: Instant },
}

impl Host {
    fn is_fresh(&self) -> bool {
        match self {
            Self::Wanted(_) => true,
            Self::Known { found, since } => since.elapsed() < if found.is_some() { FOUND_KEPT } else { FAILURE_KEPT },
        }
    }
}

/// The look-ups under way and what came of those before; see the module.
pub struct Resolver {
    look_up: LookUp,
    threads: Arc<Shares<Uuid>>,
    hosts: Arc<DashMap<String, Host>>,
}

impl Resolver {
    /// Looks up by `look_up`, on at most this many threads.
    pub fn new(look_up: LookUp, threads: usize) -> Self {
        Self { look_up, threads: Shares::new(threads), hosts: Arc::default() }
    }

    /// The addresses of a host, for a bot of an organisation.
    pub async fn look_up(&self, org: Uuid, bot: Uuid, host: &str) -> Result<Arc<[IpAddr]>, Failure> {
        let asked = async {
            loop {
                match self.ask(org, bot, host) {
                    Ok(found) => return found,
                    Err(Some(mut wanted)) => {
                        // The thread has ended without a word; the next try starts another.
                        let Ok(found) = wanted.wait_for(Option::is_some).await else { continue };
                        return found.clone().flatten();
                    }
                    Err(None) => tokio::time::sleep(TRY_AGAIN).await,
                }
            }
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(found) => found.ok_or(Failure::Unknown),
            Err(_) if self.hosts.contains_key(host) => Err(Failure::Unknown),
            Err(_) => Err(Failure::Busy),
        }
    }

    /// What is known of a host, or its look-up, started if need be; neither when there is no thread for it.
    fn ask(&self, org: Uuid, bot: Uuid, host: &str) -> Result<Found, Option<watch::Receiver<Option<Found>>>> {
        self.forget();
        let entry = self.hosts.entry(host.to_owned());
        if let Entry::Occupied(known) = &entry
            && known.get().is_fresh()
        {
            return match known.get() {
                Host::Known { found, .. } => Ok(found.clone()),
                Host::Wanted(wanted) => Err(Some(wanted.clone())),
            };
        }
        let Ok(share) = self.threads.take(org, bot, 1) else { return Err(None) };
        match self.start(host.to_owned(), share) {
            Ok(wanted) => {
                entry.insert(Host::Wanted(wanted.clone()));
                Err(Some(wanted))
            }
            Err(error) => {
                log::warn!(error:% = error; "cannot start a thread for a host lookup");
                Err(None)
            }
        }
    }

    fn start(&self, host: String, share: Share<Uuid>) -> io::Result<watch::Receiver<Option<Found>>> {
        let (tell, wanted) = watch::channel(None);
        let (look_up, hosts) = (self.look_up, self.hosts.clone());
        std::thread::Builder::new().name("look-up".to_owned()).spawn(move || {
            // A look-up that panics must not leave its host wanted for ever.
            let answer = std::panic::catch_unwind(|| look_up(&host)).ok().and_then(Result::ok);
            let found: Found = answer.filter(|found| !found.is_empty()).map(Arc::from);
            drop(share);
            hosts.insert(host, Host::Known { found: found.clone(), since: Instant::now() });
            // Nobody may be waiting any more.
            let _ = tell.send(Some(found));
        })?;
        Ok(wanted)
    }

    /// Makes room when too many hosts are kept: what is stale goes first, then everything that nobody waits for.
    fn forget(&self) {
        if self.hosts.len() < HOSTS {
            return;
        }
        self.hosts.retain(|_, host| host.is_fresh());
        if self.hosts.len() >= HOSTS {
            self.hosts.retain(|_, host| matches!(host, Host::Wanted(_)));
        }
    }

    /// What was found last, without asking anybody.
    pub fn known(&self, host: &str) -> Option<Arc<[IpAddr]>> {
        match self.hosts.get(host)?.value() {
            Host::Known { found, .. } => found.clone(),
            Host::Wanted(_) => None,
        }
    }
}

/// The system's own look-up.
///
/// # Errors
/// When the host is unknown or no name server answers.
pub fn system_look_up(host: &str) -> io::Result<Vec<IpAddr>> {
    use std::net::ToSocketAddrs;
    Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const ORGS: [Uuid; 2] = [Uuid::from_u128(1), Uuid::from_u128(2)];

    static ASKED: AtomicUsize = AtomicUsize::new(0);

    /// Names that begin with `silent` have name servers that never answer.
    fn scripted(host: &str) -> io::Result<Vec<IpAddr>> {
        ASKED.fetch_add(1, Ordering::Relaxed);
        match host {
            host if host.starts_with("silent") => loop {
                std::thread::park();
            },
            "none" => Ok(Vec::new()),
            "wrong" => panic!("not even a refusal"),
            _ => Ok(vec![IpAddr::from([8, 8, 8, 8])]),
        }
    }

    #[actix_web::test]
    async fn one_organisations_silent_hosts_leave_threads_for_others() {
        let resolver = Resolver::new(scripted, 8);
        let silent: Vec<String> = (0..20).map(|n| format!("silent{n}")).collect();
        let asked = silent.iter().enumerate().map(|(n, host)| {
            let bot = Uuid::from_u128(u128::try_from(n).unwrap());
            resolver.look_up(ORGS[0], bot, host)
        });
        let failures = futures_util::future::join_all(asked);
        let well = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            resolver.look_up(ORGS[1], ORGS[1], "well").await
        };
        let (failures, well) = tokio::join!(failures, well);
        assert_eq!(well.as_deref(), Ok(&[IpAddr::from([8, 8, 8, 8])][..]));
        let busy = failures.iter().filter(|failure| **failure == Err(Failure::Busy)).count();
        assert!(failures.iter().all(Result::is_err) && (16..20).contains(&busy), "{failures:?}");
        assert_eq!(resolver.threads.held(), 20 - busy, "a thread counts until the system lets go of it");
    }

    #[actix_web::test]
    async fn a_host_is_asked_for_once_and_then_known() {
        let resolver = Resolver::new(scripted, 8);
        let before = ASKED.load(Ordering::Relaxed);
        let asked = (0..50).map(|_| resolver.look_up(ORGS[0], ORGS[0], "often"));
        assert!(futures_util::future::join_all(asked).await.iter().all(Result::is_ok));
        assert!(ASKED.load(Ordering::Relaxed) - before < 25, "one question for many");
        assert_eq!(resolver.known("often").as_deref(), Some(&[IpAddr::from([8, 8, 8, 8])][..]));
        for host in ["none", "wrong"] {
            assert_eq!(resolver.look_up(ORGS[0], ORGS[0], host).await, Err(Failure::Unknown), "{host}");
        }
        assert_eq!((resolver.known("none"), resolver.threads.held()), (None, 0));
    }
}
