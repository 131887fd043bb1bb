//! The order and length of a list of sessions.

use std::cmp::Reverse;

use hxa_domain::query::{Query, leading_int};

use super::summary::SummaryView;
use crate::rules::limits;

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOrder {
    /// Active ones first, then those with the most requests, then the newest.
    Attention,
    /// The newest first.
    UpdatedAt,
}

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListQuery {
    /// How many.
    pub limit: usize,
    /// In which order.
    pub order: ListOrder,
}

impl ListQuery {
    /// Reads `limit` and `order`. A limit out of range is brought into it, and nothing is refused.
    #[must_use]
    pub fn read(query: &Query) -> Self {
        let limit = query.get("limit").and_then(leading_int).unwrap_or(limits::SESSIONS_MAX);
        let limit = usize::try_from(limit.clamp(1, limits::SESSIONS_MAX)).unwrap_or(1);
        let is_by_time = query.get("order") == Some("updatedAt");
        Self { limit, order: if is_by_time { ListOrder::UpdatedAt } else { ListOrder::Attention } }
    }
}

/// Puts summaries in order and cuts the list.
#[must_use]
pub fn list(mut summaries: Vec<SummaryView<'_>>, query: ListQuery) -> Vec<SummaryView<'_>> {
    // The id makes the order the same each time.
    let newest = |summary: &SummaryView<'_>| Reverse(summary.updated_at);
    summaries.sort_by(|one, other| {
        let by_time = (newest(one), one.id).cmp(&(newest(other), other.id));
        match query.order {
            ListOrder::UpdatedAt => by_time,
            ListOrder::Attention => {
                let rank = |summary: &SummaryView<'_>| {
                    (Reverse(summary.global_pinned), Reverse(summary.pinned), Reverse(summary.active))
                };
                let count = |summary: &SummaryView<'_>| Reverse(summary.pending_requests_count);
                rank(one).cmp(&rank(other)).then(count(one).cmp(&count(other))).then(by_time)
            }
        }
    });
    summaries.truncate(query.limit);
    summaries
}
