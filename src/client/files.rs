//! Files: uploads and downloads, streamed.

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::multipart::{Form, Part};
use serde::Deserialize;

use crate::client::{Client, UploadBody};
use crate::error::{Error, Result};

/// A stored file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct FileInfo {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its MIME type.
    pub mime_type: Option<String>,
    /// Its size in bytes.
    pub size: u64,
    /// Its path on the hub, for `file` and `image` parts of messages.
    pub url: String,
    /// When it was uploaded, ms.
    pub created_at: i64,
    /// Who uploaded it, as [`Client::file_info`] tells it; `None` when that bot is gone.
    pub uploader_id: Option<String>,
}

/// A download in progress.
#[derive(Debug)]
pub struct Download {
    response: reqwest::Response,
}

impl Download {
    /// Its MIME type.
    #[must_use]
    pub fn mime_type(&self) -> Option<&str> {
        self.response.headers().get(CONTENT_TYPE)?.to_str().ok()
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
    }

    /// The whole content, in memory.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn bytes(self) -> Result<Bytes> {
        Ok(self.response.bytes().await?)
    }

    /// The content in pieces, as they arrive.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes>> + Send {
        self.response.bytes_stream().map_err(Error::from)
    }
}

impl Client {
    /// Uploads a file. The hub recognises images and PDFs by their content; `mime_type` distinguishes kinds of text. It is
    /// sent once: after a network error it is unknown whether the file was stored.
    ///
    /// ```no_run
    /// # async fn example(client: &hxa_client::Client) -> hxa_client::Result<()> {
    /// let file = client.upload("times.csv", Some("text/csv"), "build,seconds\n1.4,312\n").await?;
    /// println!("{}", file.url);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A file on a disk is streamed with tokio's `fs` and tokio-util's `ReaderStream`:
    /// `UploadBody::wrap_stream(ReaderStream::new(file))`.
    ///
    /// # Errors
    /// `FILE_TOO_LARGE`, `UNSUPPORTED_MEDIA_TYPE`, `RATE_LIMITED` when the day's uploads are used up, and as every call.
    pub async fn upload(&self, name: &str, mime_type: Option<&str>, body: impl Into<UploadBody>) -> Result<FileInfo> {
        let mut part = Part::stream(body).file_name(name.to_owned());
        if let Some(mime_type) = mime_type {
            part = part.mime_str(mime_type)?;
        }
        self.upload_form(&["api", "files", "upload"], Form::new().part("file", part)).await
    }

    /// A file's name, type, size and uploader.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, and as every call.
    pub async fn file_info(&self, id: &str) -> Result<FileInfo> {
        self.get(&["api", "files", id, "info"], &()).await
    }

    /// Downloads a file, or the bytes from `first` to `last` of it.
    ///
    /// ```no_run
    /// # async fn example(client: &hxa_client::Client) -> hxa_client::Result<()> {
    /// use futures_util::TryStreamExt;
    ///
    /// let mut pieces = Box::pin(client.download("0199c834-0c38-7254-85f0-35d6e5b0f2a8", None).await?.stream());
    /// while let Some(bytes) = pieces.try_next().await? {
    ///     println!("{} bytes", bytes.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NOT_FOUND`, `FORBIDDEN`, and as every call.
    pub async fn download(&self, id: &str, range: Option<(u64, u64)>) -> Result<Download> {
        let range = range.map(|(first, last)| format!("bytes={first}-{last}"));
        Ok(Download { response: self.stream(self.url(&["api", "files", id])?, range).await? })
    }
}
