//! Lists of counters that many tasks write to.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// A list of atomics that start at their default.
pub fn zeros<T: Default>(count: usize) -> Vec<T> {
    std::iter::repeat_with(T::default).take(count).collect()
}

/// A cell's value, 0 outside.
pub fn read(cells: &[AtomicU32], at: usize) -> u32 {
    cells.get(at).map_or(0, |cell| cell.load(Relaxed))
}
