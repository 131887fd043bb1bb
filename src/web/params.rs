//! Query parameters, parsed as the protocol says: see [`Query`].

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::dialect::Dialect;
use hxa_domain::error::ApiResult;
use hxa_domain::limits;
use hxa_domain::query::Query;
use hxa_domain::text::{limit_units, refuse_nul};

/// The parameters of a request.
pub struct Params {
    query: Query,
    dialect: Dialect,
}

impl Deref for Params {
    type Target = Query;

    fn deref(&self) -> &Query {
        &self.query
    }
}

impl FromRequest for Params {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self { query: Query::parse(request.query_string()), dialect: Dialect::of_request(request) }))
    }
}

impl Params {
    /// The status to filter a list by, in the hub's own words.
    #[must_use]
    pub fn status(&self) -> Option<&str> {
        self.dialect.status_filter(self.get("status"))
    }

    /// A search text that is short enough to search for; none when blank.
    ///
    /// # Errors
    /// 400 when it is too long or holds what no text holds.
    pub fn searched(&self, key: &str) -> ApiResult<Option<String>> {
        let Some(text) = self.search(key) else { return Ok(None) };
        refuse_nul(key, text)?;
        limit_units(key, text, limits::SEARCH_UNITS).map_err(|_| {
            let most = limits::SEARCH_UNITS;
            hxa_domain::error::ApiError::validation(format!("{key} too long (at most {most} characters)"))
        })?;
        Ok(Some(text.to_owned()))
    }
}
