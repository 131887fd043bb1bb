//! Files: uploading them, handing them out, links that open them without a token, and quotas.
//!
//! A feature: nothing below this crate names it, and it shows how a feature is built. From the bottom up:
//!
//! * [`rules`]: what may be uploaded and how it is handed out, without I/O
//! * [`blobs`], [`queries`], `writes`: bytes on disk, rows in the database
//! * [`quota`]: what may be uploaded in a day, counted while it arrives
//! * [`upload`]: receiving one file, whoever sends it and by whichever transport
//! * [`service`]: the running feature: its duties and what it does when an organisation goes
//! * [`routes`]: the REST transport

pub mod blobs;
pub mod queries;
pub mod quota;
pub mod routes;
pub mod rules;
pub mod service;
pub mod upload;
mod writes;

use std::sync::Arc;

use hxa_hub::hub::Hub;
use hxa_store::catalogue::Schema;
use hxa_web::{Feature, Started};
pub use service::Files;

/// The feature, for the list of the composition root.
pub const FEATURE: Feature = Feature {
    name: "files",
    // Its table was made by a step of the kernel.
    schema: Schema::NONE,
    // Collaboration's.
    tags: &[],
    routes: routes::routes,
    needs: routes::NEEDS,
    events: |_| (),
    start,
};

fn start(hub: &Hub) -> Result<Started, String> {
    Ok(Started::with_data(Arc::new(Files::new(hub))))
}
