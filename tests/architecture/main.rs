//! What docs/ARCHITECTURE.md says of the structure, held against the code: which crate may know which, and that modules
//! depend on each other in one direction.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests state what must hold and stop where it does not"
)]

mod modules;
mod workspace;

use modules::Modules;
use workspace::Workspace;

/// The crates of the hub and those of the workspace that each may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("hxa-client", &[]),
    ("hxa-domain", &[]),
    // Not a feature: what features that post to Slack share. They may know it, and no layer does.
    ("hxa-slack", &["hxa-domain"]),
    // The rules alone so far; store, actors and routes come on top of them.
    ("hxa-agents", &["hxa-domain"]),
    // A protocol, which knows no hub: what speaks it is a feature's business.
    ("hxa-socketio", &[]),
    ("hxa-store", &["hxa-domain"]),
    ("hxa-hub", &["hxa-domain", "hxa-store"]),
    ("hxa-web", &["hxa-domain", "hxa-hub", "hxa-store"]),
    ("hxa-files", &KERNEL),
    ("hxa-requests", &["hxa-domain", "hxa-hub", "hxa-slack", "hxa-store", "hxa-web"]),
    ("hxa-dashboard", &KERNEL),
    (
        "hxa-connect",
        &["hxa-client", "hxa-dashboard", "hxa-domain", "hxa-files", "hxa-hub", "hxa-requests", "hxa-store", "hxa-web"],
    ),
    ("hxa-load", &["hxa-client", "hxa-domain", "hxa-store"]),
];

/// What a feature may know: the layers below it, and no other feature.
const KERNEL: [&str; 4] = ["hxa-domain", "hxa-hub", "hxa-store", "hxa-web"];

/// Who may speak SQL (the domain only says how its types are stored), who may serve HTTP and who may call it, and which libraries
/// belong to one feature.
const OUTSIDE: &[(&str, &[&str])] = &[
    ("diesel", &["hxa-domain", "hxa-store", "hxa-load", "hxa-files", "hxa-requests"]),
    ("actix-web-actors", &["hxa-web", "hxa-socketio"]),
    ("utoipa", &["hxa-domain", "hxa-hub", "hxa-web", "hxa-files", "hxa-requests", "hxa-agents"]),
    ("actix-multipart", &["hxa-files"]),
    ("infer", &["hxa-files"]),
    ("reqwest", &["hxa-client", "hxa-hub", "hxa-slack"]),
    ("tokio-tungstenite", &["hxa-client"]),
];

#[test]
fn crates_depend_on_those_below_them_alone() {
    let workspace = Workspace::read();
    for package in &workspace.packages {
        let allowed = ARROWS.iter().find(|(name, _)| *name == package.name);
        let (_, allowed) =
            allowed.unwrap_or_else(|| panic!("{}: add it to ARROWS and to docs/ARCHITECTURE.md", package.name));
        for known in package.dependencies.iter().filter(|name| workspace.has(name)) {
            assert!(allowed.contains(&known.as_str()), "{} must not know {known}", package.name);
        }
    }
}

#[test]
fn outside_libraries_stay_in_their_layer() {
    for package in Workspace::read().packages {
        for (library, owners) in OUTSIDE {
            let uses = package.dependencies.iter().any(|name| name == library);
            assert!(!uses || owners.contains(&package.name.as_str()), "{} must not use {library}", package.name);
        }
    }
}

#[test]
fn modules_depend_in_one_direction() {
    let circles = Workspace::read()
        .packages
        .iter()
        .flat_map(|package| &package.roots)
        .flat_map(|root| Modules::read(root).circles())
        .collect::<Vec<_>>();
    assert!(circles.is_empty(), "modules that depend on each other:\n{}", circles.join("\n"));
}

/// The test above passes as well when the search finds nothing at all.
#[test]
fn a_circle_behind_a_re_export_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, code: &str| std::fs::write(folder.path().join(file), code).unwrap();
    write("lib.rs", "mod one; mod re_export; mod two;");
    write("one.rs", "use crate::re_export::Two; pub struct One(Two);");
    write("re_export.rs", "pub use crate::two::Two;");
    write("two.rs", "pub struct Two;");
    let circles = || Modules::read(&folder.path().join("lib.rs")).circles();
    assert_eq!(circles(), Vec::<String>::new());
    write("two.rs", "pub struct Two(Box<crate::one::One>);");
    assert_eq!(circles().len(), 1);
}
