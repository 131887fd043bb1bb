//! Creating, finding, changing and deleting the people of an organisation.

use hxa_connect::hub::config::Config;

use crate::harness::*;

on_both_databases! {
    people_are_created_found_changed_and_deleted,
    handles_and_slack_users_belong_to_one_person,
    bad_input_is_refused_field_by_field,
    an_organisation_has_room_for_so_many with room_for_two,
    an_admin_cannot_shut_itself_out,
    people_go_with_their_organisation,
}

async fn people_are_created_found_changed_and_deleted(hub: TestHub) {
    let org = hub.with_org("a").await;
    let body = json!({"handle": "Dora", "display_name": "Dora Lindt", "role": "responder", "slack_user_id": "U1"});
    let dora = org.create_person(body).await.status(201);
    let expected = json!({
        "id": dora["id"], "handle": "Dora", "display_name": "Dora Lindt", "role": "responder", "slack_user_id": "U1",
        "has_password": false, "is_disabled": false, "created_at": dora["created_at"], "updated_at": dora["created_at"],
    });
    assert_eq!(dora, expected);
    let emil = org.create_person(json!({"handle": "emil", "role": "viewer"})).await.status(201);
    assert_eq!((&emil["display_name"], &emil["slack_user_id"]), (&json!("emil"), &Value::Null));

    let first = org.get("/api/org/people?limit=1").await.ok();
    assert_eq!((&first["items"], &first["has_more"]), (&json!([dora]), &json!(true)));
    let rest = org.get(format!("/api/org/people?limit=1&cursor={}", first.text("next_cursor"))).await.ok();
    assert_eq!((&rest["items"], &rest["has_more"]), (&json!([emil]), &json!(false)));
    assert_eq!(org.get("/api/org/people?handle=DORA").await.ok()["items"], json!([dora]));
    assert_eq!(org.get("/api/org/people?handle=nobody").await.ok()["items"], json!([]));
    assert_eq!(org.get(format!("/api/org/people/{}", dora.id())).await.ok(), dora);

    let changed = org.patch_person(&dora, json!({"display_name": "D. Lindt", "slack_user_id": null})).await.ok();
    assert_eq!((&changed["display_name"], &changed["slack_user_id"]), (&json!("D. Lindt"), &Value::Null));
    assert!(changed.int("updated_at") >= dora.int("updated_at"));
    org.patch_person(&dora, json!({"role": "coordinator"})).await.ok();
    org.patch_person(&dora, json!({"is_disabled": true})).await.ok();
    org.patch_person(&dora, json!({"is_disabled": false})).await.ok();
    let unchanged = org.patch_person(&dora, json!({"handle": "other"})).await.ok();
    assert_eq!(unchanged["handle"], "Dora", "a handle never changes");

    assert_eq!(org.delete_person(&dora).await.ok(), json!({"deleted": true}));
    for gone in [org.get(format!("/api/org/people/{}", dora.id())), org.delete_person(&dora)] {
        gone.await.missing();
    }
    org.patch_person(&dora, json!({"role": "viewer"})).await.missing();
    org.post(format!("/api/org/people/{}/link", dora.id()), json!({})).await.missing();
    for action in ["create", "update", "role_change", "disable", "enable", "delete"] {
        let rows = org.audit(&format!("person.{action}")).await;
        let of_dora: Vec<&Value> = rows.iter().filter(|row| row["target_id"] == dora["id"]).collect();
        assert_eq!(of_dora.len(), 1, "person.{action}: {rows:?}");
        assert_eq!((&of_dora[0]["target_type"], &of_dora[0]["bot_id"]), (&json!("person"), &Value::Null));
        assert_eq!(of_dora[0]["detail"]["handle"], "Dora");
    }
    let change = &org.audit("person.role_change").await[0]["detail"];
    assert_eq!((&change["old_role"], &change["role"]), (&json!("responder"), &json!("coordinator")));
    let other = hub.with_org("b").await;
    other.get(format!("/api/org/people/{}", emil.id())).await.missing();
    other.patch_person(&emil, json!({"role": "admin"})).await.missing();
    other.delete_person(&emil).await.missing();
    assert_eq!(other.get("/api/org/people").await.ok()["items"], json!([]));
}

