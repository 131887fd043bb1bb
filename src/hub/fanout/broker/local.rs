//! The broker in the memory of one process: a restart begins new logs, and nobody is online by mistake after a crash.

mod channel;
mod resume;
mod room;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;
use tokio::sync::Notify;

use super::{Broker, Channel, Roster};
use crate::fanout::event::LogLimits;
use crate::fanout::waiting::Budget;
use channel::{Channels, LocalChannel};
use hxa_domain::ids::OrgId;
use hxa_store::metrics::Metrics;

/// Between two looks at the changes that wait.
const TICK: Duration = Duration::from_millis(100);

/// Bounds of a channel.
#[derive(Debug, Clone, Copy)]
pub struct ChannelLimits {
    /// Of the event log.
    pub log: LogLimits,
    /// Deliveries per second of what is told to the whole organisation about bots; see [`crate::fanout::waiting`].
    pub presence_per_second: u64,
    /// Changes of one bot that are published at once.
    pub changes_at_once: u64,
}

/// The broker; see the module.
pub struct LocalBroker {
    limits: ChannelLimits,
    metrics: Arc<Metrics>,
    channels: Arc<Channels>,
    /// Woken when a change of a bot waits.
    waits: Arc<Notify>,
}

impl LocalBroker {
    /// A broker without channels.
    #[must_use]
    pub fn new(limits: ChannelLimits, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { limits, metrics, channels: Arc::default(), waits: Arc::default() })
    }

    /// The channels of organisations in use.
    fn open_channels(&self) -> Vec<Arc<LocalChannel>> {
        self.channels.iter().filter_map(|channel| channel.upgrade()).collect()
    }

    /// Publishes what waits, channel by channel; asleep while nothing waits.
    ///
    /// All channels together may cost what one of them may, so that a restart of a hub with many organisations does not
    /// drown in it either.
    async fn publish_waiting(&self) {
        let mut budget = Budget::new(self.limits.presence_per_second);
        loop {
            self.waits.notified().await;
            loop {
                tokio::time::sleep(TICK).await;
                let mut channels = self.open_channels();
                channels.retain(|channel| channel.changes_waiting() > 0);
                if channels.is_empty() {
                    break;
                }
                // Nobody is always the first to find the budget full.
                channels.shuffle(&mut rand::rng());
                for channel in channels {
                    let now = Instant::now();
                    if budget.is_open(now) {
                        budget.pay(channel.publish_waiting(), now);
                    }
                }
            }
        }
    }
}

impl Broker for LocalBroker {
    fn open(&self, org: OrgId, roster: Arc<dyn Roster>) -> Arc<dyn Channel> {
        let (metrics, waits) = (self.metrics.clone(), self.waits.clone());
        let channel = LocalChannel::new(org, roster, self.limits, metrics, waits, self.channels.clone());
        self.channels.insert(org, Arc::downgrade(&channel));
        channel
    }

    fn changes_waiting(&self) -> usize {
        self.open_channels().iter().map(|channel| channel.changes_waiting()).sum()
    }

    fn run(self: Arc<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move { self.publish_waiting().await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fanout::broker::contract;

    #[tokio::test]
    async fn keeps_the_contract() {
        let limits = ChannelLimits {
            log: LogLimits { events: 16, bytes: 100_000 },
            presence_per_second: 1_000_000,
            changes_at_once: 1000,
        };
        contract::holds(|| LocalBroker::new(limits, Arc::new(Metrics::new()))).await;
    }

    #[tokio::test]
    async fn channels_that_nobody_uses_are_forgotten() {
        let limits =
            ChannelLimits { log: LogLimits { events: 4, bytes: 100_000 }, presence_per_second: 1, changes_at_once: 1 };
        let broker = LocalBroker::new(limits, Arc::new(Metrics::new()));
        for _ in 0..10 {
            drop(broker.open(OrgId::random(), Arc::new(contract::Nobody)));
        }
        let kept = broker.open(OrgId::random(), Arc::new(contract::Nobody));
        assert_eq!((broker.channels.len(), broker.open_channels().len()), (1, 1));
        drop(kept);
        assert!(broker.open_channels().is_empty());
    }
}
