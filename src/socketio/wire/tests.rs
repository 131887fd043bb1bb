//! Packets are read as the protocol says, come back as they went, and no bytes panic.

use bytes::Bytes;
use bytestring::ByteString;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::engine::{decode_payload, encode_payload};
use super::*;

fn read(text: &str) -> Result<Option<Packet>, Malformed> {
    Decoder::new(Limits::default()).text(&ByteString::from(text))
}

fn packet(text: &str) -> Packet {
    read(text).unwrap().unwrap()
}

#[test]
fn packets_are_read_as_the_protocol_shows_them() {
    let args = Args::new().json("a").unwrap().json(&1).unwrap();
    let event = |namespace: &str, ack, args: &Args| Packet::Event {
        namespace: namespace.into(),
        ack,
        name: "hi".into(),
        args: args.clone(),
    };
    assert_eq!(packet("0"), Packet::Connect("/".into(), None));
    assert_eq!(packet("0/admin"), Packet::Connect("/admin".into(), None));
    assert_eq!(packet(r#"0/admin,{"a":1}"#), Packet::Connect("/admin".into(), Some(r#"{"a":1}"#.into())));
    assert_eq!(packet("1/admin,"), Packet::Disconnect("/admin".into()));
    assert_eq!(packet(r#"2["hi"]"#), event("/", None, &Args::new()));
    assert_eq!(packet(r#"2/admin,456["hi","a",1]"#), event("/admin", Some(456), &args));
    assert_eq!(packet("3/admin,456[]"), Packet::Ack { namespace: "/admin".into(), id: 456, args: Args::new() });
    assert_eq!(
        packet(r#"4/admin,{"message":"no"}"#),
        Packet::ConnectError("/admin".into(), r#"{"message":"no"}"#.into())
    );
}

#[test]
fn attachments_complete_a_packet() {
    let mut decoder = Decoder::new(Limits::default());
    let text = r#"52-/admin,7["hi",{"_placeholder":true,"num":0},{"in":{"_placeholder":true,"num":1}}]"#;
    assert_eq!(decoder.text(&text.into()), Ok(None));
    assert_eq!(decoder.binary(Bytes::from_static(&[1])), Ok(None));
    let Ok(Some(Packet::Event { args, ack, .. })) = decoder.binary(Bytes::from_static(&[2, 3])) else {
        panic!("no event");
    };
    assert_eq!(ack, Some(7));
    assert_eq!(args.bytes(0), Some(&Bytes::from_static(&[1])));
    assert_eq!((args.bytes(1), args.bytes(2)), (None, None));
    assert_eq!(args.attachments().len(), 2);
}

#[test]
fn what_the_protocol_does_not_have_is_malformed() {
    let many = format!("2[\"a\"{}]", ",1".repeat(1024));
    let deep = format!("2[\"a\",{}{}]", "[".repeat(100), "]".repeat(100));
    let cases = [
        ("", Malformed::Empty),
        ("7", Malformed::Type),
        ("abc", Malformed::Type),
        ("0[]", Malformed::Payload),
        ("0\"text\"", Malformed::Payload),
        ("0{", Malformed::Payload),
        ("1{}", Malformed::Payload),
        ("2", Malformed::Payload),
        ("2{}", Malformed::Payload),
        ("2[]", Malformed::Payload),
        ("2[{}]", Malformed::Payload),
        ("2[null]", Malformed::Payload),
        (r#"2["connect"]"#, Malformed::Payload),
        (r#"2["disconnect"]"#, Malformed::Payload),
        (r#"2["a"]x"#, Malformed::Payload),
        (r#"2abc["a"]"#, Malformed::Payload),
        (r#"299999999999999999999999["a"]"#, Malformed::AckId),
        ("3[]", Malformed::AckId),
        ("31{}", Malformed::Payload),
        ("4", Malformed::Payload),
        ("41", Malformed::Payload),
        (r#"5["a"]"#, Malformed::Attachments),
        (r#"51["a"]"#, Malformed::Attachments),
        (r#"511-["a"]"#, Malformed::Attachments),
        (r#"5-["a"]"#, Malformed::Attachments),
        (r#"51-["a",{"_placeholder":true,"num":1}]"#, Malformed::Attachments),
        (r#"51-["a",{"_placeholder":true,"num":"0"}]"#, Malformed::Attachments),
        (&deep, Malformed::Depth),
        (&many, Malformed::Payload),
    ];
    for (text, malformed) in cases {
        assert_eq!(read(text), Err(malformed), "{text}");
    }
}

#[test]
fn text_and_attachments_out_of_sequence_are_malformed() {
    let mut decoder = Decoder::new(Limits::default());
    assert_eq!(decoder.binary(Bytes::new()), Err(Malformed::Sequence));
    assert_eq!(decoder.text(&r#"51-["a"]"#.into()), Ok(None));
    assert_eq!(decoder.text(&r#"2["a"]"#.into()), Err(Malformed::Sequence));
}

#[test]
fn bytes_of_a_packet_are_bounded() {
    let mut decoder = Decoder::new(Limits { bytes: 100, ..Limits::default() });
    assert_eq!(decoder.text(&format!("2[\"{}\"]", "a".repeat(100)).into()), Err(Malformed::TooLarge));
    assert_eq!(decoder.text(&r#"52-["a"]"#.into()), Ok(None));
    assert_eq!(decoder.binary(Bytes::from(vec![0; 60])), Ok(None));
    assert_eq!(decoder.binary(Bytes::from(vec![0; 60])), Err(Malformed::TooLarge));
}

#[test]
fn brackets_in_strings_are_not_nesting() {
    let text = format!(r#"2["a","{}\"{}"]"#, "[".repeat(100), "{".repeat(100));
    assert!(read(&text).is_ok());
}

#[test]
fn arguments_are_what_a_value_is_a_list_of() {
    let texts = |args: Args| args.iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(texts(("a", 1).to_args().unwrap()), ["\"a\"", "1"]);
    assert_eq!(texts(json!(["a", [1, 2]]).to_args().unwrap()), ["\"a\"", "[1,2]"]);
    assert_eq!(texts(json!({"b": 1, "a": 2}).to_args().unwrap()), [r#"{"b":1,"a":2}"#]);
    assert_eq!(texts("a".to_args().unwrap()), ["\"a\""]);
    assert_eq!(texts(().to_args().unwrap()), [""; 0]);
    assert_eq!(texts((json!(null),).to_args().unwrap()), ["null"]);
}

#[test]
fn a_payload_is_split_into_its_packets() {
    let body = Bytes::from_static("4hi\u{1e}bAQIDBA==\u{1e}2probe".as_bytes());
    let packets = [
        EnginePacket::Message("hi".into()),
        EnginePacket::Binary(Bytes::from_static(&[1, 2, 3, 4])),
        EnginePacket::Ping("probe".into()),
    ];
    assert_eq!(decode_payload(body.clone(), 3).unwrap(), packets);
    assert_eq!(decode_payload(body.clone(), 2), Err(Malformed::TooManyPackets));
    assert_eq!(encode_payload(&packets.map(|packet| packet.encode())).as_bytes(), body);
    assert_eq!(decode_payload(Bytes::from_static(b"abc"), 9), Err(Malformed::Type));
    assert_eq!(decode_payload(Bytes::from_static(b""), 9), Err(Malformed::Empty));
    assert_eq!(decode_payload(Bytes::from_static(b"b!"), 9), Err(Malformed::Base64));
    assert_eq!(decode_payload(Bytes::from_static(&[b'4', 0xff]), 9), Err(Malformed::Text));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec(("[a-z_]{0,8}", inner), 0..6)
                .prop_map(|fields| fields.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

fn any_args() -> impl Strategy<Value = Args> {
    let binary = prop::collection::vec(any::<u8>(), 0..50);
    let item = prop_oneof![any_json().prop_map(Ok), binary.prop_map(Err)];
    prop::collection::vec(item, 0..8).prop_map(|items| {
        items.into_iter().fold(Args::new(), |args, item| match item {
            Ok(value) => args.json(&value).unwrap(),
            Err(bytes) => args.binary(bytes),
        })
    })
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let namespace = || prop_oneof![Just("/".to_owned()), "/[a-z0-9/-]{1,12}"].prop_map(ByteString::from);
    let name = ".{0,20}".prop_filter("reserved", |name| !name.contains("nect") && !name.contains("Listener"));
    prop_oneof![
        (namespace(), "[a-z]{0,9}").prop_map(|(namespace, text)| {
            Packet::Connect(namespace, Some(json!({ "token": text }).to_string().into()))
        }),
        namespace().prop_map(Packet::Disconnect),
        (namespace(), any::<Option<u64>>(), name, any_args()).prop_map(|(namespace, ack, name, args)| Packet::Event {
            namespace,
            ack,
            name,
            args
        }),
        (namespace(), any::<u64>(), any_args()).prop_map(|(namespace, id, args)| Packet::Ack { namespace, id, args }),
        (namespace(), ".{0,20}").prop_map(|(namespace, text)| Packet::ConnectError(
            namespace,
            json!({ "message": text }).to_string().into()
        )),
    ]
}

/// Text that begins like a packet more often than chance would have it.
fn nearly_a_packet() -> impl Strategy<Value = String> {
    prop_oneof![
        "[0-7]{1,3}(-|,|/|/a,)?[0-9]{0,25}\\[?\\{?\"?.{0,40}",
        any::<String>(),
        any_packet().prop_map(|packet| match packet.encode().swap_remove(0) {
            Frame::Text(text) => text.chars().skip(1).collect(),
            Frame::Binary(_) => String::new(),
        }),
    ]
}

proptest! {
    #[test]
    fn packets_come_back_as_they_went(packet in any_packet()) {
        let mut decoder = Decoder::new(Limits::default());
        let mut decoded = None;
        for frame in packet.encode() {
            prop_assert_eq!(&decoded, &None);
            decoded = match frame {
                Frame::Text(text) => match EnginePacket::decode(&text).unwrap() {
                    EnginePacket::Message(text) => decoder.text(&text).unwrap(),
                    other => panic!("{other:?}"),
                },
                Frame::Binary(bytes) => decoder.binary(bytes).unwrap(),
            };
        }
        prop_assert_eq!(decoded, Some(packet));
    }

    #[test]
    fn payloads_come_back_as_they_went(texts in prop::collection::vec("[^\u{1e}]{0,30}", 1..9), bytes: Vec<u8>) {
        let mut packets: Vec<_> = texts.into_iter().map(|text| EnginePacket::Message(text.into())).collect();
        packets.push(EnginePacket::Binary(bytes.into()));
        let frames: Vec<_> = packets.iter().map(EnginePacket::encode).collect();
        prop_assert_eq!(decode_payload(encode_payload(&frames).into(), 10).unwrap(), packets);
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = decode_payload(bytes.into(), 100);
    }

    #[test]
    fn no_messages_panic(messages in prop::collection::vec((nearly_a_packet(), any::<bool>()), 0..8)) {
        let mut decoder = Decoder::new(Limits::default());
        for (text, is_text) in messages {
            let decoded = if is_text { decoder.text(&text.as_str().into()) } else { decoder.binary(text.into()) };
            if let Ok(Some(packet)) = decoded {
                let _ = packet.encode();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_large_input_panics(unit in "[\\[\\]{}\",:0-9a-e\\\\-]{1,12}", times in 1_usize..200_000, head in "[0-6]{1,2}-?") {
        let text = format!("{head}{}", unit.repeat(times));
        let _ = read(&text);
        let _ = decode_payload(text.into(), 1000);
    }

    #[test]
    fn no_large_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300_000)) {
        let mut decoder = Decoder::new(Limits::default());
        let _ = decoder.text(&r#"53-["a",{"_placeholder":true,"num":0}]"#.into());
        let _ = decoder.binary(bytes.clone().into());
        let _ = decode_payload(bytes.into(), 1000);
    }
}
