//! Frames as clients of every kind send them: refs, byte-order marks, fragments, broken framing, and how many may come.

use hxa_connect::hub::config::Config;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::*;

on_both_databases! {
    a_ref_comes_back_as_it_was_sent,
    a_frame_that_cannot_be_read_is_answered_under_its_ref,
    a_byte_order_mark_is_no_part_of_a_frame,
    broken_frames_close_with_what_was_wrong,
    what_is_refused_is_not_waited_for,
    control_frames_are_rated with few_control_frames,
    operations_of_every_kind_are_rated with few_operations,
    sockets_of_a_bot_share_its_rate with one_operation_per_bot,
    bots_of_an_organisation_share_its_rate with one_operation_per_org,
    a_raised_rate_of_messages_raises_that_of_operations with few_operations,
    a_large_operation_under_way_holds_the_next_back,
}

/// Clients look for exactly what they have sent: a number that came back in another form was an answer to nothing.
async fn a_ref_comes_back_as_it_was_sent(hub: TestHub) {
    let [ada, _bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let mut wire = Wire::open(&hub, &ada.ws_ticket().await).await;
    let mut old = Wire::open_at(&hub, &format!("/v0/ws?ticket={}", ada.ws_ticket().await)).await;
    let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
    let long = format!("\"{}\"", "r".repeat(100_000));
    let refs = [
        "1",
        "1.0",
        "1e3",
        "-2.50E-1",
        "9007199254740993",
        "123456789012345678901234567890",
        "1e400",
        "\"text\"",
        "\"\\u00e9\\ud83c\"",
        "{\"b\": 1,\"a\":[1.0], \"b\":2}",
        "[ ]",
        "true",
        &deep,
        &long,
    ];
    for reference in refs {
        for (op, kind) in [
            ("\"type\":\"ping\"", "pong"),
            ("\"type\":\"send_dm\",\"to\":\"bob\",\"content\":\"c\"", "ack"),
            ("\"type\":\"send_dm\",\"to\":\"nobody\",\"content\":\"c\"", "error"),
            ("\"type\":\"fly\"", "error"),
            ("\"type\":7", "error"),
        ] {
            for wire in [&mut wire, &mut old] {
                wire.send(&client_frame(0x81, format!("{{{op},\"ref\":{reference}}}").as_bytes())).await.unwrap();
                let answer = loop {
                    let text = wire.text().await;
                    if text.contains("\"ref\"") {
                        break text;
                    }
                };
                assert!(answer.contains(&format!("\"ref\":{reference}")), "{reference}: {answer}");
                assert!(answer.contains(&format!("\"type\":\"{kind}\"")), "{answer}");
            }
        }
    }
    for absent in ["null", "0", "0.0", "-0", "\"\"", "false"] {
        wire.send(&client_frame(0x81, format!("{{\"type\":\"ping\",\"ref\":{absent}}}").as_bytes())).await.unwrap();
        while wire.json().await != json!({"type": "pong"}) {}
    }
}

async fn a_frame_that_cannot_be_read_is_answered_under_its_ref(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let mut wire = Wire::open(&hub, &ada.ws_ticket().await).await;
    let deep = format!("{{\"ref\":1.0,\"x\":{}", "[".repeat(10_000));
    let many = format!("{{\"ref\":1.0,\"type\":\"ping\",\"x\":[{}0]}}", "0,".repeat(60_000));
    for frame in [
        "{\"ref\":1.0",
        "{\"type\":\"ping\",\"ref\":1.0",
        "{\"type\":ping,\"ref\":1.0}",
        "{\"type\":\"\\ud800\",\"ref\":1.0}",
        "{\"content\":\"line\nbreak\",\"ref\" : 1.0}",
        "{\"n\":1e999,\"ref\":1.0}",
        "{\"ref\":1.0,}",
        "{\"ref\":1.0} x",
        &deep,
        &many,
    ] {
        wire.send(&client_frame(0x81, frame.as_bytes())).await.unwrap();
        let answer = wire.text().await;
        assert!(answer.contains("\"ref\":1.0"), "{frame:.100}: {answer}");
        assert!(answer.contains("VALIDATION_ERROR"), "{answer}");
    }
    for frame in ["[{\"ref\":1}]", "{\"a\":{\"ref\":1}", "\"ref\":", "{\"ref\":x}", "{\"ref\":0,}", "ref"] {
        wire.send(&client_frame(0x81, frame.as_bytes())).await.unwrap();
        let answer = wire.json().await;
        assert_eq!((answer.get("ref"), &answer["code"]), (None, &json!("VALIDATION_ERROR")), "{frame}");
    }
}

async fn a_byte_order_mark_is_no_part_of_a_frame(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let mut socket = ada.socket().await;
    let marked = "\u{feff}{\"type\":\"ping\",\"ref\":\"bom\"}";
    socket.send_message(Message::text(marked)).await;
    assert_eq!(socket.next("pong").await["ref"], "bom");
    socket.send_message(Message::binary(marked.as_bytes().to_vec())).await;
    assert_eq!(socket.next("pong").await["ref"], "bom");
    socket.send_fragmented(marked, 1).await;
    assert_eq!(socket.next("pong").await["ref"], "bom");
    socket.send_message(Message::text(format!("\u{feff}{marked}"))).await;
    assert_eq!(socket.next("error").await["ref"], "bom", "one mark, not two");
}

async fn broken_frames_close_with_what_was_wrong(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let mut unmasked = client_frame(0x81, b"{}");
    unmasked[1] &= 0x7f;
    let large = hub_limit() + 1;
    let cases = [
        (1009, frame_head(0x81, 1 << 40)),
        (1009, frame_head(0x82, u64::MAX)),
        (1009, frame_head(0x81, large)),
        (1009, [client_frame(0x01, &vec![b' '; 1_000_000]), frame_head(0x80, large - 1_000_000)].concat()),
        (1002, unmasked),
        (1002, client_frame(0xc1, b"{}")),
        (1002, client_frame(0x91, b"{}")),
        (1002, client_frame(0x83, b"")),
        (1002, client_frame(0x8b, b"")),
        (1002, client_frame(0x80, b"{}")),
        (1002, client_frame(0x00, b"{}")),
        (1002, [client_frame(0x01, b"{"), client_frame(0x81, b"}")].concat()),
        (1002, client_frame(0x09, b"")),
        (1002, client_frame(0x08, b"")),
        (1002, client_frame(0x89, &[0; 126])),
        (1002, client_frame(0x8a, &[0; 126])),
        (1002, client_frame(0x88, &[3])),
        (1002, client_frame(0x88, &[0, 1])),
        (1007, client_frame(0x81, b"{\"type\":\"\xff\"}")),
        (1007, [client_frame(0x01, b"\"\xe2\x82"), client_frame(0x80, b"\"")].concat()),
        (1007, client_frame(0x88, &[3, 232, 0xff])),
    ];
    let (hub, ada) = (&hub, &ada);
    let closings = cases.into_iter().map(|(code, bytes)| async move {
        let mut wire = Wire::open(hub, &ada.ws_ticket().await).await;
        wire.send(&bytes).await.unwrap();
        assert_eq!(wire.closed().await, code, "{:02x?}", &bytes[..bytes.len().min(20)]);
    });
    futures_util::future::join_all(closings).await;
    let mut wire = Wire::open(hub, &ada.ws_ticket().await).await;
    let euro = [
        client_frame(0x01, b"{\"ref\":\"\xe2\x82"),
        client_frame(0x89, b"p"),
        client_frame(0x80, b"\xac\",\"type\":\"ping\"}"),
    ];
    wire.send(&euro.concat()).await.unwrap();
    assert_eq!(wire.frame().await, Some((0xa, b"p".to_vec())));
    assert_eq!(wire.json().await["ref"], "€");
    wire.send(&client_frame(0x88, &[3, 232])).await.unwrap();
    assert_eq!(wire.closed().await, 1000, "what the client says last is said back");
}

fn hub_limit() -> u64 {
    Config::default().sockets.max_frame_bytes as u64
}

/// A socket whose ticket is refused was read for five seconds, whatever came.
async fn what_is_refused_is_not_waited_for(hub: TestHub) {
    let mut silent = Wire::open(&hub, "unknown").await;
    assert_eq!(silent.closed().await, 4001);
    let mut talking = Wire::open(&hub, "unknown").await;
    talking.send(&client_frame(0x81, b"{\"type\":\"ping\"}").repeat(10)).await.unwrap();
    assert_eq!(talking.closed().await, 4001);
    let mut polite = Wire::open(&hub, "unknown").await;
    assert!(matches!(polite.frame().await, Some((0x8, _))));
    polite.send(&client_frame(0x88, &4001_u16.to_be_bytes())).await.unwrap();
    assert_eq!(polite.frame().await, None);
}

fn few_control_frames(config: &mut Config) {
    config.sockets.control_frames_per_second = 5;
}

async fn control_frames_are_rated(hub: TestHub) {
    let ada = hub.with_org("a").await.bot("ada").await;
    let fragments = [client_frame(0x01, b""), client_frame(0x00, b"").repeat(200)].concat();
    let floods = [
        ("pings", client_frame(0x89, b"").repeat(200)),
        ("pongs", client_frame(0x8a, b"").repeat(200)),
        ("fragments", fragments),
    ];
    for (what, flood) in floods {
        let mut wire = Wire::open(&hub, &ada.ws_ticket().await).await;
        wire.send(&flood).await.unwrap();
        assert_eq!(wire.closed().await, 1008, "{what}");
    }
    assert!(metric(&hub, "hub_rate_limited_total{limit=\"control_frames\"}").await >= 3.0);
    let mut wire = Wire::open(&hub, &ada.ws_ticket().await).await;
    wire.send(&client_frame(0x89, b"").repeat(40)).await.unwrap();
    wire.send(&client_frame(0x81, b"{\"type\":\"ping\"}").repeat(200)).await.unwrap();
    for _ in 0..200 {
        assert_eq!(wire.json().await["type"], "pong", "messages are another rate's");
    }
}

fn few_operations(config: &mut Config) {
    config.sockets.operations_per_second_per_bot = 5;
    config.sockets.operations_per_second_per_org = 50;
}

fn one_operation_per_bot(config: &mut Config) {
    config.sockets.operations_per_second_per_bot = 1;
}

fn one_operation_per_org(config: &mut Config) {
    config.sockets.operations_per_second_per_org = 1;
}

/// Value of a metric with exactly these labels.
async fn metric(hub: &TestHub, name: &str) -> f64 {
    let text = hub.http().get(format!("{}/metrics", hub.url())).send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

/// How many of these frames are answered by something else than the rate, if they come at once.
async fn admitted(socket: &mut Socket, frames: usize, frame: impl Fn(usize) -> String) -> usize {
    for n in 0..frames {
        socket.send_message(Message::text(frame(n))).await;
    }
    let mut admitted = 0;
    for _ in 0..frames {
        let answer = socket.arrival(DEADLINE).await.unwrap().expect("every frame is answered");
        if answer["code"] == "RATE_LIMITED" {
            assert!(answer["retry_after"].as_u64().is_some_and(|seconds| seconds >= 1), "{answer}");
            assert!(answer["ref"].is_number(), "{answer}");
        } else {
            admitted += 1;
        }
    }
    admitted
}

/// A bot that may send so few messages that its operations are not raised by them.
async fn quiet_bot(hub: &TestHub, org: &str) -> Bot {
    let org = hub.with_org(org).await;
    org.settings(json!({"messages_per_minute_per_bot": 1})).await.ok();
    org.bot("ada").await
}

fn ping(n: usize) -> String {
    format!("{{\"type\":\"ping\",\"ref\":{}}}", n + 1)
}

async fn operations_of_every_kind_are_rated(hub: TestHub) {
    type Kind = (&'static str, usize, fn(usize) -> String);
    let kinds: [Kind; 5] = [
        ("pings", 60, ping),
        ("unknown", 60, |n| format!("{{\"type\":\"fly\",\"ref\":{}}}", n + 1)),
        ("broken", 60, |n| format!("{{\"ref\":{},", n + 1)),
        ("subscriptions", 60, |n| format!("{{\"type\":\"subscribe\",\"ref\":{}}}", n + 1)),
        ("resuming", 8, |n| format!("{{\"type\":\"resume\",\"epoch\":\"e\",\"since_seq\":1,\"ref\":{}}}", n + 1)),
    ];
    let before = metric(&hub, "hub_ws_ops_total").await;
    let mut sent = 0;
    for (kind, frames, frame) in kinds {
        // Each by an organisation of its own, so that none pays for another.
        let mut socket = quiet_bot(&hub, kind).await.socket().await;
        let count = admitted(&mut socket, frames, frame).await;
        let expected = if kind == "resuming" { 4..8 } else { 50..60 };
        assert!(expected.contains(&count), "{kind}: {count} of {frames} were admitted");
        sent += frames;
    }
    assert_eq!(metric(&hub, "hub_ws_ops_total").await - before, sent as f64, "each of them is counted");
    assert!(metric(&hub, "hub_rate_limited_total{limit=\"operations\"}").await >= 5.0);
    let large = |n| format!("{{\"type\":\"ping\",\"ref\":{},\"x\":\"{}\"}}", n + 1, "x".repeat(1_000_000));
    let mut socket = quiet_bot(&hub, "large").await.socket().await;
    assert!(admitted(&mut socket, 3, large).await < 3, "what is large costs more");
}

async fn sockets_of_a_bot_share_its_rate(hub: TestHub) {
    let ada = quiet_bot(&hub, "a").await;
    let (mut one, mut two) = (ada.socket().await, ada.socket().await);
    assert!(admitted(&mut one, 10, ping).await >= 9);
    assert!(admitted(&mut two, 4, ping).await < 4);
    let mut other = hub.with_org("b").await.bot("ada").await.socket().await;
    assert_eq!(admitted(&mut other, 10, ping).await, 10, "nobody else pays for it");
}

async fn bots_of_an_organisation_share_its_rate(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    assert!(admitted(&mut ada.socket().await, 8, ping).await >= 8);
    assert!(admitted(&mut bob.socket().await, 8, ping).await < 8);
    let mut other = hub.with_org("b").await.bot("ada").await.socket().await;
    assert_eq!(admitted(&mut other, 10, ping).await, 10, "nobody else pays for it");
}

/// Load tests raise the rate of messages of their organisation and must not be stopped by another one.
async fn a_raised_rate_of_messages_raises_that_of_operations(hub: TestHub) {
    let org = hub.with_org("a").await;
    let ada = org.bot("ada").await;
    org.settings(json!({"messages_per_minute_per_bot": 2_147_483_647})).await.ok();
    let mut socket = ada.socket().await;
    assert_eq!(admitted(&mut socket, 1000, ping).await, 1000);
}

/// What is under way is bounded by what it weighs too: sixty-four operations of a megabyte each were taken in at once.
async fn a_large_operation_under_way_holds_the_next_back(hub: TestHub) {
    let [ada, bob] = hub.with_org("a").await.bots(["ada", "bob"]).await;
    let thread = ada.thread("t", &[&bob]).await;
    let mut socket = ada.socket().await;
    let mut refs = Vec::new();
    for n in 0..6 {
        let filler = "x".repeat(900_000);
        let op = json!({"type": "send_thread_message", "thread_id": thread["id"], "content": n.to_string(), "filler": filler});
        refs.push(socket.start(op).await);
    }
    for reference in &refs {
        socket.answer(reference).await.unwrap().ack();
    }
    let said: Vec<String> = ada.messages(&thread, "").await.list().iter().map(|m| m.text("content")).collect();
    assert_eq!(said, ["0", "1", "2", "3", "4", "5"]);
}
