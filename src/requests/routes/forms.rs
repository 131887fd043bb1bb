//! The schemas of bodies, from the limits of their readers in [`crate::rules`].
//!
//! The readers tell every fault of a body at once, so they take the whole of it; these types stand for it in the OpenAPI
//! document.

use hxa_domain::form::{self, AnySchema, Form};

use crate::rules::{Channel, Fallback, Intent, SchemaKind, Urgency, limits};

/// Gives types that stand for a body their schema.
macro_rules! bodies {
    ($($(#[$meta:meta])* $name:ident as $shown:literal: $form:expr;)+) => { $(
        $(#[$meta])*
        pub struct $name;

        impl utoipa::PartialSchema for $name {
            fn schema() -> AnySchema {
                let form: Form = $form;
                form.object().into()
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                $shown.into()
            }

            fn schemas(schemas: &mut Vec<(String, AnySchema)>) {
                schemas.extend(form::entries_of::<hxa_domain::schema::Json>());
            }
        }
    )+ };
}

bodies! {
    /// What an agent asks for.
    NewRequest as "NewCoordinationRequest": Form::new("What an agent asks a person.")
        .needs("intent", form::one_of(Intent::ALL.iter().map(|word| word.as_str())), "What it is for.")
        .needs("urgency", form::one_of(Urgency::ALL.iter().map(|word| word.as_str())), "How urgent it is.")
        .needs("context_package", context().object(), "What the person reads.")
        .takes("response_schema", response_schema().object(), "The form of the answer, which is checked.")
        .takes("allow_edit", form::flag(), "Whether an approval may change the proposal.")
        .needs("timeout_policy", timeout_policy().object(), "How long to wait, and what happens then.")
        .needs("routing_hints", routing_hints().object(), "Whom to ask, and how.")
        .takes("trace_id", form::filled(limits::NAME_UNITS), "The agent's own name of what it does.")
        .takes("idempotency_key", form::filled(limits::NAME_UNITS), "Under which the agent may repeat the request.")
        .takes("thread_id", form::id(), "A thread of the agent's, which is blocked until the answer is there.");

    /// An answer.
    NewAnswer as "NewCoordinationAnswer": Form::new("An answer to a request.")
        .needs("response_data", free(), "The answer, in the form that the request asks for.")
        .takes("responded_by", form::filled(limits::NAME_UNITS),
            "Who gives it; needed from a key that answers for people, and without effect from anybody else.");

    /// What may be approved by itself.
    NewPolicy as "NewCoordinationPolicy": Form::new("What an organisation lets requests do by themselves.")
        .needs("auto_approve", auto_approve().object(), "Which requests may have AUTO_APPROVE.")
        .takes("slack_names", form::flag(),
            "Whether Slack users who are no people of the organisation answer, as `slack:<name>`; false if absent.");

    /// Who is asked instead.
    Reassignment as "CoordinationReassignment": Form::new("Who is asked instead.")
        .needs("responder_id", form::filled(limits::NAME_UNITS), "The responder.");

    /// Who may answer as well.
    Delegation as "CoordinationDelegation": Form::new("Who may answer as well, for a time.")
        .needs("responder_id", form::filled(limits::NAME_UNITS), "The responder.")
        .needs("until", form::text(), "Until when, in ISO 8601; a number is milliseconds.");
}

/// An object with any JSON in it.
fn free() -> AnySchema {
    form::open(utoipa::openapi::schema::ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::Object)).into()
}

fn auto_approve() -> Form {
    let intents = form::one_of(Intent::ALL.iter().map(|word| word.as_str()));
    let urgencies = form::one_of(Urgency::ALL.iter().map(|word| word.as_str()));
    Form::new("Which requests may be approved by themselves; what is not given is all, an empty list is none.")
        .takes("intents", form::list(intents, Intent::ALL.len()), "Only these intents.")
        .takes("urgencies", form::list(urgencies, Urgency::ALL.len()), "Only these urgencies.")
}

fn context() -> Form {
    let label = || form::short(limits::ATTACHMENT_LABEL_UNITS);
    let attachment = Form::new("Something to read along.")
        .needs("type", label(), "What kind it is.")
        .needs("name", label(), "What it is called.")
        .needs("content", form::short(limits::ATTACHMENT_BYTES), "Its text.");
    Form::new("What the person reads.")
        .needs("summary", form::filled(limits::SUMMARY_UNITS), "In a sentence.")
        .takes("detail", form::short(limits::DETAIL_UNITS), "At length.")
        .takes("metadata", free(), "Names and values.")
        .takes("attachments", form::list(attachment.object(), limits::ATTACHMENTS), "What else there is to read.")
}

fn response_schema() -> Form {
    let option = Form::new("One of the answers to choose from.")
        .needs("key", form::filled(limits::OPTION_KEY_UNITS), "What the answer names it by.")
        .needs("label", form::short(limits::OPTION_TEXT_UNITS), "What people read.")
        .takes("description", form::short(limits::OPTION_TEXT_UNITS), "More for people.");
    Form::new("The form of the answer.")
        .needs("type", form::one_of(SchemaKind::ALL.iter().map(|word| word.as_str())), "Which form.")
        .takes("options", form::list(option.object(), limits::OPTIONS), "What a choice chooses from.")
        .takes("json_schema", free(), "The JSON Schema of a structured answer.")
        .takes("multiple", form::flag(), "Whether several options may be chosen.")
        .takes("allow_edit", form::flag(), "As the request's own.")
}

fn timeout_policy() -> Form {
    let name = || form::filled(limits::NAME_UNITS);
    let step = Form::new("A step of an escalation.")
        .needs("after_seconds", form::whole(1, limits::TIMEOUT_MAX_S), "Seconds after the request was made.")
        .needs("responder_id", name(), "Who is asked then.");
    Form::new("How long to wait, and what happens then.")
        .needs("timeout_seconds", form::whole(1, limits::TIMEOUT_MAX_S), "Seconds to wait for the answer.")
        .needs("fallback", form::one_of(Fallback::ALL.iter().map(|word| word.as_str())), "What happens then.")
        .takes("escalation_responder_id", name(), "Who is asked next; needed with ESCALATE.")
        .takes("escalation", form::list(step.object(), limits::ESCALATIONS), "Who is asked one after the other before.")
}

fn routing_hints() -> Form {
    let name = || form::filled(limits::NAME_UNITS);
    let most = i64::try_from(limits::QUORUM).unwrap_or(i64::MAX);
    let quorum = Form::new("Those who decide together.")
        .needs("of", form::list(name(), limits::QUORUM), "Who may vote.")
        .needs("need", form::whole(1, most), "How many must agree.");
    Form::new("Whom to ask, and how.")
        .needs("responder_id", name(), "The responder's handle; one that is not known yet waits for its person.")
        .takes("channel", form::one_of(Channel::ALL.iter().map(|word| word.as_str())), "`portal` if absent.")
        .takes("slack_channel_id", name(), "The Slack channel; needed with `slack`.")
        .takes("quorum", quorum.object(), "Several who decide together.")
}
