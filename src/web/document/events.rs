//! Events in the document: what sockets and webhooks are told, each kind a schema, and all of them one.

use utoipa::openapi::schema::OneOfBuilder;
use utoipa::openapi::{Discriminator, Object, ObjectBuilder, Ref, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use hxa_hub::wire::events as told;

/// A schema under its name.
type Named = (String, RefOr<Schema>);

/// The schemas of every kind of event and of all of them: the kernel's, and those that `of_features` adds.
pub fn schemas(of_features: impl FnOnce(&mut Events)) -> Vec<Named> {
    let mut kinds = Events::default();
    kinds.add::<told::MessageSent<'_>>("message");
    kinds.add::<told::ChannelCreated<'_>>("channel_created");
    kinds.add::<told::ThreadCreated<'_>>("thread_created");
    kinds.add::<told::ThreadUpdated<'_>>("thread_updated");
    kinds.add::<told::ThreadStatusChanged<'_>>("thread_status_changed");
    kinds.add::<told::ThreadMessageSent<'_>>("thread_message");
    kinds.add::<told::ArtifactChanged<'_>>("thread_artifact");
    kinds.add::<told::ParticipantChanged<'_>>("thread_participant");
    kinds.add::<told::JoinRequested<'_>>("thread_join_request");
    kinds.add::<told::JoinResolved>("thread_join_resolved");
    kinds.add::<told::PresenceChanged<'_>>("bot_online");
    kinds.add::<told::PresenceChanged<'_>>("bot_offline");
    kinds.add::<told::BotRegistered<'_>>("bot_registered");
    kinds.add::<told::BotJoinRequested<'_>>("bot_join_request");
    kinds.add::<told::BotStatusChanged>("bot_status_changed");
    kinds.add::<told::BotRenamed>("bot_renamed");
    of_features(&mut kinds);
    let Events { mut schemas, discriminator, any } = kinds;
    let text = "What a socket or a webhook is told. Clients must ignore kinds and fields that they do not know.";
    let any = any.discriminator(Some(discriminator)).description(Some(text)).build();
    schemas.push(("Event".to_owned(), Schema::from(any).into()));
    schemas
}

/// The kinds of events that the document describes.
pub struct Events {
    schemas: Vec<Named>,
    discriminator: Discriminator,
    any: OneOfBuilder,
}

impl Default for Events {
    fn default() -> Self {
        Self { schemas: Vec::new(), discriminator: Discriminator::new("type"), any: OneOfBuilder::new() }
    }
}

impl Events {
    /// Adds a kind, such as `thread_created`; `T` has its fields, without what the log and webhooks add.
    pub fn add<T: ToSchema>(&mut self, kind: &'static str) {
        T::schemas(&mut self.schemas);
        let words = kind.split(['_', '.']).filter_map(|word| Some((word.get(..1)?, word.get(1..)?)));
        let name = words.fold("Event".to_owned(), |name, (first, rest)| name + &first.to_ascii_uppercase() + rest);
        self.discriminator.mapping.insert(kind.to_owned(), format!("#/components/schemas/{name}"));
        let any = std::mem::replace(&mut self.any, OneOfBuilder::new());
        self.any = any.item(Ref::from_schema_name(&name));
        if let RefOr::T(Schema::Object(fields)) = T::schema() {
            self.schemas.push((name, Schema::from(enveloped(kind, fields)).into()));
        }
    }
}

/// The fields of a kind between its name and what its way adds.
fn enveloped(kind: &'static str, fields: Object) -> Object {
    let own = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([kind])).build();
    let mut object = ObjectBuilder::new().description(fields.description).property("type", own).required("type");
    for (name, schema) in fields.properties {
        if name != "type" {
            object = object.property(name, schema);
        }
    }
    for name in fields.required.iter().filter(|name| *name != "type") {
        object = object.required(name);
    }
    let number =
        ObjectBuilder::from(integer()).description(Some("Its number in the organisation's log; on sockets.")).build();
    let text = |about: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(about)).build();
    object
        .property("seq", number)
        .property("epoch", text("The log's random name; on sockets."))
        .property("webhook_version", text("`1`; in webhooks."))
        .build()
}

fn integer() -> Object {
    match <i64 as PartialSchema>::schema() {
        RefOr::T(Schema::Object(object)) => object,
        _ => Object::with_type(Type::Integer),
    }
}
