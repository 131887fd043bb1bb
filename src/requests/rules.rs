//! The rules of coordination requests, free of any I/O; times are arguments.
//!
//! From the bottom up: [`words`] and [`limits`]; [`ids`]; [`json`] and [`faults`]; [`request`], what is known of one
//! request; [`create`] and [`answer`], the bodies; [`who`] acts, and what they may: [`rights`]; [`machine`], the only
//! place that changes a request; [`audit`], what is written of it; [`views`], [`filters`], what is shown.

pub mod answer;
pub mod audit;
pub mod auto_approve;
pub mod create;
pub mod faults;
mod fields;
pub mod filters;
pub mod handover;
pub mod ids;
pub mod json;
pub mod limits;
pub mod machine;
pub mod quorum;
pub mod request;
pub mod rights;
mod structured;
pub mod threads;
pub mod times;
pub mod views;
pub mod who;
pub mod words;

pub use answer::{AnswerDraft, Naming, Verdict, check_answer, read_answer};
pub use audit::AuditDraft;
pub use create::{Create, check_repetition, read_create};
pub use faults::{Fault, Faults};
pub use fields::{fault_of_json, fault_of_text};
pub use filters::{AuditFilters, Filters, Page};
pub use ids::{AuditEventId, RequestId};
pub use json::JsonText;
pub use machine::{Answer, Input, Notify, Opening, Refusal, Step, Told, Via, step, submit};
pub use request::Request;
pub use rights::{Action, Denied, Rights};
pub use who::{PersonRole, Who};
pub use words::{ActorKind, AuditKind, Channel, Fallback, Intent, SchemaKind, SlackStatus, State, Urgency};
