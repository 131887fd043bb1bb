//! The routes' templates as a tree: finds the route of a path, however it is spelled.
//!
//! Literal segments are case-insensitive and one trailing slash is ignored; parameters keep their spelling. A literal
//! takes precedence over a parameter. The tree gives each request the name of its route, for metrics, and rewrites an
//! unusual spelling to the one the router knows.

use std::collections::HashMap;

use actix_web::http::Method;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, PathItem};

/// Name of requests that no route takes.
pub const UNMATCHED: &str = "unmatched";

/// A route's template and its names by method.
#[derive(Debug)]
struct Leaf {
    segments: Vec<Segment>,
    labels: Vec<(Method, String)>,
}

#[derive(Debug, Clone)]
enum Segment {
    Literal(String),
    Parameter,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, Node>,
    parameter: Option<Box<Node>>,
    leaf: Option<Leaf>,
}

/// The tree.
#[derive(Debug, Default)]
pub struct RouteTable {
    root: Node,
    /// Places of pages, and what requests there are counted under.
    pages: Vec<(&'static str, String)>,
}

/// The route a path means.
#[derive(Debug, Clone, Copy)]
pub struct Found<'t> {
    leaf: &'t Leaf,
}

impl RouteTable {
    /// The table of a document's routes.
    #[must_use]
    pub fn of(document: &OpenApi) -> Self {
        let mut table = Self::default();
        for (template, item) in &document.paths.paths {
            table.add(template, operations(item).map(|(method, _)| method));
        }
        table
    }

    /// The same with places where pages are.
    #[must_use]
    pub fn with_pages(self, places: &[&'static str]) -> Self {
        let pages = places.iter().map(|place| (*place, format!("GET {place}"))).collect();
        Self { pages, ..self }
    }

    /// What a path that is no described route is counted under: the place of pages that it is in.
    #[must_use]
    pub fn page(&self, path: &str) -> &str {
        let is_within =
            |place: &str| path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.pages.iter().find(|(place, _)| is_within(place)).map_or(UNMATCHED, |(_, label)| label)
    }

    fn add(&mut self, template: &str, methods: impl IntoIterator<Item = Method>) {
        let segments: Vec<Segment> = parts(template)
            .map(|part| if part.starts_with('{') { Segment::Parameter } else { Segment::Literal(part.to_owned()) })
            .collect();
        let mut node = &mut self.root;
        for segment in &segments {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(text.clone()).or_default(),
                Segment::Parameter => node.parameter.get_or_insert_default(),
            };
        }
        let labels = methods.into_iter().map(|method| (method.clone(), format!("{method} {template}"))).collect();
        node.leaf = Some(Leaf { segments, labels });
    }

    /// The route that a decoded path means.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Found<'_>> {
        let segments: Vec<&str> = parts(path.strip_suffix('/').unwrap_or(path)).collect();
        self.root.find(&segments).map(|leaf| Found { leaf })
    }
}

/// The segments of a path, without the empty one before its first slash.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split('/').filter(move |_| !path.is_empty())
}

/// The operations of a path of the document, by method.
pub fn operations(item: &PathItem) -> impl Iterator<Item = (Method, &Operation)> {
    let known = [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    known.into_iter().filter_map(|(method, operation)| operation.as_ref().map(|operation| (method, operation)))
}

impl Node {
    fn find(&self, segments: &[&str]) -> Option<&Leaf> {
        let Some((first, rest)) = segments.split_first() else {
            return self.leaf.as_ref();
        };
        let literal = self.literals.get(*first).or_else(|| {
            let is_mixed = first.bytes().any(|byte| byte.is_ascii_uppercase());
            is_mixed.then(|| self.literals.get(&first.to_ascii_lowercase())).flatten()
        });
        let by_literal = literal.and_then(|node| node.find(rest));
        by_literal.or_else(|| {
            let node = self.parameter.as_ref().filter(|_| !first.is_empty())?;
            node.find(rest)
        })
    }
}

impl<'t> Found<'t> {
    /// The route's name for this method; routes are counted apart by method.
    #[must_use]
    pub fn label(&self, method: &Method) -> &'t str {
        let known = self.leaf.labels.iter().find(|(known, _)| known == method);
        known.map_or(UNMATCHED, |(_, label)| label.as_str())
    }

    /// The path as the router knows it, when `raw` (not decoded) is spelled differently.
    #[must_use]
    pub fn respelled(&self, raw: &str) -> Option<String> {
        if raw == "/" {
            return None;
        }
        let is_same = |(part, segment): (&str, &Segment)| match segment {
            Segment::Literal(text) => part == text,
            Segment::Parameter => true,
        };
        let given = || parts(raw.strip_suffix('/').unwrap_or(raw));
        if !raw.ends_with('/') && given().zip(&self.leaf.segments).all(is_same) {
            return None;
        }
        let respelled = given().zip(&self.leaf.segments).map(|(part, segment)| match segment {
            Segment::Literal(text) => text.as_str(),
            Segment::Parameter => part,
        });
        Some(respelled.fold(String::with_capacity(raw.len()), |path, part| path + "/" + part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> RouteTable {
        let mut table = RouteTable::default();
        for template in ["/api/me", "/api/bots", "/api/bots/{id}", "/api/bots/{name}/profile", "/api/bots/all/now", "/"]
        {
            table.add(template, vec![Method::GET]);
        }
        table
    }

    fn label(path: &str) -> String {
        table().find(path).map_or(String::new(), |found| found.label(&Method::GET).to_owned())
    }

    #[test]
    fn finds_routes_in_any_spelling() {
        for path in ["/api/me", "/API/Me", "/api/me/"] {
            assert_eq!(label(path), "GET /api/me");
        }
        assert_eq!(label("/api/bots/X"), "GET /api/bots/{id}");
        assert_eq!(label("/api/bots/all/profile"), "GET /api/bots/{name}/profile", "back from a literal");
        assert_eq!(label("/api/bots/all/now"), "GET /api/bots/all/now");
        assert_eq!(label("/"), "GET /");
        for none in ["/api", "/api/me//", "//api/me", "/api/bots//profile", "/api/me/x", ""] {
            assert!(table().find(none).is_none_or(|found| found.label(&Method::GET) == "GET /"), "{none}");
        }
        assert_eq!(table().find("/api/me").map(|found| found.label(&Method::POST)), Some(UNMATCHED));
    }

    #[test]
    fn pages_are_counted_by_their_place() {
        let table = table().with_pages(&["/portal"]);
        for path in ["/portal", "/portal/", "/portal/a/portal.js"] {
            assert_eq!(table.page(path), "GET /portal", "{path}");
        }
        for path in ["/portals", "/Portal/", "/x/portal", "/"] {
            assert_eq!(table.page(path), UNMATCHED, "{path}");
        }
    }

    #[test]
    fn respells_literals_and_keeps_parameters() {
        let respelled = |path: &str| table().find(path).and_then(|found| found.respelled(path));
        assert_eq!(respelled("/api/me"), None);
        assert_eq!(respelled("/"), None);
        assert_eq!(respelled("/API/me/").as_deref(), Some("/api/me"));
        assert_eq!(respelled("/Api/Bots/MyBot%20x/Profile").as_deref(), Some("/api/bots/MyBot%20x/profile"));
        assert_eq!(respelled("/api/bots/MyBot"), None);
    }
}
