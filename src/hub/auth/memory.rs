//! What was read from the store, remembered by a hash for as long as it is true.
//!
//! Reading something and remembering it is not one step: it may end in between. Every removal moves the generation on,
//! and what was read under an older generation is used once but not remembered. Beyond its bound the memory forgets
//! what was asked for least.

use parking_lot::RwLock;
use quick_cache::sync::Cache;

/// Values by the hash they are found by.
pub struct Memory<V> {
    known: Cache<String, V>,
    /// Held while something is inserted, so that a removal comes before the check or after the insertion.
    generation: RwLock<u64>,
}

impl<V: Clone> Memory<V> {
    /// An empty memory of at most this many values.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { known: Cache::new(most), generation: RwLock::default() }
    }

    /// What is remembered under a hash.
    #[must_use]
    pub fn get(&self, hash: &str) -> Option<V> {
        self.known.get(hash)
    }

    /// The generation to remember what is read from now on with.
    #[must_use]
    pub fn generation(&self) -> u64 {
        *self.generation.read()
    }

    /// Remembers what was read under a generation, unless something was removed since.
    pub fn remember(&self, hash: &str, value: V, generation: u64) {
        let now = self.generation.read();
        if *now == generation {
            self.known.insert(hash.to_owned(), value);
        }
    }

    /// Forgets what has ended.
    pub fn remove(&self, hash: &str) {
        *self.generation.write() += 1;
        self.known.remove(hash);
    }

    /// Forgets all that `ended` picks.
    pub fn remove_where(&self, ended: impl Fn(&str, &V) -> bool) {
        *self.generation.write() += 1;
        self.known.retain(|hash, value| !ended(hash, value));
    }

    /// Forgets what the store turned out not to have; what is just being read cannot be wrong about that.
    pub fn discard(&self, hash: &str) {
        self.known.remove(hash);
    }

    /// Forgets all that is over by itself.
    pub fn discard_where(&self, is_over: impl Fn(&str, &V) -> bool) {
        self.known.retain(|hash, value| !is_over(hash, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_a_removal_is_not_remembered() {
        let memory = Memory::new(10);
        let before = memory.generation();
        memory.remove("other");
        memory.remember("hash", 1, before);
        assert_eq!(memory.get("hash"), None);
        memory.remember("hash", 1, memory.generation());
        assert_eq!(memory.get("hash"), Some(1));
        let before = memory.generation();
        memory.remove_where(|_, value| *value == 1);
        memory.remember("hash", 1, before);
        assert_eq!(memory.get("hash"), None);
    }

    /// All were forgotten at once, and everybody's next request went to the database.
    #[test]
    fn a_full_memory_keeps_what_is_asked_for() {
        let memory = Memory::new(1000);
        for index in 0..10_000 {
            memory.remember(&format!("once-{index}"), index, memory.generation());
            memory.remember("often", index, memory.generation());
            assert!(memory.get("often").is_some());
        }
        assert!(memory.known.len() <= 1000 && memory.known.len() > 500, "{}", memory.known.len());
    }
}
