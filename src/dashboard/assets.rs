//! The built files of the pages, in the program itself.
//!
//! A file that is asked for with its hash is kept by browsers for good; without it, or with the hash of another version, it
//! is asked for again each time and answered with 304 while it is the same.

use actix_web::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, ETAG, HeaderValue, VARY};
use actix_web::{HttpRequest, HttpResponse};

use hxa_web::middleware::has_current;

/// One file.
#[derive(Debug)]
pub struct Asset {
    /// Its name.
    pub name: &'static str,
    /// Half of the SHA-256 of its bytes, as hexadecimal digits.
    pub hash: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// A year: what is called by its hash never changes.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

/// The file with this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

impl Asset {
    /// Answers with it; `hash` is the one that it was asked for with.
    #[must_use]
    pub fn answer(&self, request: &HttpRequest, hash: Option<&str>) -> HttpResponse {
        let is_gzip = self.gzip.len() < self.plain.len() && accepts_gzip(request);
        // Compressed bytes are other bytes.
        let tag = format!("\"{}{}\"", self.hash, if is_gzip { "-gzip" } else { "" });
        let cache = if hash == Some(self.hash) { FOR_GOOD } else { "no-cache" };
        let is_known = has_current(request, &tag);
        let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        answer.insert_header((CACHE_CONTROL, cache)).insert_header((VARY, ACCEPT_ENCODING.as_str()));
        answer.insert_header((ETAG, tag));
        if is_known {
            return answer.finish();
        }
        answer.content_type(self.content_type());
        if is_gzip {
            answer.insert_header((CONTENT_ENCODING, HeaderValue::from_static("gzip")));
        }
        answer.body(if is_gzip { self.gzip } else { self.plain })
    }

    fn content_type(&self) -> &'static str {
        match self.name.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "json" => "application/json; charset=utf-8",
            "svg" => "image/svg+xml",
            "txt" => "text/plain; charset=utf-8",
            _ => "application/octet-stream",
        }
    }
}

/// Whether a client takes gzip: named and not weighed with zero.
fn accepts_gzip(request: &HttpRequest) -> bool {
    let lists = request.headers().get_all(ACCEPT_ENCODING).filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let is_refused = weight.trim().strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0_f32));
        matches!(name.trim().to_ascii_lowercase().as_str(), "gzip" | "x-gzip" | "*") && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        let accepts = |value: &str| {
            accepts_gzip(&TestRequest::default().insert_header((ACCEPT_ENCODING, value)).to_http_request())
        };
        for taken in ["gzip", "br, GZIP;q=0.5", "deflate,x-gzip", "*"] {
            assert!(accepts(taken), "{taken}");
        }
        for refused in ["", "br", "gzip;q=0", "gzip;q=0.000, br", "identity"] {
            assert!(!accepts(refused), "{refused}");
        }
        assert!(!accepts_gzip(&TestRequest::default().to_http_request()));
    }

    #[test]
    fn every_kind_of_file_has_a_type() {
        assert!(ASSETS.len() >= 6, "{ASSETS:?}");
        for asset in ASSETS {
            assert_ne!(asset.content_type(), "application/octet-stream", "{}", asset.name);
            assert_eq!(asset.hash.len(), 32, "{}", asset.name);
        }
    }
}
