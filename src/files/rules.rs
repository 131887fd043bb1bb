//! Upload validation, and the headers of downloads.
//!
//! A file has one of eight types. Images and PDFs are recognised by their complete signatures, whatever type they
//! declare, and nothing else is ever treated as one; for other content the declared type determines the kind of text.
//! Other formats with a signature are refused, and so is markup that browsers execute (HTML, SVG, XML), also after
//! white space and comments. Names are untrusted: they are reduced to their last component and sanitized, and appear in
//! a header only in encoded form.

use std::fmt::Write as _;

use hxa_domain::error::{ApiError, ApiResult, ErrorCode};

/// Longest file name kept: what common file systems take.
const FILE_NAME_BYTES: usize = 255;
/// How much of an upload is looked at to find out what it is.
pub const SNIFF_BYTES: usize = 4096;

hxa_domain::wire_enum! {
    /// The type of a file, as MIME text.
    FileType {
        Jpeg = "image/jpeg",
        Png = "image/png",
        Gif = "image/gif",
        Webp = "image/webp",
        Pdf = "application/pdf",
        Text = "text/plain",
        Csv = "text/csv",
        Json = "application/json",
    }
}

impl FileType {
    /// The extension of the stored file, with its dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => ".jpg",
            Self::Png => ".png",
            Self::Gif => ".gif",
            Self::Webp => ".webp",
            Self::Pdf => ".pdf",
            Self::Text => ".txt",
            Self::Csv => ".csv",
            Self::Json => ".json",
        }
    }

    /// The type that a file's name tells by its extension.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        Some(match extension.trim_end().to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" | "jpe" => Self::Jpeg,
            "png" => Self::Png,
            "gif" => Self::Gif,
            "webp" => Self::Webp,
            "pdf" => Self::Pdf,
            "txt" | "text" | "log" | "md" | "markdown" => Self::Text,
            "csv" => Self::Csv,
            "json" => Self::Json,
            _ => return None,
        })
    }

    /// Whether it is one of the kinds of text, which no signature tells apart.
    #[must_use]
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Csv | Self::Json)
    }

    /// Whether browsers may show it in place.
    #[must_use]
    pub const fn is_image(self) -> bool {
        matches!(self, Self::Jpeg | Self::Png | Self::Gif | Self::Webp)
    }
}

/// The type to serve a stored file with; one that is no longer accepted is served as mere bytes.
#[must_use]
pub fn served_type(stored: Option<&str>) -> &'static str {
    stored.and_then(FileType::parse).map_or("application/octet-stream", FileType::as_str)
}

/// What clients declare that do not know a file's type.
const UNKNOWN: &str = "application/octet-stream";

/// The type an upload declares: parameters dropped, without case, `text/plain` if it declares none.
pub fn declared_type(header: Option<&str>) -> ApiResult<FileType> {
    let Some(header) = header else { return Ok(FileType::Text) };
    let essence = header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    FileType::parse(&essence).ok_or_else(|| unsupported(&format!("{essence:?}")))
}

/// The type that an upload declares or, if that says nothing (none, or any bytes), its name tells.
pub fn type_of(header: Option<&str>, name: &str) -> ApiResult<FileType> {
    let essence = header.and_then(|header| header.split(';').next()).unwrap_or(UNKNOWN).trim();
    let by_name = FileType::of_name(name).filter(|_| essence.eq_ignore_ascii_case(UNKNOWN));
    by_name.map_or_else(|| declared_type(header), Ok)
}

fn unsupported(what: &str) -> ApiError {
    let accepted = FileType::accepted();
    ApiError::new(ErrorCode::UnsupportedMediaType, format!("File type {what} is not accepted (accepted: {accepted})"))
}

/// What an upload really is, judging by its first bytes (up to 4 KiB are looked at).
pub fn sniff(declared: FileType, head: &[u8]) -> ApiResult<FileType> {
    let head = head.get(..SNIFF_BYTES).unwrap_or(head);
    if is_markup(head) {
        return Err(unsupported("HTML, SVG or XML"));
    }
    let is_text = is_plain_text(head);
    if let Some(known) = signed_type(head, is_text) {
        return Ok(known);
    }
    // A few letters with which a format begins may begin prose as well.
    let is_accepted = |found: &infer::Type| FileType::parse(found.mime_type()).is_some();
    let other = infer::get(head).filter(|found| found.matcher_type() != infer::MatcherType::Text);
    match other {
        Some(found) if !is_text || !(is_accepted(&found) || is_weak(head)) => Err(unsupported(found.mime_type())),
        _ if declared.is_text() => Ok(declared),
        _ if is_text => Ok(FileType::Text),
        _ => Err(ApiError::new(
            ErrorCode::UnsupportedMediaType,
            format!("The file is declared as {declared} but does not begin like one"),
        )),
    }
}

