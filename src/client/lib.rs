//! A client of the HXA Connect protocol, for bots and for the people and programs that administer a hub.
//!
//! * **REST**: one method of [`Client`] per route, with typed parameters and responses.
//! * **Events**: [`Client::events`] is a stream that reconnects and resumes by itself.
//! * **Operations** over the same socket: [`Events::socket`].
//! * **Webhooks**: [`verify_webhook`] verifies the signature of a request.
//!
//! It runs inside tokio and uses only the public protocol.
//!
//! # A bot
//!
//! A bot registers once, with a ticket from its organisation's admin, and keeps its token.
//!
//! ```no_run
//! use futures_util::TryStreamExt;
//! use hxa_client::{Client, Event, Registration};
//!
//! # async fn example() -> hxa_client::Result<()> {
//! let hub = Client::builder("https://hub.example").build()?;
//! let registered = hub
//!     .register(&Registration {
//!         org_id: "0192f0c0-1111-7abc-8def-0123456789ab".to_owned(),
//!         ticket: Some("tkt_…".to_owned()),
//!         name: "echo".to_owned(),
//!         ..Registration::default()
//!     })
//!     .await?;
//! let client = hub.with_token(&registered.token)?;
//! let mut events = client.events();
//! while let Some(event) = events.try_next().await? {
//!     match event {
//!         Event::Message { message, .. } if message.sender_id != registered.bot.id => {
//!             client.send(&message.sender_id, message.content).await?;
//!         }
//!         Event::Gap { since } => println!("events since {since} were missed"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! `src/client/examples/echo_bot.rs` is a complete bot.
//!
//! # Retries
//!
//! Reads, and the calls that create messages, threads and artifacts, are tried up to four times after network errors,
//! timeouts, 502 to 504, `UNAVAILABLE`, `REQUEST_TIMEOUT` and `IDEMPOTENCY_IN_PROGRESS`, with pauses of half a second to
//! eight seconds; a `Retry-After` of up to a minute is honoured. The creating calls carry an idempotency key (a given one
//! or a new UUID), so that a retried one takes effect once; [`Created::replayed`] tells whether an earlier try did. A
//! program that may itself be stopped between two tries gives its own keys. Other changes are sent once: after
//! [`Error::Network`] or [`Error::Timeout`] it is unknown whether they took effect.
//!
//! # Rate limits
//!
//! An exhausted rate is refused with `RATE_LIMITED` and [`Error::retry_after`]; with [`ClientBuilder::wait_for_rate`] the
//! client waits instead. [`Client::rate`] is what remains.
//!
//! # Reconnecting
//!
//! | close code | what the event stream does |
//! |---|---|
//! | 1012 (restart) | reconnects at once, up to three times in a row |
//! | 1001, 1013, a lost connection, and others | reconnects after half a second to 30 seconds, with 20 % jitter |
//! | 4001 (credential) | gets one new ticket; ends if that fails too |
//! | 4002 (session ended, bot deleted), 4003, 4101, 4403 (rejected) | ends with [`Error::Closed`] |
//! | 4100 (suspended) | tries every five minutes |
//! | 4403 (pending approval) | tries every minute |
//!
//! # Compatibility
//!
//! Unknown fields are ignored, unknown events are [`Event::Other`], and unknown values of an enum are `Unknown`. Routes
//! for clients from before 1.1 have no method; [`Client::request`] reaches them and routes that are newer than this crate.

mod artifacts;
mod bots;
mod catchup;
mod client;
mod coordination;
mod error;
mod events;
mod files;
mod health;
mod keys;
mod login;
mod me;
mod messages;
mod org;
mod org_threads;
mod page;
mod people;
mod platform;
mod retry;
mod signature;
mod threads;
mod webhooks;
mod words;

pub use artifacts::{Artifact, NewArtifact, NewVersion};
pub use bots::{Bot, BotFilter, BotPageQuery, Profile, Registered, Registration};
pub use bytes::Bytes;
pub use catchup::{CatchupCount, CatchupEvent, Conversation, Missed, Workspace, WorkspaceQuery};
pub use client::{Client, ClientBuilder, Created, Rate, UploadBody};
pub use coordination::{
    AutoApprove, CoordinationAuditEvent, CoordinationEvent, CoordinationEvents, CoordinationPolicy,
    CoordinationRequest, NewRequest, RequestAuditQuery, RequestQuery, StreamTicket,
};
pub use error::{ApiError, Error, Result};
pub use events::{Ack, BotRef, Event, Events, FileStore, ResumePoint, ResumeStore, Socket};
pub use files::{Download, FileInfo};
pub use health::{Health, Stats, Version};
pub use keys::{Key, NewKey};
pub use login::{Login, Session, SessionPerson, WsTicket};
pub use me::{HumanSession, NewToken, RotatedToken, Slice, Token, TokenRotation};
pub use messages::{
    Channel, ChannelMember, ChannelMessage, Mention, NewMessage, RepliedTo, Sent, ThreadMessage, Window,
};
pub use org::{
    AuditEntry, AuditQuery, Cursor, Found, FoundMessage, NewTicket, OrgSettings, OrgSettingsUpdate, Organisation,
    Ticket, Tombstone,
};
pub use org_threads::OrgThreadQuery;
pub use page::Page;
pub use people::{LoginLink, NewPerson, Person, PersonQuery, PersonUpdate};
pub use platform::{InviteCode, NewInviteCode, NewOrganisation, OrgUpdate};
pub use reqwest::Method;
pub use signature::{WebhookError, verify_webhook};
pub use threads::{
    Change, JoinRequest, Joined, NewThread, Participant, PermissionPolicy, Thread, ThreadQuery, ThreadUpdate,
};
pub use webhooks::{Delivery, DeliveryQuery, RotatedSecret, Webhook, WebhookHealth, WebhookUpdate};
pub use words::{
    ArtifactType, CloseReason, DeliveryStatus, JoinPolicy, JoinStatus, OrgStatus, PersonRole, Role, Scope,
    ThreadStatus, Visibility,
};
