//! Where routes are registered: in a worker's app, or in the OpenAPI document.
//!
//! A route is one value that serves and describes itself. Every worker of a hub registers all of them, and the document is
//! made once; building the descriptions costs more than registering the routes, so only the document does it.

use actix_web::dev::HttpServiceFactory;
use actix_web::web;
use utoipa::openapi::path::Paths;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{Components, OpenApi, RefOr};
use utoipa_actix_web::OpenApiFactory;

/// Takes the routes of resources and features; see the module.
pub struct Routes<'a>(Target<'a>);

enum Target<'a> {
    App(&'a mut web::ServiceConfig),
    Document { paths: &'a mut Paths, schemas: &'a mut Vec<(String, RefOr<Schema>)> },
}

impl<'a> Routes<'a> {
    /// Routes that an app serves.
    pub fn serving(config: &'a mut web::ServiceConfig) -> Self {
        Self(Target::App(config))
    }

    /// Adds a route, behind those that were added before it.
    pub fn service(&mut self, route: impl HttpServiceFactory + OpenApiFactory + 'static) -> &mut Self {
        match &mut self.0 {
            Target::App(config) => _ = config.service(route),
            Target::Document { paths, schemas } => {
                paths.merge(route.paths());
                route.schemas(schemas);
            }
        }
        self
    }

    /// Adds routes that the document does not describe, such as pages.
    pub fn undescribed(&mut self, register: impl FnOnce(&mut web::ServiceConfig)) -> &mut Self {
        if let Target::App(config) = &mut self.0 {
            register(config);
        }
        self
    }
}

/// A document of the paths and schemas of these routes, and of nothing else.
pub fn describe(register: impl FnOnce(&mut Routes<'_>)) -> OpenApi {
    let (mut paths, mut schemas) = (Paths::new(), Vec::new());
    register(&mut Routes(Target::Document { paths: &mut paths, schemas: &mut schemas }));
    let mut components = Components::new();
    components.schemas.extend(schemas);
    OpenApi::builder().paths(paths).components(Some(components)).build()
}
