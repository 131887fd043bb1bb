//! Which handshakes are admitted: sessions in all and of each client, and how fast a client makes them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::refusal::Refusal;
use crate::bucket::{Bucket, Rate};
use crate::config::Config;

/// After so many handshakes, clients without sessions whose bucket is full are forgotten.
const PURGE_EVERY: u32 = 1024;

#[derive(Default)]
pub(super) struct Admission {
    clients: Mutex<Clients>,
}

#[derive(Default)]
struct Clients {
    by_key: HashMap<Arc<str>, Client>,
    sessions: usize,
    handshakes: u32,
}

struct Client {
    sessions: usize,
    bucket: Bucket,
}

/// The place of a session, given back when it is dropped.
pub(super) struct Admitted {
    admission: Arc<Admission>,
    pub client: Arc<str>,
}

impl Admission {
    pub fn admit(self: &Arc<Self>, key: &str, config: &Config, now: Instant) -> Result<Admitted, Refusal> {
        let rate = Rate::per_second(config.handshakes_per_second, config.handshake_burst);
        let mut clients = self.clients.lock();
        clients.purge(now);
        if clients.sessions >= config.sessions {
            return Err(Refusal::Overloaded);
        }
        let key = clients.by_key.get_key_value(key).map_or_else(|| Arc::from(key), |(key, _)| key.clone());
        let fresh = || Client { sessions: 0, bucket: Bucket::full(now) };
        let client = clients.by_key.entry(key.clone()).or_insert_with(fresh);
        if !client.bucket.take(rate, now) || client.sessions >= config.sessions_per_client {
            return Err(Refusal::TooMany);
        }
        client.sessions += 1;
        clients.sessions += 1;
        Ok(Admitted { admission: self.clone(), client: key })
    }
}

impl Clients {
    fn purge(&mut self, now: Instant) {
        self.handshakes = (self.handshakes + 1) % PURGE_EVERY;
        if self.handshakes == 0 {
            self.by_key.retain(|_, client| client.sessions > 0 || !client.bucket.is_full(now));
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut clients = self.admission.clients.lock();
        clients.sessions = clients.sessions.saturating_sub(1);
        if let Some(client) = clients.by_key.get_mut(&self.client) {
            client.sessions = client.sessions.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn sessions_and_handshakes_are_limited_and_given_back() {
        let admission = Arc::new(Admission::default());
        let config = Config {
            sessions: 3,
            sessions_per_client: 2,
            handshake_burst: 4,
            handshakes_per_second: 1,
            ..Config::default()
        };
        let now = Instant::now();
        let admit = |key: &str, now| admission.admit(key, &config, now);
        let refused = |key: &str, now| admit(key, now).err();
        let first = admit("a", now).unwrap();
        let _second = admit("a", now).unwrap();
        assert_eq!(refused("a", now), Some(Refusal::TooMany), "two sessions are allowed");
        let _third = admit("b", now).unwrap();
        assert_eq!(refused("c", now), Some(Refusal::Overloaded));
        drop(first);
        drop(admit("a", now).unwrap());
        assert_eq!(refused("a", now), Some(Refusal::TooMany), "four handshakes are allowed at once");
        assert_eq!(refused("a", now + Duration::from_secs(1)), None);
    }

    #[test]
    fn clients_are_forgotten() {
        let admission = Arc::new(Admission::default());
        let now = Instant::now();
        for number in 0..PURGE_EVERY * 3 {
            let later = now + Duration::from_millis(u64::from(number));
            drop(admission.admit(&number.to_string(), &Config::default(), later));
        }
        let kept = u32::try_from(admission.clients.lock().by_key.len()).unwrap();
        assert!(kept <= PURGE_EVERY + 50, "{kept}");
    }
}
