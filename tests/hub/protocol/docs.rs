//! The documentation against the program: links lead somewhere, named files and functions exist, tables are complete.
//!
//! The table of settings is generated: when it is out of date, the test prints what belongs between its markers.

use std::collections::BTreeSet;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use hxa_connect::domain::error::ErrorCode;
use hxa_connect::domain::operation::SocketOperation;
use hxa_connect::domain::scope::{EVENTS, Need, Scope};
use hxa_connect::features::FEATURES;
use hxa_connect::hub::config::{Config, SETTINGS, Setting};
use hxa_connect::store::metrics::Metrics;
use serde_json::Value;

const DOCS: [&str; 8] = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/ARCHITECTURE.md",
    "docs/PROTOCOL.md",
    "docs/COORDINATION.md",
    "docs/OPERATIONS.md",
    "docs/PERFORMANCE.md",
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn doc(path: &str) -> String {
    read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands between an opening and the next closing mark, everywhere in a text.
fn between<'t>(text: &'t str, open: &str, close: &str) -> Vec<&'t str> {
    text.split(open).skip(1).filter_map(|rest| rest.split_once(close).map(|(inside, _)| inside)).collect()
}

/// The `code` in running text, without the fenced blocks.
fn code_spans(text: &str) -> Vec<String> {
    let prose: String = text.split("```").step_by(2).collect();
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn sources(folder: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
}

/// GitHub's anchor of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    for path in DOCS {
        let text = doc(path);
        for target in between(&text, "](", ")") {
            if target.starts_with("http") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let base = root().join(path);
            let linked = if file.is_empty() { base } else { base.parent().unwrap().join(file) };
            assert!(linked.exists(), "{path} links to {target}");
            if !heading.is_empty() {
                let linked = read_to_string(linked).unwrap();
                let mut headings = linked.lines().filter(|line| line.starts_with('#'));
                let found = headings.any(|line| anchor(line.trim_start_matches('#')) == heading);
                assert!(found, "{path} links to {target}, which has no such heading");
            }
        }
    }
}

#[test]
fn every_file_named_in_the_docs_exists() {
    for path in DOCS {
        for named in code_spans(&doc(path)) {
            let folders = ["src/", "tests/", "docs/", "scripts/", "migrations/", "config/", ".ci/"];
            let is_path = folders.iter().any(|folder| named.starts_with(folder));
            let is_pattern = named.contains(['<', '*', ' ', '…']);
            if is_path && !is_pattern {
                assert!(root().join(&named).exists(), "{path} names `{named}`");
            }
        }
    }
}

/// In ARCHITECTURE a function follows its file: `src/hub/thread.rs` `run`, or with its type, `Frame::parse`.
#[test]
fn every_function_named_in_the_architecture_is_in_its_file() {
    let (mut file, mut checked) = (None, 0);
    for named in code_spans(&doc("docs/ARCHITECTURE.md")) {
        if named.ends_with(".rs") {
            file = Some((named.clone(), read_to_string(root().join(&named)).unwrap()));
        } else if let Some(function) = named.strip_suffix("()") {
            let (path, text) = file.as_ref().unwrap_or_else(|| panic!("`{named}` stands before any file"));
            let (owner, function) = function.rsplit_once("::").unwrap_or(("", function));
            let declared = [format!("fn {function}("), format!("fn {function}<")];
            assert!(declared.iter().any(|declared| text.contains(declared)), "`{named}` is not in {path}");
            assert!(text.contains(owner), "`{owner}` is not in {path}");
            checked += 1;
        }
    }
    assert!(checked > 30, "only {checked} functions were found in the walks");
}

fn row(setting: &Setting) -> String {
    let default = (setting.show)(&Config::default()).filter(|value| value != "\"\"");
    let default = default.map_or_else(String::new, |value| format!("`{value}`"));
    let doc: Vec<&str> = setting.doc.iter().map(|line| line.trim()).collect();
    let env: Vec<String> = setting.env.iter().map(|name| format!("`{name}`")).collect();
    format!(
        "| `{}` | `--{}` | {} | {default} | {} |\n",
        setting.name(),
        setting.flag,
        env.join(", "),
        doc.join(" ").replace('|', "\\|")
    )
}

