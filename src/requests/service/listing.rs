//! Lists of requests and of audit events.

use super::Requests;
use crate::principal::Principal;
use crate::queries::lists::{Listed, Wanted};
use crate::rows::{AuditRow, Kept};
use crate::rules::filters::{AuditFilters, Filters, Page};
use crate::rules::rights::Reach;
use hxa_domain::error::ApiResult;

impl Requests {
    fn wanted<F>(&self, principal: &Principal, filters: F, page: Page) -> Wanted<F> {
        Wanted {
            org: principal.org().id,
            reach: Reach::of(&principal.who),
            filters,
            page,
            now: self.core().now(),
            most: self.core().config().server.max_answer_bytes,
        }
    }

    /// The requests that the caller sees and asks for, newest first.
    ///
    /// # Errors
    /// 503 when the database is unavailable.
    pub async fn list(&self, principal: &Principal, filters: Filters, page: Page) -> ApiResult<Listed<Kept>> {
        let wanted = self.wanted(principal, filters, page);
        let (org, is_heavy) = (wanted.org, wanted.is_heavy());
        let store = self.core().store();
        if is_heavy {
            store.read_slowly(Some(org), move |conn| wanted.list(conn)).await
        } else {
            store.read_for(org, move |conn| wanted.list(conn)).await
        }
    }

    /// The audit events of requests that the caller sees and asks for, oldest first.
    ///
    /// # Errors
    /// 503 when the database is unavailable.
    pub async fn audit(&self, principal: &Principal, filters: AuditFilters, page: Page) -> ApiResult<Listed<AuditRow>> {
        let wanted = self.wanted(principal, filters, page);
        let (org, is_heavy) = (wanted.org, wanted.is_heavy());
        let store = self.core().store();
        if is_heavy {
            store.read_slowly(Some(org), move |conn| wanted.list(conn)).await
        } else {
            store.read_for(org, move |conn| wanted.list(conn)).await
        }
    }
}
