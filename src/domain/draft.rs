//! Request bodies and frames as types.
//!
//! Whoever speaks to the client reads the untyped fields into a draft before anything else happens. What is wrong with
//! them may have to wait: the protocol often refuses a caller first, or a thread that is over. So a draft travels as
//! [`Parsed`], which keeps the refusal until its turn has come.

use crate::budget::carried;
use crate::error::ApiResult;
use crate::form::{AnySchema, Form};
use crate::text::Fields;

/// What a request asks for, read from its fields.
pub trait Draft: Sized {
    /// Reads the fields of a REST body; large ones are taken out instead of copied.
    ///
    /// # Errors
    /// The refusal of the first field that is wrong, in the protocol's order.
    fn read(body: &mut Fields) -> ApiResult<Self>;

    /// Reads the fields of a frame, where these differ from a body's.
    ///
    /// # Errors
    /// As [`Self::read`].
    fn read_frame(frame: &mut Fields) -> ApiResult<Self> {
        Self::read(frame)
    }

    /// The fields that [`Self::read`] knows.
    fn form() -> Form;

    /// The fields that [`Self::read_frame`] knows.
    fn frame_form() -> Form {
        Self::form()
    }

    /// The schemas that its form refers to by name.
    fn refers_to() -> Vec<(String, AnySchema)> {
        Vec::new()
    }
}

/// Gives drafts their place in the document, under their own names.
macro_rules! schemas_of_drafts {
    ($($draft:ty),+ $(,)?) => {$(
        impl utoipa::PartialSchema for $draft {
            fn schema() -> $crate::form::AnySchema {
                <Self as $crate::draft::Draft>::form().object().into()
            }
        }

        impl utoipa::ToSchema for $draft {
            fn schemas(schemas: &mut Vec<(String, $crate::form::AnySchema)>) {
                schemas.extend($crate::form::entries_of::<$crate::schema::Json>());
                schemas.extend(<Self as $crate::draft::Draft>::refers_to());
            }
        }
    )+};
}

/// A request without fields of its own.
impl Draft for () {
    fn read(_: &mut Fields) -> ApiResult<Self> {
        Ok(())
    }

    fn form() -> Form {
        Form::default()
    }
}

/// A draft, or the refusal of its fields, and the bytes that came for it.
#[derive(Debug, Clone)]
pub struct Parsed<T> {
    outcome: ApiResult<T>,
    bytes: usize,
}

impl<T: Draft> Parsed<T> {
    /// Reads the fields of a REST body.
    #[must_use]
    pub fn of_body(mut fields: Fields) -> Self {
        Self { bytes: carried(&fields), outcome: T::read(&mut fields) }
    }

    /// Reads the fields of a frame.
    #[must_use]
    pub fn of_frame(mut fields: Fields) -> Self {
        Self { bytes: carried(&fields), outcome: T::read_frame(&mut fields) }
    }
}

impl<T> Parsed<T> {
    /// The bytes that the request carries, for its price.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The draft.
    ///
    /// # Errors
    /// The refusal of its fields.
    pub fn draft(self) -> ApiResult<T> {
        self.outcome
    }

    /// The draft, where there is one.
    #[must_use]
    pub fn peek(&self) -> Option<&T> {
        self.outcome.as_ref().ok()
    }

    /// The same with another draft made of this one.
    #[must_use]
    pub fn and_then<U>(self, make: impl FnOnce(T) -> ApiResult<U>) -> Parsed<U> {
        Parsed { outcome: self.outcome.and_then(make), bytes: self.bytes }
    }
}

#[cfg(test)]
mod tests;