fn table(settings: &[&Setting]) -> String {
    let head = "| setting | flag | environment | default | what it does |\n|---|---|---|---|---|\n";
    head.to_owned() + &settings.iter().map(|setting| row(setting)).collect::<String>()
}

#[test]
fn the_tables_of_settings_are_current() {
    for path in ["README.md", "docs/OPERATIONS.md"] {
        let text = doc(path);
        let tables = between(&text, "<!-- settings: ", "<!-- end of settings -->");
        assert!(!tables.is_empty(), "{path} has no table of settings");
        for table_text in tables {
            let (names, shown) = table_text.split_once(" -->\n").unwrap();
            let wanted: Vec<&Setting> = match names {
                "all" => SETTINGS.iter().collect(),
                names => names
                    .split(' ')
                    .map(|name| SETTINGS.iter().find(|setting| setting.name() == name).expect(name))
                    .collect(),
            };
            let expected = table(&wanted);
            assert!(shown == expected, "the table in {path} should be:\n{expected}");
        }
    }
}

/// Every `METHOD /path` of the OpenAPI document.
fn routes() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(&FEATURES.document_text()).unwrap();
    let mut routes = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            routes.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    routes
}

#[test]
fn the_readme_calls_routes_that_exist() {
    let (text, routes) = (doc("README.md"), routes());
    let called = between(&text, "$HUB/", "\n");
    assert!(called.len() > 10, "only {called:?}");
    for call in called {
        let path = call.split([' ', '"', '?', ')']).next().unwrap();
        let is_same =
            |(given, known): (&str, &str)| given == known || (given.starts_with('$') && known.starts_with('{'));
        let found = routes.iter().any(|route| {
            let (_, known) = route.split_once(" /").unwrap();
            known.split('/').count() == path.split('/').count() && path.split('/').zip(known.split('/')).all(is_same)
        });
        assert!(found, "README.md calls /{path}, which is no route");
    }
}

#[test]
fn the_protocol_names_every_route() {
    let (text, routes) = (doc("docs/PROTOCOL.md"), routes());
    let missing: Vec<&String> = routes.iter().filter(|route| !text.contains(&format!("| `{route}` |"))).collect();
    assert!(missing.is_empty(), "not in PROTOCOL.md: {missing:?}");
    let methods = ["GET ", "POST ", "PUT ", "PATCH ", "DELETE "];
    for line in text.lines() {
        let Some(named) = line.strip_prefix("| `").and_then(|rest| rest.split_once('`')) else { continue };
        let is_route = methods.iter().any(|method| named.0.starts_with(method)) && named.0 != "GET /ws";
        assert!(!is_route || routes.contains(named.0), "PROTOCOL.md names `{}`, which is no route", named.0);
    }
}

#[test]
fn the_protocol_names_every_operation_error_and_event() {
    let text = doc("docs/PROTOCOL.md");
    for operation in SocketOperation::ALL.iter().map(|operation| operation.as_str()) {
        assert!(text.contains(&format!("| `{operation}` |")), "the operation {operation}");
    }
    for code in ErrorCode::ALL {
        let line = format!("| `{}` | {} | {} |", code.token(), code.status(), code.meaning());
        assert!(text.contains(&line), "missing: {line}");
    }
    for kind in event_kinds() {
        assert!(text.contains(&format!("| `{kind}` |")), "the event {kind}");
    }
}

