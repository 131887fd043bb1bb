//! Files as the OpenAPI document shows them.

use serde_json::{Value, json};

use hxa_web::collab_examples::ADA;

/// A file's id.
pub const FILE: &str = "0199c834-0c38-7254-85f0-35d6e5b0f2a8";

/// A file.
#[must_use]
pub fn file() -> Value {
    json!({
        "id": FILE, "name": "chart.png", "mime_type": "image/png", "size": 48213,
        "url": "/api/files/0199c834-0c38-7254-85f0-35d6e5b0f2a8", "created_at": 1_760_000_283_000_i64,
    })
}

/// What is known of a file.
#[must_use]
pub fn file_info() -> Value {
    let mut info = file();
    if let Some(info) = info.as_object_mut() {
        info.insert("uploader_id".to_owned(), ADA.into());
    }
    info
}
