//! The features of this program. A new one is a line here and its crate.

use std::sync::Arc;

use hxa_hub::feature::Feature;
use hxa_hub::hub::Hub;
use hxa_store::import::Foreign;
use hxa_web::{Features, Started};

/// All of them, in the order in which they start.
pub static FEATURES: Features = Features::new(&[hxa_files::FEATURE, hxa_requests::FEATURE, hxa_dashboard::FEATURE])
    .with_pages(hxa_dashboard::PLACES);

/// The databases of other programs that they can read, for imports.
pub const IMPORTS: [Foreign; 1] = [hxa_requests::import::SOURCE];

/// Registers what the handlers of features extract, on a thread that serves.
pub type Data = Arc<[Box<dyn Fn(&mut actix_web::web::ServiceConfig) + Send + Sync>]>;

/// Starts features on a hub that is not serving yet, and hands them to it.
///
/// # Errors
/// When one of them cannot start; the text names it.
pub fn start(features: &Features, hub: &Hub) -> Result<Data, String> {
    let (mut running, mut data): (Vec<Arc<dyn Feature>>, Vec<_>) = (Vec::new(), Vec::new());
    for feature in features.iter() {
        let started = (feature.start)(hub).map_err(|error| format!("{}: {error}", feature.name))?;
        let Started { running: own, data: register } = started;
        running.push(own);
        data.push(register);
    }
    hub.run_features(running);
    Ok(data.into())
}
