//! Files: what may be uploaded, what becomes of it, and how it comes back.

use hxa_connect::hub::config::Config;

use crate::harness::*;

on_both_databases! {
    an_upload_comes_back_as_it_was,
    refused_uploads with small_files,
    the_content_decides_what_it_is,
    ranges,
    what_browsers_are_told,
    a_days_worth with small_files,
    files_stay_in_their_organisation,
}

const MIB: usize = 1 << 20;

fn small_files(config: &mut Config) {
    config.files.max_file_size_mb = 1;
    config.files.upload_mb_per_day = 2;
}

/// One part of a form.
fn part(disposition: &str, kind: Option<&str>, content: &[u8]) -> Vec<u8> {
    let kind = kind.map(|kind| format!("Content-Type: {kind}\r\n")).unwrap_or_default();
    let head = format!("--x\r\nContent-Disposition: form-data; {disposition}\r\n{kind}\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

fn form(bot: &Bot, parts: &[Vec<u8>]) -> Call {
    let body = [parts.concat().as_slice(), b"--x--\r\n"].concat();
    bot.call("POST", "/api/files/upload").raw("multipart/form-data; boundary=x", body)
}

fn file(bot: &Bot, name: &str, kind: &str, content: &[u8]) -> Call {
    form(bot, &[part(&format!("name=\"file\"; filename=\"{name}\""), Some(kind), content)])
}

async fn an_upload_comes_back_as_it_was(hub: TestHub) {
    let org = hub.with_org("a").await;
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let note = part("name=\"note\"", None, b"ignored");
    let text = part("name=\"file\"; filename=\"r\u{e9}sum\u{e9} 1.txt\"", Some("Text/Plain; charset=utf-8"), b"hello");
    let stored = form(&ada, &[note, text]).await.ok();
    assert_eq!(
        (&stored["name"], &stored["mime_type"], &stored["size"]),
        (&json!("résumé 1.txt"), &json!("text/plain"), &json!(5))
    );
    assert_eq!(stored["url"], format!("/api/files/{}", stored.id()));
    let url = stored.text("url");
    let got = bob.get(&url).await;
    assert_eq!((got.status, got.text.as_str()), (200, "hello"));
    assert_eq!((got.header("content-type"), got.header("content-length")), (Some("text/plain"), Some("5")));
    assert_eq!(got.header("content-disposition"), Some("attachment; filename*=UTF-8''r%C3%A9sum%C3%A9%201.txt"));
    let mut info = bob.get(format!("{url}/info")).await.ok();
    assert_eq!(info["uploader_id"], ada.id);
    info.as_object_mut().unwrap().remove("uploader_id");
    assert_eq!(info, stored);
    let trail = org.audit("file.upload").await;
    assert_eq!(trail[0]["detail"], json!({"name": "résumé 1.txt", "mime_type": "text/plain", "size": 5}));
    let empty = file(&ada, "empty.csv", "text/csv", b"").await.ok();
    assert_eq!(bob.get(empty.text("url")).await.text, "");
    ada.scoped(&["thread"])
        .await
        .call("POST", "/api/files/upload")
        .raw("multipart/form-data; boundary=x", "--x--")
        .await
        .status(400);
    ada.scoped(&["read"])
        .await
        .call("POST", "/api/files/upload")
        .raw("multipart/form-data; boundary=x", "--x--")
        .await
        .refused(403, "INSUFFICIENT_SCOPE");
    ada.scoped(&["message"]).await.get(&url).await.refused(403, "INSUFFICIENT_SCOPE");
}

async fn refused_uploads(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let named = |name: &str| part(&format!("name=\"{name}\"; filename=\"f.txt\""), Some("text/plain"), b"c");
    ada.post("/api/files/upload", json!({"file": "f"})).await.status(400);
    ada.call("POST", "/api/files/upload").raw("multipart/form-data", "--x--").await.status(400);
    let cut = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nhal";
    ada.call("POST", "/api/files/upload").raw("multipart/form-data; boundary=x", cut).await.status(400);
    form(&ada, &[]).await.status(400);
    form(&ada, &[part("name=\"file\"", None, b"a text field")]).await.status(400);
    form(&ada, &[part("name=\"file\"; filename=\"\"", Some("text/plain"), b"c")]).await.status(400);
    form(&ada, &[named("other")]).await.refused(400, "UPLOAD_ERROR");
    form(&ada, &[named("file"), named("file")]).await.refused(400, "UPLOAD_ERROR");
    for kind in ["text/html", "image/svg+xml", "application/zip", "nonsense"] {
        file(&ada, "f", kind, b"c").await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    file(&ada, "f", "text/plain", &vec![b'c'; MIB]).await.refused(413, "FILE_TOO_LARGE");
    file(&ada, "f", "text/plain", &vec![b'c'; MIB - 1]).await.ok();
}

async fn the_content_decides_what_it_is(hub: TestHub) {
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89";
    let ada = hub.with_org("a").await.bot("ada").await;
    let picture = file(&ada, "p.txt", "text/plain", PNG).await.ok();
    assert_eq!(picture["mime_type"], "image/png");
    let got = ada.get(picture.text("url")).await;
    assert!(got.header("content-disposition").unwrap().starts_with("inline"), "pictures are shown");
    file(&ada, "p.png", "image/png", b"PK\x03\x04\x14\0\0\0\x08\0").await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    for script in ["<svg onload=alert(1)>", "\u{feff}  <?xml version=\"1.0\"?><svg/>", "<!DOCTYPE svg>"] {
        file(&ada, "s.txt", "text/plain", script.as_bytes()).await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    assert_eq!(file(&ada, "a.json", "application/json", b"{}").await.ok()["mime_type"], "application/json");
}

async fn ranges(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let content: String = ('a'..='z').collect();
    let url = ada.upload("abc.txt", &content).await.ok().text("url");
    for (asked, told, bytes) in [
        ("bytes=0-2", "bytes 0-2/26", "abc"),
        ("bytes=-3", "bytes 23-25/26", "xyz"),
        ("bytes=24-", "bytes 24-25/26", "yz"),
    ] {
        let part = ada.get(&url).header("range", asked).await;
        assert_eq!(
            (part.status, part.header("content-range"), part.text.as_str()),
            (206, Some(told), bytes),
            "{asked}"
        );
    }
    let outside = ada.get(&url).header("range", "bytes=26-").await;
    assert_eq!((outside.status, outside.header("content-range")), (416, Some("bytes */26")));
    for whole in ["bytes=5-2", "bytes=0-1,4-5", "lines=1-2"] {
        assert_eq!(ada.get(&url).header("range", whole).await.text, content, "{whole}");
    }
    let etag = ada.get(&url).await.etag();
    assert_eq!(ada.get(&url).header("if-none-match", &etag).await.status, 304);
    assert_eq!(ada.get(&url).header("range", "bytes=0-0").header("if-range", &etag).await.text, "a");
    assert_eq!(ada.get(&url).header("range", "bytes=0-0").header("if-range", "\"other\"").await.text, content);
    // A proxy that compresses weakens the tag, or writes the coding into it. Reading compares weakly, ranges strongly.
    let bare = etag.trim_matches('"');
    for weak in [format!("W/{etag}"), format!("\"{bare}-gzip\""), format!("\"a,b\", W/\"{bare}-br\""), "*".to_owned()] {
        assert_eq!(ada.get(&url).header("if-none-match", &weak).await.status, 304, "{weak}");
        let reply = ada.get(&url).header("range", "bytes=0-0").header("if-range", &weak).await;
        assert_eq!((reply.status, reply.text.as_str()), (200, content.as_str()), "{weak}");
    }
    assert_eq!(ada.get(&url).header("if-none-match", format!("\"{bare}x\"")).await.status, 200);
    let head = ada.call("HEAD", &url).header("range", "bytes=0-0").await;
    assert_eq!((head.status, head.header("content-length"), head.header("content-range")), (200, Some("26"), None));
    for (asked, status) in [("bytes=-0", 416), ("bytes=-500", 206), ("Bytes=0-0", 206), ("bytes=+1-2", 200)] {
        assert_eq!(ada.get(&url).header("range", asked).await.status, status, "{asked}");
    }
}

async fn what_browsers_are_told(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let got = ada.get(ada.upload("page.html", "no page").await.ok().text("url")).await;
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'"),
        ("cache-control", "private, max-age=31536000, immutable"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(got.header(name), Some(value), "{name}");
    }
    assert!(got.header("content-disposition").unwrap().starts_with("attachment"), "nothing but pictures is shown");
}

async fn a_days_worth(hub: TestHub) {
    let org = hub.with_org("a").await;
    org.settings(json!({"file_upload_mb_per_day_per_bot": 1})).await.ok();
    let [ada, bob, cleo] = org.bots(["ada", "bob", "cleo"]).await;
    let much = vec![b'c'; MIB - 100];
    for bot in [&ada, &bob] {
        file(bot, "f", "text/plain", &much).await.ok();
        file(bot, "f", "text/plain", &[b'c'; 200]).await.refused(429, "RATE_LIMITED");
    }
    file(&cleo, "f", "text/plain", &[b'c'; 300]).await.refused(429, "RATE_LIMITED");
    file(&cleo, "f", "text/plain", b"still fits").await.ok();
}

async fn files_stay_in_their_organisation(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let stranger = hub.with_org("b").await.bot("stranger").await;
    let url = ada.upload("f.txt", "secret").await.ok().text("url");
    for path in [url.clone(), format!("{url}/info")] {
        stranger.get(&path).await.forbidden();
        hub.anonymous().get(&path).await.refused(401, "AUTH_REQUIRED");
        ada.get(path.replace(url.rsplit('/').next().unwrap(), NOBODY)).await.missing();
    }
    hub.anonymous().get(format!("{url}?exp=99999999999&sig=forged")).await.refused(401, "AUTH_REQUIRED");
    ada.get(format!("{url}?exp=99999999999&sig=forged")).await.refused(401, "AUTH_REQUIRED");
}
