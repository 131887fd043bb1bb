//! Slack: people hear of requests there, and answer them by buttons.
//!
//! Changes of requests leave rows in the outbox ([`rows`]), which the [sender] sends in [turns] as they look then
//! ([`render`], [`messages`]); [`todo`](mod@todo) says what is next. What people click is read and decided in [`crate::clicks`], by the rules of the
//! request. Signatures, blocks and the client of Slack's API are those of `hxa-slack`.

pub mod figures;
pub mod messages;
pub mod outbox;
pub mod render;
pub mod rows;
pub mod sender;
pub mod todo;
pub mod turns;

use std::sync::Arc;

use figures::Figures;
use hxa_hub::config::{Secret, SlackConfig};
use hxa_hub::hub::Hub;
use hxa_slack::Api;
use hxa_slack::api::Timeouts;
use hxa_slack::outbox::Policy;
use hxa_slack::signature::SigningSecrets;
use outbox::Outbox;
use render::Look;
use sender::{Manner, Sender, Told};

/// What runs of Slack.
pub struct Slack {
    /// What is to be sent, and who sends it; nothing without a bot's token.
    pub sending: Option<(Arc<Outbox>, Arc<Sender>)>,
    /// Slack's interface, with a bot's token.
    pub api: Option<Api>,
    /// What messages look like.
    pub look: Look,
    /// What is counted.
    pub figures: Arc<Figures>,
}

impl Slack {
    /// As it is configured.
    ///
    /// # Errors
    /// When the token or the address cannot be used.
    pub fn new(hub: &Hub, told: Told) -> Result<Self, String> {
        let (config, server) = (&hub.config().slack, &hub.config().server);
        let look = Look { base: hub.config().base_url(server.port), has_buttons: !secrets(config).is_empty() };
        let figures = Arc::new(Figures::register(hub.metrics()).map_err(|error| error.to_string())?);
        let api = config.bot_token.as_ref().map(|token| Api::new(&config.api_base, token.expose(), Timeouts::DEFAULT));
        let api = api.transpose().map_err(|error| error.to_string())?;
        let sending = api.clone().map(|api| {
            let outbox = Arc::new(Outbox::new(config.outbox_per_org, figures.clone()));
            let attempts = u32::try_from(config.attempts).unwrap_or(u32::MAX);
            let policy = Policy { attempts, ..Policy::DEFAULT };
            let manner = Manner { policy, look: look.clone(), at_once: config.in_flight };
            let sender = Sender::new((hub.core().clone(), told), outbox.clone(), api, manner, figures.clone());
            (outbox, Arc::new(sender))
        });
        Ok(Self { sending, api, look, figures })
    }
}

/// The secrets; two while one is being replaced, separated by a comma.
#[must_use]
pub fn secrets(config: &SlackConfig) -> SigningSecrets {
    let text = config.signing_secret.as_ref().map(Secret::expose).unwrap_or_default();
    SigningSecrets::new(text.split(','))
}
