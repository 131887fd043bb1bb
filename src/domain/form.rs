//! The building blocks of the schemas that request bodies carry.
//!
//! A schema is built beside the reader of its body and from the same limits, so that the document says what the reader
//! checks. JSON Schema counts characters where the readers count UTF-16 units or bytes; a `maxLength` here therefore never
//! refuses what a reader takes, and the reader has the last word.

use serde_json::Value;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{Number, ToSchema};

use crate::schema::Json;

/// A schema or the reference to one.
pub type AnySchema = RefOr<Schema>;

/// A text.
#[must_use]
pub fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// A text of at most so many characters.
#[must_use]
pub fn short(max: usize) -> ObjectBuilder {
    text().max_length(Some(max))
}

/// A text that is not empty, of at most so many characters.
#[must_use]
pub fn filled(max: usize) -> ObjectBuilder {
    short(max).min_length(Some(1))
}

/// The reference to something by its id, a UUID.
#[must_use]
pub fn id() -> ObjectBuilder {
    text().pattern(Some("^[0-9A-Fa-f]{8}-?([0-9A-Fa-f]{4}-?){3}[0-9A-Fa-f]{12}$"))
}

/// True or false.
#[must_use]
pub fn flag() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean)
}

/// A number within bounds.
#[must_use]
pub fn number(min: i64, max: i64) -> ObjectBuilder {
    bounded(Type::Number, min, max)
}

/// A whole number within bounds.
#[must_use]
pub fn whole(min: i64, max: i64) -> ObjectBuilder {
    bounded(Type::Integer, min, max)
}

fn bounded(kind: Type, min: i64, max: i64) -> ObjectBuilder {
    let bound = |number: i64| isize::try_from(number).ok().map(Number::Int);
    ObjectBuilder::new().schema_type(kind).minimum(bound(min)).maximum(bound(max))
}

/// One of these words.
#[must_use]
pub fn one_of(words: impl IntoIterator<Item = &'static str>) -> ObjectBuilder {
    text().enum_values(Some(words))
}

/// Exactly this word.
#[must_use]
pub fn word(word: &'static str) -> ObjectBuilder {
    one_of([word])
}

/// Any JSON, null too.
#[must_use]
pub fn any() -> AnySchema {
    named(&Json::name())
}

/// The schema of a type under its name, and those that it refers to.
#[must_use]
pub fn entries_of<T: ToSchema>() -> Vec<(String, AnySchema)> {
    let mut entries = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut entries);
    entries
}

/// An object or an array.
#[must_use]
pub fn structure() -> AnySchema {
    let object = open(ObjectBuilder::new().schema_type(Type::Object));
    OneOfBuilder::new().item(object).item(ArrayBuilder::new().items(any())).into()
}

/// An object that keeps other keys with any JSON in them.
#[must_use]
pub fn open(object: ObjectBuilder) -> ObjectBuilder {
    object.additional_properties(Some(any()))
}

/// A list of at most so many items.
#[must_use]
pub fn list(items: impl Into<AnySchema>, max: usize) -> ArrayBuilder {
    ArrayBuilder::new().items(items.into()).max_items(Some(max))
}

/// A list of any length.
#[must_use]
pub fn endless_list(items: impl Into<AnySchema>) -> ArrayBuilder {
    ArrayBuilder::new().items(items.into())
}

/// An object with these values under any of the given names.
#[must_use]
pub fn table(names: impl IntoIterator<Item = &'static str>, values: impl Into<AnySchema>) -> ObjectBuilder {
    let names = Schema::Object(one_of(names).build());
    let values = AdditionalProperties::from(values.into());
    ObjectBuilder::new().schema_type(Type::Object).property_names(Some(names)).additional_properties(Some(values))
}

/// The schema that stands under this name in the document.
#[must_use]
pub fn named(name: &str) -> AnySchema {
    Ref::from_schema_name(name).into()
}

/// The same, or null.
#[must_use]
pub fn nullable(schema: impl Into<AnySchema>) -> AnySchema {
    match schema.into() {
        RefOr::T(Schema::Object(mut object)) => {
            object.schema_type = or_null(object.schema_type);
            if let Some(values) = &mut object.enum_values {
                values.push(Value::Null);
            }
            RefOr::T(Schema::Object(object))
        }
        RefOr::T(Schema::Array(mut array)) => {
            array.schema_type = or_null(array.schema_type);
            RefOr::T(Schema::Array(array))
        }
        other => OneOfBuilder::new().item(ObjectBuilder::new().schema_type(Type::Null)).item(other).into(),
    }
}

fn or_null(schema_type: SchemaType) -> SchemaType {
    match schema_type {
        SchemaType::Type(one) => SchemaType::Array(vec![one, Type::Null]),
        SchemaType::Array(mut several) => {
            several.push(Type::Null);
            SchemaType::Array(several)
        }
        SchemaType::AnyValue => SchemaType::AnyValue,
    }
}

/// The same with a sentence that says what it is.
fn described(schema: AnySchema, about: &str) -> AnySchema {
    let text = Some(about.to_owned());
    match schema {
        RefOr::Ref(mut reference) => {
            about.clone_into(&mut reference.description);
            RefOr::Ref(reference)
        }
        RefOr::T(mut schema) => {
            match &mut schema {
                Schema::Array(array) => array.description = text,
                Schema::Object(object) => object.description = text,
                Schema::OneOf(one_of) => one_of.description = text,
                Schema::AllOf(all_of) => all_of.description = text,
                Schema::AnyOf(any_of) => any_of.description = text,
                _ => {}
            }
            RefOr::T(schema)
        }
    }
}

/// One field of a [`Form`].
#[derive(Clone)]
struct Field {
    name: &'static str,
    schema: AnySchema,
    is_required: bool,
}

/// The fields of a request, in the order of the documentation. Fields that it does not name are ignored.
#[derive(Clone, Default)]
pub struct Form {
    about: &'static str,
    fields: Vec<Field>,
}

impl Form {
    /// A form without fields; `about` says what it asks for.
    #[must_use]
    pub fn new(about: &'static str) -> Self {
        Self { about, fields: Vec::new() }
    }

    /// The same with a field that must be there.
    #[must_use]
    pub fn needs(self, name: &'static str, schema: impl Into<AnySchema>, about: &str) -> Self {
        self.with(name, described(schema.into(), about), true)
    }

    /// The same with a field that may be there.
    #[must_use]
    pub fn takes(self, name: &'static str, schema: impl Into<AnySchema>, about: &str) -> Self {
        self.with(name, described(schema.into(), about), false)
    }

    fn with(mut self, name: &'static str, schema: AnySchema, is_required: bool) -> Self {
        self.fields.push(Field { name, schema, is_required });
        self
    }

    /// The same with the fields of another.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.fields.extend(other.fields);
        self
    }

    /// The same without a field.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.fields.retain(|field| field.name != name);
        self
    }

    /// The same about something else.
    #[must_use]
    pub fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// The names of its fields.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.fields.iter().map(|field| field.name)
    }

    /// The schema of an object with these fields.
    #[must_use]
    pub fn object(self) -> Object {
        let object = ObjectBuilder::new().schema_type(Type::Object).description(Some(self.about));
        let object = self.fields.into_iter().fold(object, |object, Field { name, schema, is_required }| {
            let object = object.property(name, schema);
            if is_required { object.required(name) } else { object }
        });
        object.build()
    }
}