/// The picture or PDF that begins with these bytes. Pictures have bytes that no text has; a PDF may be all text.
fn signed_type(head: &[u8], is_text: bool) -> Option<FileType> {
    let is_webp = || head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP");
    match head {
        [b'%', b'P', b'D', b'F', b'-', major, b'.', minor, ..] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Some(FileType::Pdf)
        }
        _ if is_text => None,
        [0xFF, 0xD8, 0xFF, 0xC0..=0xFE, ..] => Some(FileType::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some(FileType::Png),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', _, ..] => Some(FileType::Gif),
        _ if is_webp() => Some(FileType::Webp),
        _ => None,
    }
}

/// Whether the signature found is one of two or three letters, with which ordinary prose may begin ("BM", "MZ", "ID3").
fn is_weak(head: &[u8]) -> bool {
    head.get(..3).is_none_or(|start| infer::get(start).is_some())
}

/// Whether the bytes are text without control characters other than white space.
fn is_plain_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The window may end within a character.
        Err(why) if why.error_len().is_none() => {
            head.get(..why.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok()).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.chars().any(|character| character.is_control() && !character.is_whitespace())
}

/// Elements with which a document that a browser would run begins.
const ACTIVE: [&str; 13] =
    ["svg", "html", "head", "body", "script", "iframe", "style", "object", "embed", "frameset", "meta", "link", "base"];

/// Whether the bytes begin with XML, SVG or HTML after byte order marks, blanks, comments and a doctype of any kind.
fn is_markup(head: &[u8]) -> bool {
    let text = decode(head);
    let mut rest = text.trim_start_matches(is_skipped);
    let mut has_comment = false;
    while let Some(comment) = rest.strip_prefix("<!--") {
        has_comment = true;
        // A comment that runs out of the window hides what follows: nothing legitimate does that.
        let Some(end) = comment.find("-->") else { return true };
        rest = comment.get(end + 3..).unwrap_or_default().trim_start_matches(is_skipped);
    }
    let is_hidden = rest.is_empty() && head.len() >= SNIFF_BYTES;
    is_hidden || (has_comment && rest.starts_with("<!")) || opens_document(rest)
}

/// Whether a text starts with an XML declaration, a doctype of a web document or one of the active elements.
fn opens_document(rest: &str) -> bool {
    let Some(tag) = rest.strip_prefix('<') else { return false };
    if tag.starts_with("?xml") {
        return true;
    }
    let (names, tag): (&[&str], &str) = match tag.strip_prefix("!doctype") {
        Some(name) => (&["html", "svg", "math", "xml"], name.trim_start_matches(is_skipped)),
        None => (&ACTIVE, tag),
    };
    names.iter().any(|name| {
        let after = tag.strip_prefix(name);
        after.is_some_and(|after| after.chars().next().is_none_or(|next| !next.is_ascii_alphanumeric() && next != '-'))
    })
}

fn is_skipped(character: char) -> bool {
    character.is_whitespace() || character == '\u{FEFF}' || character == '\0'
}

/// The bytes as lower-cased text; of UTF-16 the NUL bytes are dropped, which leaves its ASCII readable.
fn decode(head: &[u8]) -> String {
    let is_wide = matches!(head, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [b'<', 0, ..] | [0, b'<', ..]);
    let narrow: Vec<u8>;
    let bytes = if is_wide {
        narrow = head.iter().copied().filter(|byte| !matches!(byte, 0 | 0xFE | 0xFF)).collect();
        &narrow
    } else {
        head
    };
    String::from_utf8_lossy(bytes).to_ascii_lowercase()
}

/// A file name as it is kept: the last path component without control and direction characters, at most 255 bytes with
/// its extension spared; `file` if nothing is left.
#[must_use]
pub fn clean_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|character| !is_hostile(*character)).collect();
    let clean = clean.trim();
    // Joiners alone are nothing to see.
    if clean.trim_matches(['.', '\u{200C}', '\u{200D}']).is_empty() {
        return "file".to_owned();
    }
    if clean.len() <= FILE_NAME_BYTES {
        return clean.to_owned();
    }
    let (stem, extension) = match clean.rfind('.').map(|dot| clean.split_at(dot)) {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 32 => (stem, extension),
        _ => (clean, ""),
    };
    let room = FILE_NAME_BYTES - extension.len();
    let stem = stem.get(..stem.floor_char_boundary(room)).unwrap_or_default().trim_end();
    format!("{stem}{extension}")
}

