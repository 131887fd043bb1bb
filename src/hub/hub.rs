//! The hub: the core and the services of one running server, assembled.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use crate::auth::Auth;
use crate::commits::Commits;
use crate::config::Config;
use crate::core::arbiters::Arbiters;
use crate::core::{Clock, Core, system_clock};
use crate::fanout::broker::local::{ChannelLimits, LocalBroker};
use crate::fanout::event::LogLimits;
use crate::feature::Feature;
use crate::org::Orgs;
use crate::thread::Threads;
use crate::webhooks::{LookUp, Webhooks, system_look_up};
use crate::ws_tickets::WsTickets;
use hxa_domain::ids::OrgId;
use hxa_store::Store;
use hxa_store::metrics::Metrics;
use hxa_store::sessions::Sessions;

/// What the hub asks of the machine it runs on; replaced in tests.
#[derive(Clone)]
pub struct Effects {
    /// What time it is.
    pub clock: Clock,
    /// Where a host is.
    pub look_up: LookUp,
}

impl Effects {
    /// Those of the system.
    #[must_use]
    pub fn of_system() -> Self {
        Self { clock: system_clock(), look_up: system_look_up }
    }
}

/// Handle to the running hub. It derefs to its core: code that needs only the core takes `&Core`.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

/// The features of a running hub.
pub type Features = Arc<[Arc<dyn Feature>]>;

struct Inner {
    core: Core,
    auth: Auth,
    webhooks: Arc<Webhooks>,
    threads: Arc<Threads>,
    orgs: Arc<Orgs>,
    ws_tickets: WsTickets,
    commits: Commits,
    features: OnceLock<Features>,
}

impl Deref for Hub {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.inner.core
    }
}

impl Hub {
    /// A hub over an open store; `arbiters` run its actors.
    #[must_use]
    pub fn new(
        config: Config,
        store: Store,
        sessions: Sessions,
        metrics: Arc<Metrics>,
        arbiters: Arbiters,
        effects: Effects,
    ) -> Self {
        let broker = LocalBroker::new(channel_limits(&config), metrics.clone());
        let core = Core::new(config, store, metrics, broker, arbiters, effects.clock);
        let webhooks = Webhooks::new(core.clone(), effects.look_up);
        let limits = &core.config().limits;
        Self {
            inner: Arc::new(Inner {
                auth: Auth::new(core.clone(), sessions),
                threads: Threads::new(core.clone(), webhooks.clone()),
                orgs: Orgs::new(core.clone(), webhooks.clone()),
                ws_tickets: WsTickets::new(limits.ws_tickets_per_bot, limits.ws_tickets),
                commits: Commits::new(core.clone(), webhooks.clone()),
                features: OnceLock::new(),
                webhooks,
                core,
            }),
        }
    }

    /// What all services share.
    #[must_use]
    pub fn core(&self) -> &Core {
        &self.inner.core
    }

    /// Who may come in.
    #[must_use]
    pub fn auth(&self) -> &Auth {
        &self.inner.auth
    }

    /// What is on its way to webhooks.
    #[must_use]
    pub fn webhooks(&self) -> &Arc<Webhooks> {
        &self.inner.webhooks
    }

    /// The threads in use.
    #[must_use]
    pub fn threads(&self) -> &Arc<Threads> {
        &self.inner.threads
    }

    /// The organisations' actors.
    #[must_use]
    pub fn orgs(&self) -> &Arc<Orgs> {
        &self.inner.orgs
    }

    /// Outstanding WebSocket tickets.
    #[must_use]
    pub fn ws_tickets(&self) -> &WsTickets {
        &self.inner.ws_tickets
    }

    /// The writes of features.
    #[must_use]
    pub fn commits(&self) -> &Commits {
        &self.inner.commits
    }

    /// Names the features, once, before the janitor starts and before anybody is let in.
    pub fn run_features(&self, features: Vec<Arc<dyn Feature>>) {
        self.inner.features.get_or_init(|| features.into());
    }

    /// The features that run with this hub.
    #[must_use]
    pub fn features(&self) -> Features {
        self.inner.features.get().cloned().unwrap_or_default()
    }

    /// Drops a destroyed organisation from memory.
    pub fn forget_org(&self, id: OrgId) {
        self.inner.core.forget_org(id);
        self.inner.orgs.forget(id);
    }
}

fn channel_limits(config: &Config) -> ChannelLimits {
    let Config { resume, sockets, .. } = config;
    ChannelLimits {
        log: LogLimits { events: resume.log_events, bytes: resume.log_bytes },
        presence_per_second: sockets.presence_per_second,
        changes_at_once: sockets.changes_at_once,
    }
}