async fn handles_and_slack_users_belong_to_one_person(hub: TestHub) {
    let org = hub.with_org("a").await;
    let create = |handle: &str, slack: Option<&str>| {
        org.create_person(json!({"handle": handle, "role": "viewer", "slack_user_id": slack}))
    };
    let dora = create("Dörte", Some("U1")).await.status(201);
    let emil = create("emil", None).await.status(201);
    for handle in ["Dörte", "dörte", "DÖRTE"] {
        create(handle, None).await.refused(409, "CONFLICT");
    }
    create("third", Some("U1")).await.refused(409, "CONFLICT");
    org.patch_person(&emil, json!({"slack_user_id": "U1"})).await.refused(409, "CONFLICT");
    org.patch_person(&dora, json!({"slack_user_id": "U1"})).await.ok();
    let racing = futures_util::future::join_all((0..8).map(|n| {
        let handle = if n % 2 == 0 { "Frida" } else { "frida" };
        let create = create(handle, None);
        async move { create.await.status }
    }));
    let mut statuses = racing.await;
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    let other = hub.with_org("b").await;
    other.create_person(json!({"handle": "dörte", "role": "viewer", "slack_user_id": "U1"})).await.status(201);
    org.delete_person(&dora).await.ok();
    create("DÖRTE", Some("U1")).await.status(201);
}

async fn bad_input_is_refused_field_by_field(hub: TestHub) {
    let org = hub.with_org("a").await;
    let dora = org.person("dora", "viewer").await;
    let long = "x".repeat(200);
    let wrong = |values: &[Value]| values.to_vec();
    let fields = [
        (
            "handle",
            wrong(&[json!(null), json!(""), json!(7), json!("a b"), json!("a\tb"), json!("a\u{0}"), json!("slack:x")]),
        ),
        ("handle", wrong(&[json!("System:x"), json!("x".repeat(65)), json!({}), json!([])])),
        ("display_name", wrong(&[json!(7), json!({}), json!(long), json!("a\u{0}")])),
        ("role", wrong(&[json!(null), json!("owner"), json!("Admin"), json!(7), json!(["admin"])])),
        (
            "slack_user_id",
            wrong(&[
                json!(""),
                json!("u1"),
                json!("C1"),
                json!("U 1"),
                json!(7),
                json!(format!("U{}", "1".repeat(32))),
            ]),
        ),
    ];
    for (field, values) in fields {
        for value in values {
            let mut body = json!({"handle": "new", "role": "viewer"});
            body[field] = value.clone();
            let said = org.create_person(body).await.invalid();
            assert!(said.text("error").starts_with(field), "{field} = {value}: {said}");
            if field != "handle" && !(field == "display_name" && value == "") {
                let mut change = json!({});
                change[field] = value;
                org.patch_person(&dora, change).await.invalid();
            }
        }
    }
    for value in [json!(null), json!("yes"), json!(1)] {
        org.patch_person(&dora, json!({"is_disabled": value})).await.invalid();
        org.post(format!("/api/org/people/{}/link", dora.id), json!({"reset_password": value})).await.invalid();
    }
    for value in
        [json!(null), json!("123456789"), json!("x".repeat(129)), json!(1_234_567_890), json!("123456789\u{0}")]
    {
        dora.set_password(json!({"password": value})).await.invalid();
    }
    dora.set_password(json!({"password": "long enough", "current_password": 7})).await.invalid();
    let login = |fields: Value| hub.anonymous().post("/api/auth/login", fields);
    let person = json!({"type": "person", "org_id": org.id, "handle": "dora", "password": "p"});
    for field in ["org_id", "handle", "password"] {
        for value in [json!(null), json!(""), json!(7), json!({})] {
            let mut body = person.clone();
            body[field] = value;
            login(body).await.invalid();
        }
    }
    for value in [json!(null), json!(""), json!(7)] {
        login(json!({"type": "person_link", "code": value})).await.invalid();
    }
    for id in ["nobody", NOBODY, "%00", "DORA"] {
        org.get(format!("/api/org/people/{id}")).await.missing();
    }
    org.create_person(json!({"handle": "x".repeat(64), "role": "viewer", "display_name": "n".repeat(128)}))
        .await
        .status(201);
}

