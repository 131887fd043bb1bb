//! The permission matrix: every route of the OpenAPI document, called by every kind of caller, against one table of
//! statuses. A route that is new in the document makes the table differ, so nobody can forget to decide who may call it.
//!
//! The calls go to ids that do not exist and carry no body, so a permitted caller gets 400 or 404 and changes little; the
//! few routes that would succeed and destroy the caller come last.

use crate::harness::*;

on_both_databases! { matrix }

async fn matrix(hub: TestHub) {
    let document = hub.anonymous().get("/openapi.json").await.ok();
    let mut routes: Vec<(String, String)> = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            routes.push((path.clone(), method.to_uppercase()));
        }
    }
    routes.sort_unstable();
    let mut table = String::new();
    for (path, method) in &routes {
        // With sessions of its own, since some calls end everybody's.
        let callers = callers(&TestHub::at(hub.url())).await;
        let mut row = format!("{method:6} {path:62}");
        for (name, caller) in &callers {
            let reply = caller.call(method, &concrete(path)).await;
            assert!(reply.status < 500 || reply.status == 503, "{method} {path} by {name}: {}", reply.text);
            row.push_str(&format!(" {name}={}", reply.status));
        }
        table.push_str(row.trim_end());
        table.push('\n');
    }
    insta::assert_snapshot!("permission_matrix", table);
}

/// One caller of each kind, in an organisation of its own, since some calls destroy the caller.
async fn callers(hub: &TestHub) -> Vec<(&'static str, Caller)> {
    let org = hub.with_org("matrix").await;
    let (member, boss) = (org.bot("member").await, org.admin_bot("boss").await);
    let mut callers = vec![("nobody", hub.anonymous())];
    for scope in ["read", "thread", "message", "profile"] {
        callers.push((scope, (*member.scoped(&[scope]).await).clone()));
    }
    callers.push(("human", (*member.human("Ann").await).clone()));
    callers.push(("member", (*member).clone()));
    callers.push(("boss", (*boss).clone()));
    callers.push(("org_admin", (*org).clone()));
    callers.push(("super_admin", hub.super_admin().await.clone()));
    callers
}

/// The path with something absent in place of each parameter.
fn concrete(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { NOBODY } else { part }).collect::<Vec<_>>().join("/")
}
