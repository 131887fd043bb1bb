//! Query parameters, read the protocol's way: see [`Query`].

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::domain::limits;
use crate::domain::query::Query;
use crate::domain::text::{limit_units, refuse_nul};
use crate::error::ApiResult;

/// The parameters of a request.
pub struct Params(pub Query);

impl Deref for Params {
    type Target = Query;

    fn deref(&self) -> &Query {
        &self.0
    }
}

impl FromRequest for Params {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(Query::parse(request.query_string()))))
    }
}

impl Params {
    /// A search text that is short enough to search for; none when blank.
    ///
    /// # Errors
    /// 400 when it is too long or holds what no text holds.
    pub fn searched(&self, key: &str) -> ApiResult<Option<String>> {
        let Some(text) = self.search(key) else { return Ok(None) };
        refuse_nul(key, text)?;
        limit_units(key, text, limits::SEARCH_UNITS).map_err(|_| {
            let most = limits::SEARCH_UNITS;
            crate::error::ApiError::validation(format!("{key} too long (at most {most} characters)"))
        })?;
        Ok(Some(text.to_owned()))
    }
}
