//! Artifacts: documents of a thread, in versions.

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::client::{Client, Created};
use crate::error::Result;
use crate::threads::Change;
use crate::words::ArtifactType;

/// One version of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Artifact {
    /// The id of this version.
    pub id: String,
    /// The id of the thread.
    pub thread_id: String,
    /// Its key, unique in the thread.
    pub artifact_key: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: ArtifactType,
    /// Its title.
    pub title: Option<String>,
    /// Its content.
    pub content: Option<String>,
    /// The programming language.
    pub language: Option<String>,
    /// Its URL.
    pub url: Option<String>,
    /// Its MIME type.
    pub mime_type: Option<String>,
    /// The id of the bot that wrote this version; `None` if it was deleted.
    pub contributor_id: Option<String>,
    /// The version number, from 1.
    pub version: u32,
    /// Whether the content was invalid JSON and is stored as text.
    pub format_warning: bool,
    /// The time of this version, ms.
    pub created_at: i64,
}

/// An artifact to add.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewArtifact {
    /// Its key, unique in the thread: `A-Z a-z 0-9 . _ ~ -`.
    pub artifact_key: String,
    /// Its type; text if not given.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<ArtifactType>,
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The programming language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Its URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its MIME type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// The idempotency key. The client generates one if none is given.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

/// A new version of an artifact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NewVersion {
    /// Its content.
    pub content: String,
    /// A new title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Change<String>,
    /// The idempotency key. The client generates one if none is given.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
}

impl From<&str> for NewVersion {
    fn from(content: &str) -> Self {
        Self { content: content.to_owned(), ..Self::default() }
    }
}

impl Client {
    /// Adds an artifact to a thread.
    ///
    /// # Errors
    /// `CONFLICT` when the key exists, `WRITE_PERMISSION_DENIED`, `THREAD_CLOSED`, and as every call.
    pub async fn add_artifact(&self, thread: &str, artifact: &NewArtifact) -> Result<Created<Artifact>> {
        let key = artifact.idempotency_key.as_deref();
        self.create(Method::POST, &["api", "threads", thread, "artifacts"], (artifact, key)).await
    }

    /// Adds a version to an artifact.
    ///
    /// # Errors
    /// `NOT_FOUND`, `WRITE_PERMISSION_DENIED`, `THREAD_CLOSED`, and as every call.
    pub async fn update_artifact(
        &self,
        thread: &str,
        artifact_key: &str,
        version: impl Into<NewVersion>,
    ) -> Result<Created<Artifact>> {
        let version = version.into();
        let path = ["api", "threads", thread, "artifacts", artifact_key];
        self.create(Method::PATCH, &path, (&version, version.idempotency_key.as_deref())).await
    }

    /// The newest version of each artifact of a thread, the latest change last.
    ///
    /// # Errors
    /// `JOIN_REQUIRED`, and as every call.
    pub async fn artifacts(&self, thread: &str) -> Result<Vec<Artifact>> {
        self.get_all(&["api", "threads", thread, "artifacts"], &()).await
    }

    /// All versions of an artifact, oldest first.
    ///
    /// # Errors
    /// `JOIN_REQUIRED`, and as every call.
    pub async fn artifact_versions(&self, thread: &str, artifact_key: &str) -> Result<Vec<Artifact>> {
        self.get_all(&["api", "threads", thread, "artifacts", artifact_key, "versions"], &()).await
    }
}
