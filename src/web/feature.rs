//! A feature as the composition root sees it, and the features of a program.
//!
//! A feature is a crate above this one: routes, tables, duties and hooks of one subject. It is one [`Feature`] value of plain
//! functions; the program lists its features in one place and hands the list to the hub's start. The OpenAPI document and the
//! table of routes are those of the kernel and the listed features together.

use std::sync::{Arc, OnceLock};

use actix_web::web::{self, Bytes};
use utoipa::openapi::OpenApi;

use super::answer;
use super::document::{self, Events};
use super::route_table::{RouteTable, operations};
use super::routing::{self, Routes};
use hxa_domain::scope::{Need, ROUTES};
use hxa_hub::hub::Hub;
use hxa_store::Catalogue;
use hxa_store::catalogue::Schema;

/// One feature.
#[derive(Clone, Copy)]
pub struct Feature {
    /// Its name, for errors.
    pub name: &'static str,
    /// Its schema steps and tables.
    pub schema: Schema,
    /// Groups of its own in the OpenAPI document: their names and what they are about.
    pub tags: &'static [(&'static str, &'static str)],
    /// Registers its routes, each described with utoipa.
    pub routes: fn(&mut Routes<'_>),
    /// What each of its routes needs of a bot's credential.
    pub needs: &'static [(&'static str, Need)],
    /// Describes the events that it publishes.
    pub events: fn(&mut Events),
    /// Starts it on a hub that is not serving yet.
    pub start: fn(&Hub) -> Result<Started, String>,
}

/// A feature that runs.
pub struct Started {
    /// Its duties and hooks.
    pub running: Arc<dyn hxa_hub::feature::Feature>,
    /// Registers what its handlers extract, on each thread that serves.
    pub data: Box<dyn Fn(&mut web::ServiceConfig) + Send + Sync>,
}

impl Started {
    /// A feature whose handlers extract its handle as [`web::Data`].
    #[must_use]
    pub fn with_data<F: hxa_hub::feature::Feature + 'static>(handle: Arc<F>) -> Self {
        let data = web::Data::from(handle.clone());
        let register = move |config: &mut web::ServiceConfig| {
            config.app_data(data.clone());
        };
        Self { running: handle, data: Box::new(register) }
    }
}

/// The features of a program, and what is made of the routes once.
pub struct Features {
    list: &'static [Feature],
    pages: &'static [&'static str],
    document: OnceLock<OpenApi>,
    body: OnceLock<Bytes>,
    table: OnceLock<RouteTable>,
    route_list: OnceLock<String>,
}

impl Features {
    /// These features.
    #[must_use]
    pub const fn new(list: &'static [Feature]) -> Self {
        Self {
            list,
            pages: &[],
            document: OnceLock::new(),
            body: OnceLock::new(),
            table: OnceLock::new(),
            route_list: OnceLock::new(),
        }
    }

    /// The same with places where people find pages: paths of their own that the OpenAPI document does not describe, and that
    /// are counted by the name of the place.
    #[must_use]
    pub const fn with_pages(mut self, pages: &'static [&'static str]) -> Self {
        self.pages = pages;
        self
    }

    /// One by one, in the order in which they start.
    pub fn iter(&self) -> impl Iterator<Item = &Feature> {
        self.list.iter()
    }

    /// The schema steps and tables of the kernel and of all of them.
    #[must_use]
    pub fn catalogue(&self) -> Catalogue {
        Catalogue::with(self.list.iter().map(|feature| feature.schema))
    }

    /// What each route needs of a bot's credential, the kernel's first.
    pub fn needs(&self) -> impl Iterator<Item = (&'static str, Need)> {
        let own = self.list.iter().flat_map(|feature| feature.needs);
        ROUTES.iter().chain(own).copied()
    }

    /// What a route, such as `GET /api/me`, needs.
    #[must_use]
    pub fn need_of(&self, route: &str) -> Need {
        self.needs().find(|(name, _)| *name == route).map_or(Need::Nothing, |(_, need)| need)
    }

    /// The OpenAPI document of all routes.
    pub fn document(&self) -> &OpenApi {
        self.document.get_or_init(|| {
            let described = routing::describe(|routes| super::routes(routes, self));
            let tags = self.iter().flat_map(|feature| feature.tags);
            let events = |events: &mut Events| self.iter().for_each(|feature| (feature.events)(events));
            document::build(described, tags, events)
        })
    }

    /// The document as JSON, for people.
    #[must_use]
    pub fn document_text(&self) -> String {
        self.document().to_pretty_json().unwrap_or_default()
    }

    /// The document as it is answered: written once, because it is large and whoever asks for it needs no credential.
    pub(crate) fn document_body(&self) -> Bytes {
        self.body.get_or_init(|| Bytes::from(answer::json(self.document()).unwrap_or_default())).clone()
    }

    /// The routes by group, for agents.
    pub(crate) fn route_list(&self) -> &str {
        self.route_list.get_or_init(|| list_of(self.document()))
    }

    /// The routes by path.
    pub(crate) fn table(&self) -> &RouteTable {
        self.table.get_or_init(|| RouteTable::of(self.document()).with_pages(self.pages))
    }
}

/// The routes by group, as lists in Markdown.
fn list_of(document: &OpenApi) -> String {
    // In order of appearance.
    let mut groups: Vec<(String, String)> = Vec::new();
    for (path, item) in &document.paths.paths {
        for (method, operation) in operations(item) {
            let tag = operation.tags.iter().flatten().next().cloned().unwrap_or_default();
            let line = format!("- `{method} {path}`: {}\n", operation.summary.as_deref().unwrap_or_default());
            match groups.iter_mut().find(|(known, _)| *known == tag) {
                Some((_, lines)) => lines.push_str(&line),
                None => groups.push((tag, line)),
            }
        }
    }
    groups.into_iter().map(|(tag, lines)| format!("\n## {tag}\n\n{lines}")).collect()
}
