//! What can end a load run early. Failed checks of the hub are not errors: they go to `failures` and the run goes on.

use thiserror::Error;

/// Why a run could not go on.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The network or the operating system said no.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A request that is not measured failed: of the set-up, or of the comparison with what is stored.
    #[error("{0}")]
    Hub(#[from] hxa_client::Error),
    /// The hub answered a measured request with something else than success.
    #[error("{request} answered {status}: {body}")]
    Refused {
        /// Method and path.
        request: String,
        /// HTTP status.
        status: u16,
        /// The start of the body.
        body: String,
    },
    /// The peer does not speak the protocol.
    #[error("protocol: {0}")]
    Protocol(String),
    /// The scratch database of the yardstick failed.
    #[error("scratch database: {0}")]
    Database(String),
    /// The options do not fit together.
    #[error("options: {0}")]
    Options(String),
}

/// Shorthand used all over this binary.
pub type Result<T> = std::result::Result<T, LoadError>;

impl LoadError {
    /// Wraps a system error with what was being done.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// A protocol error with this text.
    pub fn protocol(text: impl Into<String>) -> Self {
        Self::Protocol(text.into())
    }
}
