//! A map with bounded memory that evicts entries which are no longer used.

use std::collections::HashMap;
use std::hash::Hash;

/// What is looked up moves to the young; when these are too many they become the old, and the old are forgotten.
#[derive(Debug)]
pub struct Generations<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    /// Of all in the young generation.
    size: usize,
    limit: usize,
}

impl<K: Hash + Eq + Clone, V: Clone> Generations<K, V> {
    /// An empty map; `limit` bounds the sizes of one of its two generations.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), size: 0, limit }
    }

    /// What was put under this key lately, or looked up lately.
    pub fn get(&mut self, key: &K) -> Option<V> {
        if let Some((found, _)) = self.young.get(key) {
            return Some(found.clone());
        }
        let (found, size) = self.old.remove(key)?;
        self.insert(key.clone(), found.clone(), size);
        Some(found)
    }

    /// Puts a value of this size under a key, in the place of what was there.
    pub fn insert(&mut self, key: K, value: V, size: usize) {
        let replaced = self.young.remove(&key).map_or(0, |(_, size)| size);
        self.size = self.size.saturating_sub(replaced).saturating_add(size);
        if self.size > self.limit {
            self.old = std::mem::take(&mut self.young);
            self.size = size;
        }
        self.young.insert(key, (value, size));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::new(self.limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_what_nobody_asks_for() {
        let mut map = Generations::new(10);
        map.insert("kept", 1, 5);
        map.insert("forgotten", 2, 5);
        map.insert("new", 3, 5);
        assert_eq!(map.get(&"kept"), Some(1), "the old are still there, and this one is young again");
        map.insert("newer", 4, 1);
        assert_eq!((map.get(&"kept"), map.get(&"forgotten")), (Some(1), None));
        map.clear();
        assert_eq!(map.get(&"kept"), None);
    }

    #[test]
    fn what_is_replaced_takes_no_room() {
        let mut map = Generations::new(10);
        map.insert("other", 0, 5);
        for version in 1..=9 {
            map.insert("replaced", version, 5);
        }
        map.insert("small", 0, 0);
        assert!(map.old.is_empty(), "all three fit");
        assert_eq!((map.get(&"other"), map.get(&"replaced")), (Some(0), Some(9)));
    }
}
