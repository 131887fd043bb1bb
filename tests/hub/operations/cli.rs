//! The command line: help texts, the configuration commands and what stops a start.

use std::process::Output;

use crate::harness::{Db, ProcessHub, block_on, cli};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Standard output of a run that must succeed.
#[track_caller]
fn printed(args: &[&str]) -> String {
    let output: Output = cli(args);
    assert!(output.status.success(), "{args:?}: {} {}", output.status, text(&output.stderr));
    text(&output.stdout)
}

/// Exit code and what was said on standard error.
#[track_caller]
fn failed(args: &[&str]) -> (i32, String) {
    let output = cli(args);
    assert!(!output.status.success(), "{args:?} succeeded: {}", text(&output.stdout));
    (output.status.code().unwrap(), text(&output.stderr))
}

#[test]
fn help_texts() {
    for (name, args) in [
        ("help", &["--help"][..]),
        ("help_serve", &["serve", "--help"]),
        ("help_migrate", &["migrate", "--help"]),
        ("help_admin", &["admin", "-h"]),
        ("help_admin_org", &["admin", "org", "-h"]),
        ("help_admin_person", &["admin", "person", "-h"]),
        ("help_admin_token", &["admin", "token", "issue", "-h"]),
        ("help_import", &["import", "--help"]),
        ("help_backup", &["backup", "--help"]),
        ("help_restore", &["restore", "--help"]),
        ("help_top", &["top", "--help"]),
        ("help_demo", &["demo", "--help"]),
        ("help_config", &["config", "--help"]),
    ] {
        insta::assert_snapshot!(name, printed(args));
    }
    let version = printed(&["--version"]);
    assert!(version.starts_with("hxa-connect "), "{version}");
}

#[test]
fn the_configuration_can_be_checked_and_printed() {
    printed(&["config", "check"]);
    let shown = printed(&["config", "print"]);
    assert!(!shown.contains("test-admin-secret"), "a secret is shown: {shown}");
    insta::assert_snapshot!("config_print", shown);
}

#[test]
fn mistakes_are_named() {
    let (code, said) = failed(&["fly"]);
    assert!(code == 2 && said.contains("fly"), "{said}");
    let (_, said) = failed(&["serve", "--no-such-flag"]);
    assert!(said.contains("--no-such-flag"), "{said}");
}

#[test]
fn migrate_prints_what_it_would_do() {
    let shown = printed(&["migrate", "--dry-run"]);
    assert!(shown.contains("identity") && shown.contains("collaboration"), "{shown}");
    printed(&["migrate"]);
}

#[test]
fn top_prints_a_frame_of_a_running_hub_and_says_why_it_cannot() {
    block_on(async {
        let process = ProcessHub::fresh(Db::Sqlite).await.unwrap();
        let [ada, bob] = process.hub.with_org("a").await.bots(["ada", "bob"]).await;
        let _sockets = [ada.socket().await, bob.socket().await];
        ada.send(&bob, "hello").await.ok();
        let url = process.hub.url().to_owned();
        let shown = printed(&["top", "--once", "--url", &url]);
        let row =
            |label: &str| shown.lines().find(|line| line.contains(label)).unwrap_or_else(|| panic!("{label}: {shown}"));
        assert!(row("HXA Connect").contains(&url) && row("HXA Connect").contains("up"), "{shown}");
        assert!(row("bot_token").contains(" 2 "), "{shown}");
        assert!(row("p99").contains(" ms"), "{shown}");
        assert!(!shown.contains('\u{1b}'), "a plain frame steers no terminal");
        let (_, said) = failed(&["top", "--once", "--url", &format!("{url}/nowhere")]);
        assert!(said.contains("answered with status 401"), "{said}");
        for (wrong, part) in [("http://127.0.0.1:1", "refused"), ("ftp://x", "http://"), ("::", "not the URL of a hub")]
        {
            let (code, said) = failed(&["top", "--once", "--url", wrong]);
            assert!(code == 1 && said.contains(part), "{wrong}: {said}");
        }
    });
}

#[test]
fn the_openapi_document_is_printed() {
    let document: serde_json::Value = serde_json::from_str(&printed(&["openapi"])).unwrap();
    assert!(document["paths"].as_object().unwrap().len() > 10);
}

#[test]
fn the_demo_shows_every_step_and_leaves_nothing_behind() {
    let shown = printed(&["demo"]);
    for step in [
        "creates the organisation",
        "bob      <- message from ada",
        "ada      <- message from bob",
        "bob      <- thread_message from cleo that mentions bob",
        "refused, REVISION_CONFLICT",
        "cleo     <- thread_updated: status reviewing",
        "notes.md/versions: 3 versions",
        "ada      <- bot_offline: cleo",
        "catchup/count: 1 thread, 1 channel with news",
        "thread_message_summary, 2 new",
        "cleo     <- thread_updated: status resolved",
        "Every step happened.",
    ] {
        assert!(shown.contains(step), "`{step}` is missing in {shown}");
    }
    let folder = shown.split_whitespace().find(|word| word.contains("hxa-connect-demo-")).unwrap();
    assert!(!std::path::Path::new(folder.trim_end_matches('.')).exists(), "{folder} is still there");
}
