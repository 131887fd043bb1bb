//! How the vocabulary of this crate looks in the OpenAPI document.
//!
//! Enums of the wire and typed ids are named schemas there, made from the same tables as their parsers. Whatever a type
//! cannot say is said by the types of this module, which exist for the document alone: a field names one by
//! `#[schema(value_type = …)]`.

use utoipa::openapi::schema::{AdditionalProperties, ArrayBuilder, OneOfBuilder};
use utoipa::openapi::{Object, ObjectBuilder, Ref, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Any JSON, which the hub keeps as it was given and does not read.
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl PartialSchema for Json {
    fn schema() -> RefOr<Schema> {
        let own = || Ref::from_schema_name("Json");
        let plain = |kind| Object::with_type(kind);
        let any = OneOfBuilder::new()
            .item(plain(Type::Null))
            .item(plain(Type::Boolean))
            .item(plain(Type::Number))
            .item(plain(Type::String))
            .item(ArrayBuilder::new().items(own()))
            .item(ObjectBuilder::new().additional_properties(Some(AdditionalProperties::from(own()))))
            .description(Some("Any JSON. The hub keeps it as it was given and does not read it."))
            .build();
        Schema::from(any).into()
    }
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
