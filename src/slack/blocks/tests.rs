//! Tests of messages: their JSON, and that they always fit.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::text::{ELLIPSIS, URL, escape};

#[test]
fn blocks_have_the_json_of_slack() {
    let buttons = [
        Button::new("Approve", "yes", "r1").with_style(Style::Primary),
        Button::new("Reject", "no", "r1").with_style(Style::Danger),
        Button { url: Some("https://hub.example".to_owned()), value: None, ..Button::new("Open", "open", "") },
    ];
    let blocks = vec![
        Block::header("APPROVAL\nRequest"),
        Block::section(format!("*Summary*\n{}", escape("a < b"))),
        Block::actions("b1", buttons),
        Block::context("small"),
    ];
    let message = serde_json::to_value(Message::new("text", blocks)).unwrap();
    let plain = |text: &str| json!({ "type": "plain_text", "text": text, "emoji": false });
    let mrkdwn = |text: &str| json!({ "type": "mrkdwn", "text": text, "verbatim": true });
    let wanted = json!({ "text": "text", "blocks": [
        { "type": "header", "text": plain("APPROVAL Request") },
        { "type": "section", "text": mrkdwn("*Summary*\na &lt; b") },
        { "type": "actions", "block_id": "b1", "elements": [
            { "type": "button", "text": plain("Approve"), "action_id": "yes", "value": "r1", "style": "primary" },
            { "type": "button", "text": plain("Reject"), "action_id": "no", "value": "r1", "style": "danger" },
            { "type": "button", "text": plain("Open"), "action_id": "open", "url": "https://hub.example/" },
        ] },
        { "type": "context", "elements": [mrkdwn("small")] },
    ] });
    assert_eq!(message, wanted);
}

#[test]
fn every_limit_holds_by_itself() {
    let long = "é".repeat(5000);
    let button = Button::new(&long, long.clone(), long.clone());
    let blocks = vec![
        Block::header(&long),
        Block::section(long.clone()),
        Block::actions(long.clone(), std::iter::repeat_n(button, 30)),
        Block::Context { elements: vec![Text::mrkdwn("x"); 20] },
    ];
    let message = serde_json::to_value(Message::new(long, blocks)).unwrap();
    let length = |path: &str| {
        let text = message.pointer(path).and_then(Value::as_str).unwrap();
        assert!(text.ends_with(ELLIPSIS), "{path}");
        text.chars().count()
    };
    assert_eq!(length("/text"), 4000);
    assert_eq!(length("/blocks/0/text/text"), 150);
    assert_eq!(length("/blocks/1/text/text"), 3000);
    assert_eq!(length("/blocks/2/block_id"), 255);
    assert_eq!(length("/blocks/2/elements/0/text/text"), 75);
    assert_eq!(length("/blocks/2/elements/0/action_id"), 255);
    assert_eq!(length("/blocks/2/elements/0/value"), 2000);
    assert_eq!(message["blocks"][2]["elements"].as_array().unwrap().len(), 25);
    assert_eq!(message["blocks"][3]["elements"].as_array().unwrap().len(), 10);
}

#[test]
fn the_longest_texts_give_way_first() {
    let mut blocks = vec![Block::section("x".repeat(3000)); 5];
    blocks.push(Block::section("<https://hub.example|Open>"));
    let message = Message::new("", blocks);
    let lengths: Vec<usize> = message.blocks().iter().flat_map(Block::flexible).map(Text::length).collect();
    assert_eq!(lengths, [1994, 1994, 1994, 1994, 1994, 26]);
    assert_eq!(message.text(), EMPTY);
}

#[test]
fn what_slack_refuses_is_not_there() {
    let blocks = vec![
        Block::header(" \n"),
        Block::section("\u{200b} "),
        Block::actions("none", []),
        Block::Context { elements: Vec::new() },
        Block::Header { text: Text::mrkdwn("*no markup here*") },
    ];
    let message = Message::new("t", blocks);
    let header = |text: &str| Block::Header { text: Text::PlainText { text: text.to_owned(), emoji: false } };
    assert_eq!(message.blocks(), [header(EMPTY), Block::section(EMPTY), header("*no markup here*")]);
    assert_eq!(Message::new("t", vec![Block::section("s"); 60]).blocks().len(), 50);
    let open = |url: &str| Button { url: Some(url.to_owned()), ..Button::new("Open", "open", "") };
    let bad = [open("javascript:alert(1)"), open(&format!("https://a.example/{}", "x".repeat(URL)))];
    let message = Message::new("t", vec![Block::actions("b", bad)]);
    assert!(!serde_json::to_string(&message).unwrap().contains("url"));
}

#[test]
fn stored_messages_are_read_again() {
    let message = Message::new("t", vec![Block::section("s"), Block::actions("b", [Button::new("B", "a", "v")])]);
    let stored = serde_json::to_string(&message).unwrap();
    assert_eq!(serde_json::from_str::<Message>(&stored).unwrap(), message);
    let long = json!({ "text": "x".repeat(9000) });
    assert_eq!(serde_json::from_value::<Message>(long).unwrap().text().chars().count(), MESSAGE);
    for bad in [json!(null), json!({ "blocks": [] }), json!({ "text": "t", "blocks": [{ "type": "video" }] })] {
        assert!(serde_json::from_value::<Message>(bad).is_err());
    }
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[<>&|a \n]{1,20}",
        (1..6000_usize, "[a&é🙂 ]").prop_map(|(count, text)| escape(&text.repeat(count)))
    ]
}

fn some_blocks() -> impl Strategy<Value = Vec<Block>> {
    let button = (texts(), texts(), texts()).prop_map(|(text, action, value)| Button::new(&text, action, value));
    let block = prop_oneof![
        texts().prop_map(|text| Block::header(&text)),
        texts().prop_map(Block::section),
        (texts(), prop::collection::vec(button, 0..4)).prop_map(|(id, buttons)| Block::actions(id, buttons)),
        prop::collection::vec(texts(), 0..12)
            .prop_map(|texts| Block::Context { elements: texts.into_iter().map(Text::mrkdwn).collect() }),
    ];
    prop::collection::vec(block, 0..56)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn messages_always_fit(text in texts(), blocks in some_blocks()) {
        let message = Message::new(text, blocks);
        prop_assert!(!is_blank(message.text()) && message.text().chars().count() <= MESSAGE);
        prop_assert!(message.blocks().len() <= BLOCKS);
        let flexible: Vec<&Text> = message.blocks().iter().flat_map(Block::flexible).collect();
        let fixed: usize = message.blocks().iter().map(Block::fixed).sum();
        let all = fixed + flexible.iter().map(|text| text.length()).sum::<usize>();
        // Headers and buttons are not shortened further, and no text vanishes.
        prop_assert!(all <= ALL_BLOCKS.max(fixed + flexible.len()), "{all}");
        prop_assert!(flexible.iter().all(|text| !is_blank(text.as_str()) && text.length() <= SECTION));
        let again = Message::new(message.text(), message.blocks().to_vec());
        prop_assert_eq!(again, message);
    }
}