/// Characters that change how the rest of a name is shown or understood. The joiners U+200C and U+200D are not among
/// them: Persian, the scripts of India and families of emoji are spelled with them.
fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{FFFD}')
}

/// The `Content-Disposition` of a download: images are shown in place, the rest is saved, under the encoded name alone,
/// which is the form that clients know.
#[must_use]
pub fn content_disposition(stored_type: Option<&str>, name: &str) -> String {
    let is_image = stored_type.and_then(FileType::parse).is_some_and(FileType::is_image);
    let disposition = if is_image { "inline" } else { "attachment" };
    let name = clean_name(name);
    format!("{disposition}; filename*=UTF-8''{}", percent_encode(&name))
}

/// Percent-encodes all but the characters that stand for themselves in an extended header value.
fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    fn is_refused(head: &[u8]) -> bool {
        sniff(FileType::Text, head).is_err_and(|refusal| refusal.status() == 415)
    }

    #[test]
    fn declared_types_are_of_the_list() {
        assert_eq!(declared_type(None).unwrap(), FileType::Text);
        assert_eq!(type_of(None, "f").unwrap(), FileType::Text);
        assert_eq!(type_of(None, "f.csv").unwrap(), FileType::Csv);
        assert_eq!(type_of(Some("Text/CSV; charset=utf-8"), "f.json").unwrap(), FileType::Csv);
        for (name, kind) in [("a.b.CSV", FileType::Csv), ("a.json", FileType::Json), ("notes.md", FileType::Text)] {
            assert_eq!(type_of(Some("application/octet-stream"), name).unwrap(), kind, "{name}");
        }
        for header in ["application/octet-stream", "image/svg+xml", "text/html", "", "png"] {
            for name in ["f", "f.zip", "csv", ""] {
                assert_eq!(type_of(Some(header), name).unwrap_err().status(), 415, "{header} {name}");
            }
        }
        assert!(type_of(Some("application/zip"), "f.csv").is_err(), "a type that was named counts");
    }

    /// A CSV that began with `GIFTS` became an image, and browsers were told to show it.
    #[test]
    fn text_that_begins_like_a_picture_is_text() {
        for text in ["GIFTS,price\nball,1", "GIF89a", "GIF89a is a format", "RIFF and WEBP, words", "JPEG", "%PDF"] {
            assert_eq!(sniff(FileType::Csv, text.as_bytes()).unwrap(), FileType::Csv, "{text}");
            assert_eq!(sniff(FileType::Png, text.as_bytes()).unwrap(), FileType::Text, "{text} declared as a picture");
        }
        for cut in [&PNG[..7], b"GIF8\0\0", b"GIF88a\0\0", b"RIFF\0\0\0\0WAVE", b"\xFF\xD8\xFF\x00"] {
            assert!(sniff(FileType::Png, cut).is_err(), "{cut:?} is no whole signature");
        }
        assert_eq!(sniff(FileType::Csv, b"caf\xe9;1\n").unwrap(), FileType::Csv, "text of another encoding");
    }

    #[test]
    fn a_signature_replaces_the_declared_type() {
        assert_eq!(sniff(FileType::Text, PNG).unwrap(), FileType::Png);
        assert_eq!(sniff(FileType::Png, b"%PDF-1.7\n").unwrap(), FileType::Pdf);
        assert_eq!(sniff(FileType::Png, b"\xFF\xD8\xFF\xE0\0\x10JFIF").unwrap(), FileType::Jpeg);
        assert_eq!(sniff(FileType::Text, b"GIF89a\x01\0").unwrap(), FileType::Gif);
        assert_eq!(sniff(FileType::Text, b"RIFF\x10\0\0\0WEBPVP8 ").unwrap(), FileType::Webp);
        for head in [&b"PK\x03\x04\x14\0\0\0"[..], b"\x7FELF\x02\x01\x01\0", b"MZ\x90\0\x03", b"{\\rtf1 x"] {
            assert!(sniff(FileType::Png, head).is_err() || head.starts_with(b"\x7FELF"), "{head:?}");
        }
        assert!(sniff(FileType::Text, &[&b"\x7FELF\x02\x01\x01"[..], &[0; 60]].concat()).is_err());
    }

    #[test]
    fn prose_that_looks_like_a_short_signature_is_prose() {
        for text in
            ["BMW is a car", "BCH,price\n1,2", "MZ wrote this", "ID3 is a tag", "#!/bin/sh\necho", "", "a", "你好"]
        {
            assert_eq!(sniff(FileType::Text, text.as_bytes()).unwrap(), FileType::Text, "{text}");
        }
    }

    #[test]
    fn markup_is_refused_behind_blanks_and_comments() {
        let padded = [&[b' '; 300][..], b"<svg>"].concat();
        let deep = format!("<!-- {} --><svg onload=x>", "a".repeat(3000));
        for head in [
            &b"<?xml version='1.0'?>"[..],
            b"<svg xmlns='x'>",
            b"<SVG>",
            b"<svg:svg>",
            b"<!DOCTYPE svg PUBLIC>",
            b"<!doctype html>",
            b"\xEF\xBB\xBF \n<html>",
            b"<!-- a --> <!-- b --><svg/onload=x>",
            b"<script>alert(1)</script>",
            b"<!-- never ends",
            b"\xFF\xFE<\0s\0v\0g\0>\0",
            b"\0<\0h\0t\0m\0l\0>",
            b"<svg",
            &padded,
            deep.as_bytes(),
            &[b' '; 5000],
        ] {
            assert!(is_refused(head), "{:?}", String::from_utf8_lossy(head));
        }
    }

    #[test]
    fn angle_brackets_alone_are_no_markup() {
        for text in [
            "<3 you",
            "<svgs",
            "<html-like> text",
            "a <svg>",
            "<-- note",
            "<div>readme</div>",
            "<b>x</b>",
            "<!-- a -->text",
        ] {
            assert!(!is_refused(text.as_bytes()), "{text}");
        }
        assert!(!is_refused(&[b' '; 100]));
    }

    #[test]
    fn names_lose_what_is_dangerous() {
        for (given, kept) in [
            ("report.pdf", "report.pdf"),
            ("../../etc/passwd", "passwd"),
            ("C:\\temp\\a.txt", "a.txt"),
            ("", "file"),
            ("..", "file"),
            ("a/", "file"),
            (" \u{202E}gpj.exe\0\r\n ", "gpj.exe"),
            ("图片😀.png", "图片😀.png"),
            ("می\u{200c}خواهم.pdf", "می\u{200c}خواهم.pdf"),
            ("क्\u{200d}ष👨\u{200d}👩\u{200d}👧.txt", "क्\u{200d}ष👨\u{200d}👩\u{200d}👧.txt"),
            ("e\u{301}שלום.csv", "e\u{301}שלום.csv"),
            ("a\u{2066}b\u{2069}\u{200f}\u{61c}\u{feff}c", "abc"),
            ("\u{200d}\u{200c}.", "file"),
        ] {
            assert_eq!(clean_name(given), kept, "{given:?}");
        }
        let long = clean_name(&format!("{}.csv", "长".repeat(200)));
        assert!(long.len() <= 255 && long.ends_with("长.csv"), "{long}");
        assert_eq!(clean_name(&"a".repeat(300)).len(), 255);
    }

    #[test]
    fn headers_carry_names_encoded() {
        let header = content_disposition(Some("image/png"), "a \"b\";\r\nX: 1 图.png");
        assert_eq!(header, "inline; filename*=UTF-8''a%20%22b%22%3BX%3A%201%20%E5%9B%BE.png");
        assert!(content_disposition(Some("text/plain"), "a'(b)*.txt").ends_with("UTF-8''a%27%28b%29%2A.txt"));
        assert!(content_disposition(Some("image/svg+xml"), "a").starts_with("attachment;"));
        assert!(content_disposition(None, "a").starts_with("attachment;"));
        assert_eq!(served_type(Some("text/csv")), "text/csv");
        assert_eq!(served_type(Some("text/html")), "application/octet-stream");
    }

    proptest! {
        #[test]
        fn clean_names_stay_clean(given in any::<String>()) {
            let name = clean_name(&given);
            prop_assert!(!name.is_empty() && name.len() <= 255);
            prop_assert!(!name.contains(['/', '\\', '\0', '\r', '\n']));
            prop_assert_eq!(clean_name(&name), name.clone());
            let header = content_disposition(None, &given);
            prop_assert!(header.bytes().all(|byte| (0x20..0x7F).contains(&byte)));
            prop_assert!(!header.contains(['"', '\\']));
        }

        #[test]
        fn any_bytes_can_be_sniffed(head in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = sniff(FileType::Text, &head);
            let _ = sniff(FileType::Gif, &head);
        }

        #[test]
        fn no_blanks_or_comments_hide_an_svg(
            blanks in "[ \\t\\n\\r]{0,60}", comments in proptest::collection::vec("[a-z <>]{0,40}", 0..4),
        ) {
            let comments: String = comments.iter().map(|text| format!("<!--{text}-->{blanks}")).collect();
            let head = format!("{blanks}{comments}<sVg>");
            prop_assert!(is_refused(head.as_bytes()));
        }
    }
}
