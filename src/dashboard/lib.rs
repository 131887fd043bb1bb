//! The pages that the hub serves to people: today the portal, in which they answer what agents ask.
//!
//! A feature without tables: the pages use the same routes as every other client, with a person's session. Their sources
//! are in `web/`; `build.rs` puts the built files into the program.
//!
//! * [`assets`]: the built files, their hashes and how they are cached
//! * [`headers`]: what every answer tells the browser about safety
//! * [`pages`]: which address shows what

pub mod assets;
pub mod headers;
pub mod pages;

use std::sync::Arc;

use hxa_hub::hub::Hub;
use hxa_store::catalogue::Schema;
use hxa_web::{Feature, Started};
pub use pages::Pages;

/// Paths under which people find pages; none of them is in the OpenAPI document.
pub const PLACES: &[&str] = &["/portal"];

/// The feature, for the list of the composition root.
pub const FEATURE: Feature = Feature {
    name: "dashboard",
    schema: Schema::NONE,
    tags: &[],
    routes: pages::routes,
    needs: &[],
    events: |_| (),
    start,
};

fn start(hub: &Hub) -> Result<Started, String> {
    Ok(Started::with_data(Arc::new(Pages::new(hub.config()))))
}
