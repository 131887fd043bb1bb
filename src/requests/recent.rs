//! Requests as their newest commits left them, for those that something happened to lately.
//!
//! Only completions of commits put something here, in the order of the commits, so what is found is true. What is not found
//! is in the database.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::rows::Kept;
use crate::rules::{Request, RequestId};

/// Bytes that are kept: about ten thousand usual requests.
const BYTES: u64 = 16 * 1024 * 1024;
/// What a request takes beside its texts.
const OVERHEAD: usize = 1_600;

/// The requests; see the module.
pub struct Recent {
    known: Cache<RequestId, Kept, Weight>,
}

#[derive(Clone)]
struct Weight;

impl Weighter<RequestId, Kept> for Weight {
    fn weight(&self, _: &RequestId, kept: &Kept) -> u64 {
        u64::try_from(bytes(&kept.request)).unwrap_or(u64::MAX)
    }
}

fn bytes(request: &Request) -> usize {
    let votes: usize = request.votes.iter().map(|vote| vote.response_data.as_str().len().saturating_add(200)).sum();
    let answer = request.response_data.as_ref().map_or(0, |data| data.as_str().len());
    let schema = request.response_schema.as_ref().map_or(0, |schema| {
        let structure = schema.json_schema.as_ref().map_or(0, |text| text.as_str().len());
        structure.saturating_add(schema.options().len().saturating_mul(100))
    });
    [request.context.as_str().len(), votes, answer, schema].into_iter().fold(OVERHEAD, usize::saturating_add)
}

impl Default for Recent {
    fn default() -> Self {
        let about = usize::try_from(BYTES).unwrap_or(usize::MAX) / (OVERHEAD);
        Self { known: Cache::with_weighter(about, BYTES, Weight) }
    }
}

impl Recent {
    /// A request, if it is known here.
    #[must_use]
    pub fn find(&self, id: RequestId) -> Option<Kept> {
        self.known.get(&id)
    }

    /// Remembers what a commit has stored.
    pub fn put(&self, request: &Arc<Request>, revision: i64) {
        self.known.insert(request.id, Kept { request: request.clone(), revision });
    }

    /// Forgets a request of which it is not known what is stored.
    pub fn forget(&self, id: RequestId) {
        self.known.remove(&id);
    }
}
