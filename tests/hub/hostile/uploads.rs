//! Uploads: what is being uploaded counts before it is stored, forms have bounds, and files are what they are.

use hxa_connect::hub::config::Config;
use tokio::io::AsyncWriteExt;

use super::bodies::{MIB, connect, read_all, upload_opening};
use crate::harness::*;
use crate::webhooks::delivery::calm;

on_both_databases! {
    unfinished_uploads_count_against_the_day with small_quota,
    the_quota_is_the_hubs_and_shared with small_quota,
    forms_are_bounded,
    files_are_what_they_are,
}

fn small_quota(config: &mut Config) {
    config.files.upload_mb_per_day = 4;
    config.files.max_file_size_mb = 2;
    config.server.patience_seconds = 5;
}

/// Sixteen uploads that were never finished staged far more than a day's quota.
async fn unfinished_uploads_count_against_the_day(hub: TestHub) {
    let org = hub.with_org("a").await;
    org.settings(json!({"file_upload_mb_per_day_per_bot": 2})).await.ok();
    let [ada, bob] = org.bots(["ada", "bob"]).await;
    let mut half = Vec::new();
    for _ in 0..16 {
        let mut stream = connect(&hub).await;
        stream.write_all(upload_opening(&ada, MIB).as_bytes()).await.unwrap();
        let _ = stream.write_all(&vec![b'c'; MIB / 2]).await;
        half.push(stream);
    }
    // All of them have come in.
    calm().await;
    // Others of the organisation are not held up, and all of it is given back once the uploads are given up.
    let refused = ada.upload("f.txt", &"c".repeat(MIB)).await;
    refused.refused(429, "RATE_LIMITED");
    bob.upload("f.txt", &"c".repeat(MIB)).await.ok();
    let mut told = 0;
    for mut stream in half {
        let answer = read_all(&mut stream).await;
        told += usize::from(answer.starts_with("HTTP/1.1 408") || answer.starts_with("HTTP/1.1 429"));
    }
    assert!(told >= 12, "only {told} of 16 uploads that stopped were told so");
    ada.upload("f.txt", &"c".repeat(MIB)).await.ok();
    let left = || async { ada.upload("f.txt", &"c".repeat(MIB - 1000)).await.status };
    eventually(left, |status| *status == 200).await;
    ada.upload("f.txt", &"c".repeat(5000)).await.refused(429, "RATE_LIMITED");
}

async fn the_quota_is_the_hubs_and_shared(hub: TestHub) {
    let (one, two, three) = (hub.with_org("one").await, hub.with_org("two").await, hub.with_org("three").await);
    let megabyte = "c".repeat(MIB - 500);
    let bots = [one.bot("ada").await, one.bot("bob").await, one.bot("cleo").await, one.bot("dora").await];
    let mut stored = 0;
    for bot in &bots {
        stored += usize::from(bot.upload("f.txt", &megabyte).await.status == 200);
    }
    assert!((2..4).contains(&stored), "{stored} of 4 MiB by one of three organisations");
    let small = "c".repeat(MIB / 2);
    two.bot("ada").await.upload("f.txt", &small).await.ok();
    let last = three.bot("ada").await;
    last.upload("f.txt", &small).await.ok();
    let refused = last.upload("f.txt", &megabyte).await;
    let refused = refused.refused(429, "RATE_LIMITED");
    assert!(refused["retry_after"].as_u64().is_some_and(|seconds| seconds <= 86_400), "{refused}");
}

fn form(bot: &Bot, body: impl Into<Vec<u8>>) -> Call {
    let body: Vec<u8> = body.into();
    bot.call("POST", "/api/files/upload").raw("multipart/form-data; boundary=x", body)
}

fn part(name: &[u8], kind: &str, content: &[u8]) -> Vec<u8> {
    let head =
        [b"--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"".as_slice(), name, b"\"\r\n"].concat();
    [&head, kind.as_bytes(), b"\r\n".as_slice(), content, b"\r\n--x--\r\n"].concat()
}

/// 300 MB of empty parts were read.
async fn forms_are_bounded(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let empty = "--x\r\ncontent-disposition: form-data; name=\"n\"\r\n\r\n\r\n";
    form(&ada, empty.repeat(1000)).await.refused(413, "PAYLOAD_TOO_LARGE");
    form(&ada, empty.repeat(90) + "--x--\r\n").await.invalid();
    let long = format!("--x\r\nx-long: {}\r\n\r\n\r\n--x--\r\n", "h".repeat(100_000));
    let refused = form(&ada, long).await;
    assert!([400, 413].contains(&refused.status), "{}", refused.text);
    for noise in [
        "preamble\r\n".repeat(400_000),
        format!("--x\r\ncontent-disposition: form-data; name=\"n\"\r\n\r\n{}", "n".repeat(4 * MIB)),
    ] {
        let refused = form(&ada, noise).await;
        assert_eq!(refused.status, 413, "{}", refused.text);
    }
    ada.me().await.ok();
}

async fn files_are_what_they_are(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let send = |name: &'static str, kind: &'static str, content: &'static [u8]| {
        let kind = if kind.is_empty() { String::new() } else { format!("content-type: {kind}\r\n") };
        form(&ada, part(name.as_bytes(), &kind, content))
    };
    for (name, declared, content, kind) in [
        ("gifts.csv", "text/csv", &b"GIFTS,price\nball,1"[..], "text/csv"),
        ("gifts.csv", "application/octet-stream", b"GIF89a,price", "text/csv"),
        ("data.json", "application/octet-stream", b"{}", "application/json"),
        ("data.csv", "", b"a,b", "text/csv"),
        ("list.csv", "image/gif", b"GIFTS,price", "text/csv"),
        ("p.txt", "text/plain", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
        ("p.png", "application/octet-stream", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
    ] {
        let stored = send(name, declared, content).await.ok();
        assert_eq!(stored["mime_type"], kind, "{name} as {declared}");
        let got = ada.get(stored.text("url")).await;
        let is_shown = got.header("content-disposition").unwrap().starts_with("inline");
        assert_eq!(is_shown, kind.starts_with("image/"), "{name} as {declared}");
    }
    send("f.bin", "application/octet-stream", b"c").await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    send("f.png", "image/png", b"\x01\x02\x03\xff").await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    for (name, kept) in [
        ("می\u{200c}خواهم.txt", "می\u{200c}خواهم.txt"),
        ("👨\u{200d}👩\u{200d}👧 e\u{301}.txt", "👨\u{200d}👩\u{200d}👧 e\u{301}.txt"),
        ("a/b\u{202e}txt.exe\u{2066}.txt", "btxt.exe.txt"),
    ] {
        let stored = form(&ada, part(name.as_bytes(), "", b"c")).await.ok();
        assert_eq!(stored["name"], kept, "{name:?}");
    }
    let stored = form(&ada, part(b"caf\xe9.txt", "", b"c")).await.ok();
    assert_eq!(stored["name"], "caf.txt", "a name that is no UTF-8 keeps what can be read");
    let nameless = b"--x\r\ncontent-disposition: attachment\r\n\r\nc\r\n--x--\r\n";
    let refused = form(&ada, nameless.to_vec()).await.invalid();
    assert!(refused["error"].as_str().unwrap().contains("Content-Disposition"), "{refused}");
}