fn room_for_two(config: &mut Config) {
    config.limits.people_per_org = 2;
}

async fn an_organisation_has_room_for_so_many(hub: TestHub) {
    let org = hub.with_org("a").await;
    let create = |n: usize| org.create_person(json!({"handle": format!("p{n}"), "role": "viewer"}));
    let racing = futures_util::future::join_all((0..6).map(|n| {
        let create = create(n);
        async move { create.await.status }
    }));
    let created = racing.await.iter().filter(|status| **status == 201).count();
    assert_eq!(created, 2);
    let refused = create(7).await.refused(409, "LIMIT_REACHED");
    assert_eq!((&refused["scope"], &refused["most"]), (&json!("organisation"), &json!(2)));
    let first = org.get("/api/org/people").await.ok()["items"][0].clone();
    org.delete_person(&first).await.ok();
    create(8).await.status(201);
    hub.with_org("b").await.person("dora", "viewer").await;
}

async fn an_admin_cannot_shut_itself_out(hub: TestHub) {
    let org = hub.with_org("a").await;
    let (dora, emil) = (org.person("dora", "admin").await, org.person("emil", "admin").await);
    let own = format!("/api/org/people/{}", dora.id);
    dora.patch(&own, json!({"role": "viewer"})).await.refused(400, "SELF_DEMOTION");
    dora.patch(&own, json!({"is_disabled": true})).await.refused(400, "SELF_DEMOTION");
    dora.delete(&own).await.refused(400, "SELF_DEMOTION");
    dora.patch(&own, json!({"display_name": "D.", "role": "admin"})).await.ok();
    dora.session().await.ok();
    dora.patch(format!("/api/org/people/{}", emil.id), json!({"role": "viewer"})).await.ok();
    emil.session().await.refused(401, "AUTH_REQUIRED");
    let row = &org.audit("person.role_change").await[0];
    assert_eq!((&row["bot_id"], &row["detail"]["changed_by"]), (&json!(format!("person:{}", dora.id)), &row["bot_id"]));
}

async fn people_go_with_their_organisation(hub: TestHub) {
    let (org, other) = (hub.with_org("a").await, hub.with_org("b").await);
    let (dora, emil) = (org.person("dora", "admin").await, other.person("emil", "admin").await);
    let (dora, code) = (dora.with_password("a sentence of dora's").await, org.link(&dora).await);
    let mut socket = dora.socket().await;
    let admin = hub.super_admin().await;
    admin.patch(format!("/api/orgs/{}", org.id), json!({"status": "suspended"})).await.ok();
    assert_eq!(socket.closed().await, 4100);
    dora.get("/api/org").await.refused(403, "ORG_SUSPENDED");
    assert_eq!(dora.session().await.ok()["person"]["handle"], "dora", "a session tells whose it is");
    dora.log_in("a sentence of dora's").await.refused(403, "ORG_INACTIVE");
    admin.patch(format!("/api/orgs/{}", org.id), json!({"status": "active"})).await.ok();
    dora.get("/api/org").await.ok();
    admin.delete(format!("/api/orgs/{}", org.id)).await.status(204);
    dora.get("/api/org").await.refused(401, "SESSION_INVALID");
    dora.log_in("a sentence of dora's").await.refused(401, "INVALID_CREDENTIALS");
    let by_link = hub.anonymous().post("/api/auth/login", json!({"type": "person_link", "code": code}));
    by_link.await.refused(401, "INVALID_CREDENTIALS");
    emil.session().await.ok();
}
