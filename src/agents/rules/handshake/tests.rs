//! Tests of the handshake: what is accepted, and what is refused.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn name(text: &str) -> Namespace {
    Namespace::parse(text).unwrap()
}

fn credentials(base: Option<&str>, tokenless: bool) -> Credentials {
    let mut credentials = Credentials::new(base, tokenless);
    credentials.add(name("default"), vec![]);
    credentials.add(name("bob"), vec![secrets::secret_hash("bobs-own"), secrets::secret_hash("bobs-old")]);
    credentials
}

fn identity(auth: Value, credentials: &Credentials) -> Result<Identity, &'static str> {
    read_auth(auth, credentials).map(|handshake| handshake.identity).map_err(|refused| refused.message)
}

#[test]
fn the_base_token_opens_known_namespaces() {
    let credentials = credentials(Some("base"), false);
    assert_eq!(identity(json!({"token": "base"}), &credentials), Ok(Identity::Of(name("default"))));
    assert_eq!(identity(json!({"token": " base:bob "}), &credentials), Ok(Identity::Of(name("bob"))));
    assert_eq!(identity(json!({"token": "base:nobody"}), &credentials), Err("Invalid token"));
    assert_eq!(identity(json!({"token": "base:"}), &credentials), Err("Invalid token"));
    assert_eq!(identity(json!({"token": "bas"}), &credentials), Err("Invalid token"));
    assert_eq!(identity(json!({"token": ""}), &credentials), Err("Invalid token"));
    assert_eq!(identity(json!({"token": 1}), &credentials), Err("Invalid token"));
}

#[test]
fn a_namespaces_token_opens_it_alone() {
    let credentials = credentials(Some("base"), false);
    for token in ["bobs-own", "bobs-own:bob", "bobs-old"] {
        assert_eq!(identity(json!({"token": token}), &credentials), Ok(Identity::Of(name("bob"))), "{token}");
    }
    assert_eq!(identity(json!({"token": "bobs-own:default"}), &credentials), Err("Invalid token"));
    let mut later = credentials.clone();
    later.add(name("bob"), vec![secrets::secret_hash("bobs-new")]);
    assert_eq!(identity(json!({"token": "bobs-own"}), &later), Err("Invalid token"));
    assert_eq!(identity(json!({"token": "bobs-own:bob"}), &later), Err("Invalid token"));
    later.remove(&name("bob"));
    assert_eq!(identity(json!({"token": "bobs-new"}), &later), Err("Invalid token"));
    assert_eq!(identity(json!({"token": "base:bob"}), &later), Err("Invalid token"));
}

#[test]
fn a_token_of_the_default_namespace_needs_no_name() {
    let mut credentials = credentials(None, false);
    credentials.add(name("default"), vec![secrets::secret_hash("own")]);
    assert_eq!(identity(json!({"token": "own"}), &credentials), Ok(Identity::Of(name("default"))));
    assert_eq!(identity(json!({"token": "own:default"}), &credentials), Ok(Identity::Of(name("default"))));
}

#[test]
fn a_namespace_beside_a_token_must_be_its_own() {
    let credentials = credentials(Some("base"), true);
    assert_eq!(identity(json!({"token": "base:bob", "namespace": "bob"}), &credentials), Ok(Identity::Of(name("bob"))));
    assert_eq!(identity(json!({"token": "base:bob", "namespace": "default"}), &credentials), Err("Namespace mismatch"));
    // A bad token is not made good by a namespace.
    assert_eq!(identity(json!({"token": "bad", "namespace": "bob"}), &credentials), Err("Invalid token"));
}

#[test]
fn without_a_token_the_namespace_is_believed_where_allowed() {
    let (open, shut) = (credentials(None, true), credentials(None, false));
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
fn sockets_without_a_token_are_accepted_on_loopback_alone() {
    assert!(tokenless_allowed(None, false, true));
    assert!(!tokenless_allowed(None, true, true));
    assert!(!tokenless_allowed(None, false, false));
    assert!(tokenless_allowed(Some(true), true, false));
    assert!(!tokenless_allowed(Some(false), false, true));
    assert!(credentials(None, true).has_token());
    assert!(!Credentials::new(None, true).has_token());
}

#[test]
fn ids_are_read_and_bad_ones_told() {
    let read = |auth| read_auth(auth, &credentials(None, true)).unwrap();
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
        prop_assert!(read_auth(auth, &credentials(Some("base"), true)).is_err());
    }
}
