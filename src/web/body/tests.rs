//! That bodies are read the way the protocol says, and that the document says how.

use std::collections::HashMap;

use hxa_domain::artifact::{ArtifactDraft, ArtifactUpdate};
use hxa_domain::channel::ChannelDraft;
use hxa_domain::grants::{InviteRequest, RotationRequest, TicketRequest, TokenRequest};
use hxa_domain::keys::KeyRequest;
use hxa_domain::login::{LoginRequest, OldLoginRequest};
use hxa_domain::message::{ChannelMessageDraft, DirectMessageDraft, ThreadMessageDraft};
use hxa_domain::orgs::{JoinDecision, OrgDraft, OrgFounding, OrgPatch, RoleChange};
use hxa_domain::people::{LinkRequest, PasswordChange, PersonDraft, PersonPatch};
use hxa_domain::profile::{MetadataChange, ProfilePatch, RegisterRequest, Renaming};
use hxa_domain::settings::SettingsPatch;
use hxa_domain::thread::{Invitation, Labelling, OrgInvitation, OrgThreadPatch, ThreadDraft, ThreadPatch};
use hxa_domain::webhook::{Rotation, WebhookPatch};
use utoipa::ToSchema;

use super::*;

#[test]
fn objects_arrays_and_nothing_are_bodies() {
    assert_eq!(parse(b"{\"a\":1}").unwrap().len(), 1);
    assert!(parse(b"[1,2]").unwrap().is_empty());
    assert!(parse(b"").unwrap().is_empty());
    assert_eq!(parse("\u{feff}{\"a\":1}".as_bytes()).unwrap().len(), 1);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for bad in ["{", " ", "null", "7", "\"a\"", "{\"a\":1}{}", "\u{feff}\u{feff}{}", "{\"a\":\"\\ud800\"}", &deep] {
        assert!(parse(bad.as_bytes()).is_err(), "{bad:.20}");
    }
    assert!(parse(b"{\"\xff\":1}").is_err());
}

type Reader = fn(Fields) -> ApiResult<()>;

fn reader<D: Draft + ToSchema>() -> (String, Reader) {
    (D::name().into_owned(), |mut fields| D::read(&mut fields).map(drop))
}

/// Every type that a body is read as, by its name in the document.
fn readers() -> HashMap<String, Reader> {
    let readers = [
        reader::<ArtifactDraft>(),
        reader::<ArtifactUpdate>(),
        reader::<ChannelDraft>(),
        reader::<ChannelMessageDraft>(),
        reader::<DirectMessageDraft>(),
        reader::<Invitation>(),
        reader::<InviteRequest>(),
        reader::<JoinDecision>(),
        reader::<KeyRequest>(),
        reader::<Labelling>(),
        reader::<LinkRequest>(),
        reader::<LoginRequest>(),
        reader::<MetadataChange>(),
        reader::<OldLoginRequest>(),
        reader::<OrgDraft>(),
        reader::<OrgFounding>(),
        reader::<OrgInvitation>(),
        reader::<OrgPatch>(),
        reader::<OrgThreadPatch>(),
        reader::<PasswordChange>(),
        reader::<PersonDraft>(),
        reader::<PersonPatch>(),
        reader::<ProfilePatch>(),
        reader::<RegisterRequest>(),
        reader::<Renaming>(),
        reader::<RoleChange>(),
        reader::<Rotation>(),
        reader::<RotationRequest>(),
        reader::<SettingsPatch>(),
        reader::<ThreadDraft>(),
        reader::<ThreadMessageDraft>(),
        reader::<ThreadPatch>(),
        reader::<TicketRequest>(),
        reader::<TokenRequest>(),
        reader::<WebhookPatch>(),
    ];
    readers.into_iter().collect()
}

#[test]
fn every_example_of_a_body_is_read_as_its_type() {
    let document = serde_json::to_value(crate::feature::Features::new(&[]).document()).unwrap();
    let (schemas, mut readers) = (&document["components"]["schemas"], readers());
    let mut unused: Vec<String> = readers.keys().cloned().collect();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    for (operation, described) in operations {
        let content = &described["requestBody"]["content"]["application/json"];
        if content.is_null() {
            continue;
        }
        let name = content["schema"]["$ref"].as_str().and_then(|target| target.rsplit('/').next());
        let name = name.unwrap_or_else(|| panic!("{operation}: the body has no type"));
        assert!(schemas[name].is_object(), "{operation}: {name} is not in the document");
        let read = readers.get_mut(name).unwrap_or_else(|| panic!("{operation}: nothing reads {name}"));
        unused.retain(|other| other != name);
        let several = content["examples"].as_object().into_iter().flatten().map(|(_, example)| &example["value"]);
        let mut count = 0;
        for example in [&content["example"]].into_iter().filter(|one| !one.is_null()).chain(several) {
            count += 1;
            let outcome = read(example.as_object().unwrap().clone());
            assert!(outcome.is_ok(), "{operation}: {example} is refused: {outcome:?}");
        }
        assert!(count > 0, "{operation}: the body has no example");
    }
    assert!(unused.is_empty(), "no route takes {unused:?}");
}

#[test]
fn the_document_has_every_operation_of_the_socket() {
    let document = serde_json::to_value(crate::feature::Features::new(&[]).document()).unwrap();
    let schemas = &document["components"]["schemas"];
    let operations = schemas["Op"]["oneOf"].as_array().unwrap();
    assert_eq!(operations.len(), hxa_domain::operation::SocketOperation::ALL.len());
    for (kind, target) in schemas["Op"]["discriminator"]["mapping"].as_object().unwrap() {
        let name = target.as_str().unwrap().rsplit('/').next().unwrap();
        assert_eq!(schemas[name]["properties"]["type"]["enum"][0], *kind);
        assert_eq!(schemas[name]["required"][0], "type");
    }
}
