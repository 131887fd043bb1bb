//! How the vocabulary of this crate looks in the OpenAPI document.
//!
//! Enums of the wire and typed ids are named schemas there, made from the same tables as their parsers. Whatever a type
//! cannot say is said by the types of this module, which exist for the document alone: a field names one by
//! `#[schema(value_type = …)]`.

use utoipa::openapi::schema::{AdditionalProperties, AnyOfBuilder, ArrayBuilder, SchemaType};
use utoipa::openapi::{Object, ObjectBuilder, Ref, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Any JSON, which the hub keeps as it was given and does not read.
#[derive(Debug, Clone, Copy)]
pub struct Json;

/// In a form that generators of clients can follow. To TypeScript a list of itself is a circle, a map of itself is not:
/// what is in a list is written out, and a list in a list has no type of its own, only `items` and
/// `additionalProperties` that describe what is in it.
impl PartialSchema for Json {
    fn schema() -> RefOr<Schema> {
        let text = "Any JSON. The hub keeps it as it was given and does not read it.";
        let list = ArrayBuilder::new().items(all_but_lists().item(list_in_list()));
        Schema::from(all_but_lists().item(list).description(Some(text)).build()).into()
    }
}

fn all_but_lists() -> AnyOfBuilder {
    let plain = |kind| Object::with_type(kind);
    AnyOfBuilder::new()
        .item(plain(Type::Null))
        .item(plain(Type::Boolean))
        .item(plain(Type::Number))
        .item(plain(Type::String))
        .item(ObjectBuilder::new().additional_properties(Some(own())))
}

fn list_in_list() -> Object {
    let items = serde_json::json!({ "$ref": "#/components/schemas/Json" });
    let anything = ObjectBuilder::new().schema_type(SchemaType::AnyValue).additional_properties(Some(own()));
    anything.extensions(Some([("items", items)].into_iter().collect())).build()
}

fn own() -> AdditionalProperties<Schema> {
    AdditionalProperties::from(Ref::from_schema_name("Json"))
}

impl ToSchema for Json {
    fn name() -> std::borrow::Cow<'static, str> {
        "Json".into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::ErrorCode;
    use crate::ids::BotId;
    use crate::thread::Visibility;

    fn shown<T: PartialSchema>() -> serde_json::Value {
        serde_json::to_value(T::schema()).unwrap()
    }

    #[test]
    fn tables_are_schemas() {
        assert_eq!(shown::<Visibility>()["enum"], json!(["public", "members", "private"]));
        assert_eq!(shown::<BotId>()["format"], "uuid");
        assert_eq!(shown::<ErrorCode>()["enum"][0], "VALIDATION_ERROR");
    }
}
