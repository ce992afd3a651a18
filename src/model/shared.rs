//! Values that many samples have alike, kept once.

use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

/// Values kept at once. A run has about one list of requests and a few of instructions a cell; a
/// journal in which they are all different must not fill the memory twice.
const MOST: usize = 10_000;

/// Known values of one kind.
pub(super) struct Table<T: ?Sized> {
    hasher: RandomState,
    /// By their hash.
    known: HashMap<u64, Vec<Arc<T>>, RandomState>,
}

impl<T: ?Sized> Default for Table<T> {
    fn default() -> Self {
        Self { hasher: RandomState::default(), known: HashMap::default() }
    }
}

impl<T: ?Sized> Table<T> {
    /// The value that `is` recognises, or else what `make` gives, which is known from then on.
    /// `hash` feeds what tells values apart to a hasher.
    pub(super) fn get(
        &mut self,
        hash: impl FnOnce(&mut dyn Hasher),
        is: impl Fn(&T) -> bool,
        make: impl FnOnce() -> Arc<T>,
    ) -> Arc<T> {
        let mut hasher = self.hasher.build_hasher();
        hash(&mut hasher);
        if self.known.len() >= MOST {
            self.known.clear();
        }
        let alike = self.known.entry(hasher.finish()).or_default();
        if let Some(known) = alike.iter().find(|known| is(known)) {
            return Arc::clone(known);
        }
        let made = make();
        alike.push(Arc::clone(&made));
        made
    }
}