/// The rows of the table of scopes, as the tables in the program make them.
fn scope_rows() -> Vec<String> {
    let cell = |table: &[(&str, Need)], need: Need| {
        let names: Vec<String> =
            table.iter().filter(|(_, own)| *own == need).map(|(name, _)| format!("`{name}`")).collect();
        format!(" {} ", names.join(", ")).replace("  ", " ")
    };
    let of = |scope| Need::Of(scope);
    let needs_of_routes: Vec<_> = FEATURES.needs().collect();
    let needs = [Need::Membership, of(Scope::Read), of(Scope::Thread), of(Scope::Message), Need::Upload];
    let needs = needs.into_iter().chain([of(Scope::Profile), of(Scope::Coordinate), of(Scope::Full)]);
    let row = |need: Need| {
        let operations: Vec<_> = SocketOperation::ALL.iter().map(|one| (one.as_str(), one.need())).collect();
        let cells = [&needs_of_routes[..], &operations, &EVENTS].map(|table| cell(table, need));
        format!("| {} |{}|", need.as_str(), cells.join("|"))
    };
    needs.map(row).collect()
}

#[test]
fn the_protocol_says_what_each_scope_covers() {
    let text = doc("docs/PROTOCOL.md");
    for row in scope_rows() {
        assert!(text.contains(&format!("\n{row}\n")), "missing: {row}");
    }
    let named: BTreeSet<&str> = EVENTS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(named, event_kinds().iter().map(String::as_str).collect());
    for (route, _) in FEATURES.needs() {
        assert!(routes().contains(route), "{route} is in the table of scopes, and no route");
    }
}

/// The scopes of operations as the table of operations says it.
#[test]
fn the_table_of_operations_names_their_scopes() {
    for operation in SocketOperation::ALL {
        let text = doc("docs/PROTOCOL.md");
        let line = text.lines().find(|line| line.starts_with(&format!("| `{operation}` |"))).unwrap();
        let scope = line.split('|').nth(3).unwrap().trim();
        let expected = if scope == "organisation admins only" { "any" } else { scope };
        assert_eq!(operation.need().as_str(), expected, "{line}");
    }
}

/// The literal kinds of events in the sources.
fn event_kinds() -> BTreeSet<String> {
    let mut kinds = BTreeSet::new();
    for file in sources("src/hub") {
        let code = read_to_string(file).unwrap();
        let code = code.split("#[cfg(test)]").next().unwrap();
        for call in ["Event::new(", "Event::tagged(", "presence_event("] {
            for arguments in code.split(call).skip(1) {
                let Some(literal) = arguments.trim_start().strip_prefix('"') else { continue };
                kinds.insert(literal.split('"').next().unwrap().to_owned());
            }
        }
    }
    assert!(kinds.len() >= 15, "{kinds:?}");
    kinds
}

#[test]
fn the_protocol_names_every_close_code() {
    let text = doc("docs/PROTOCOL.md");
    for notice in between(&doc("src/hub/fanout/send_queue.rs"), "CloseNotice { code: ", " };") {
        let (code, reason) = notice.split_once(", reason: \"").unwrap();
        let line = format!("| {code} | {} |", reason.trim_end_matches('"'));
        assert!(text.contains(&line), "missing: {line}");
    }
}

/// Every metric that the dashboard asks for exists, none is forgotten, and Grafana can tell the panels apart.
#[test]
fn the_dashboard_shows_every_metric_and_no_other() {
    let board: Value = serde_json::from_str(&doc("docs/grafana/hxa-connect.json")).unwrap();
    let (mut asked, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for panel in board["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_i64().unwrap()), "{title}: its id is taken");
        assert!(panel["gridPos"]["w"].as_i64().unwrap() <= 24, "{title}");
        if panel["type"] == "row" {
            continue;
        }
        assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{title} is not explained");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            for word in words.filter(|word| word.starts_with("hub_")) {
                let bare = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
                assert!(Metrics::NAMES.contains(&bare), "{title} asks for {word}");
                asked.insert(bare.to_owned());
            }
        }
    }
    let all: BTreeSet<String> = Metrics::NAMES.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(asked, all, "the dashboard does not show a metric");
}

#[test]
fn the_operations_name_every_metric() {
    let text = doc("docs/OPERATIONS.md");
    for name in Metrics::NAMES {
        assert!(text.contains(&format!("| `{name}` |")), "the metric {name}");
    }
}
