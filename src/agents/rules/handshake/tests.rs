//! Tests of the handshake: each way in, and each way that stays shut.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn name(text: &str) -> Namespace {
    Namespace::parse(text).unwrap()
}

fn doors(base: Option<&str>, tokenless: bool) -> Doors {
    let mut doors = Doors::new(base, tokenless);
    doors.add(name("default"), vec![]);
    doors.add(name("bob"), vec![secrets::secret_hash("bobs-own"), secrets::secret_hash("bobs-old")]);
    doors
}

fn identity(auth: Value, doors: &Doors) -> Result<Identity, &'static str> {
    read_auth(auth, doors).map(|handshake| handshake.identity).map_err(|refused| refused.message)
}

#[test]
fn the_base_token_opens_known_namespaces() {
    let doors = doors(Some("base"), false);
    assert_eq!(identity(json!({"token": "base"}), &doors), Ok(Identity::Of(name("default"))));
    assert_eq!(identity(json!({"token": " base:bob "}), &doors), Ok(Identity::Of(name("bob"))));
    assert_eq!(identity(json!({"token": "base:nobody"}), &doors), Err("Invalid token"));
    assert_eq!(identity(json!({"token": "base:"}), &doors), Err("Invalid token"));
    assert_eq!(identity(json!({"token": "bas"}), &doors), Err("Invalid token"));
    assert_eq!(identity(json!({"token": ""}), &doors), Err("Invalid token"));
    assert_eq!(identity(json!({"token": 1}), &doors), Err("Invalid token"));
}

#[test]
fn a_namespaces_token_opens_it_alone() {
    let doors = doors(Some("base"), false);
    for token in ["bobs-own", "bobs-own:bob", "bobs-old"] {
        assert_eq!(identity(json!({"token": token}), &doors), Ok(Identity::Of(name("bob"))), "{token}");
    }
    assert_eq!(identity(json!({"token": "bobs-own:default"}), &doors), Err("Invalid token"));
    let mut later = doors.clone();
    later.add(name("bob"), vec![secrets::secret_hash("bobs-new")]);
    assert_eq!(identity(json!({"token": "bobs-own"}), &later), Err("Invalid token"));
    assert_eq!(identity(json!({"token": "bobs-own:bob"}), &later), Err("Invalid token"));
    later.remove(&name("bob"));
    assert_eq!(identity(json!({"token": "bobs-new"}), &later), Err("Invalid token"));
    assert_eq!(identity(json!({"token": "base:bob"}), &later), Err("Invalid token"));
}

#[test]
fn a_token_of_the_default_namespace_needs_no_name() {
    let mut doors = doors(None, false);
    doors.add(name("default"), vec![secrets::secret_hash("own")]);
    assert_eq!(identity(json!({"token": "own"}), &doors), Ok(Identity::Of(name("default"))));
    assert_eq!(identity(json!({"token": "own:default"}), &doors), Ok(Identity::Of(name("default"))));
}

#[test]
fn a_namespace_beside_a_token_must_be_its_own() {
    let doors = doors(Some("base"), true);
    assert_eq!(identity(json!({"token": "base:bob", "namespace": "bob"}), &doors), Ok(Identity::Of(name("bob"))));
    assert_eq!(identity(json!({"token": "base:bob", "namespace": "default"}), &doors), Err("Namespace mismatch"));
    // A bad token is not made good by a namespace.
    assert_eq!(identity(json!({"token": "bad", "namespace": "bob"}), &doors), Err("Invalid token"));
}

#[test]
fn without_a_token_the_namespace_is_believed_where_allowed() {
    let (open, shut) = (doors(None, true), doors(None, false));
    assert_eq!(identity(json!({"namespace": "bob"}), &open), Ok(Identity::Of(name("bob"))));
    assert_eq!(identity(json!({"namespace": "nobody"}), &open), Err("Unknown namespace"));
    assert_eq!(identity(json!({"namespace": "a b"}), &open), Err("Unknown namespace"));
    for auth in [json!({}), json!(null), json!({"namespace": null, "token": null})] {
        assert_eq!(identity(auth.clone(), &open), Ok(Identity::Missing));
        assert_eq!(identity(auth, &shut), Err("Invalid token"));
    }
    assert_eq!(identity(json!({"namespace": "bob"}), &shut), Err("Invalid token"));
    assert_eq!(identity(json!({"namespace": 1}), &open), Err("Invalid auth"));
    assert_eq!(identity(json!("x"), &open), Err("Invalid auth"));
}

#[test]
fn the_door_without_tokens_is_open_on_loopback_alone() {
    assert!(tokenless_door(None, false, true));
    assert!(!tokenless_door(None, true, true));
    assert!(!tokenless_door(None, false, false));
    assert!(tokenless_door(Some(true), true, false));
    assert!(!tokenless_door(Some(false), false, true));
    assert!(doors(None, true).has_token());
    assert!(!Doors::new(None, true).has_token());
}

#[test]
fn ids_are_read_and_bad_ones_told() {
    let read = |auth| read_auth(auth, &doors(None, true)).unwrap();
    let handshake = read(json!({"namespace": "bob", "sessionId": "s", "machineId": null}));
    assert_eq!(handshake.session_id, Joining::Id("s".to_owned()));
    assert_eq!(handshake.machine_id, Joining::Nothing);
    let handshake = read(json!({"namespace": "bob", "sessionId": "", "machineId": 5}));
    assert!(matches!(handshake.session_id, Joining::Bad(_)));
    assert!(matches!(handshake.machine_id, Joining::Bad(fault) if fault.path == "machineId"));
}

proptest! {
    #[test]
    fn strange_tokens_open_nothing(token in any::<String>(), named in proptest::option::of(any::<String>())) {
        prop_assume!(!["base", "base:bob", "base:default", "bobs-own", "bobs-old"].contains(&token.trim()));
        let auth = json!({"token": token, "namespace": named});
        prop_assert!(read_auth(auth, &doors(Some("base"), true)).is_err());
    }
}
