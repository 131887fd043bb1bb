//! Verifying the hub's webhook requests with the Rust client.

use std::time::Duration;

use hxa_client::{DeliveryQuery, DeliveryStatus, WebhookError, WebhookUpdate, verify_webhook};

use crate::harness::*;
use crate::webhooks::delivery::{SECRET, ada_to_hooked_bob, quick};

on_both_databases! { requests_of_the_hub_are_genuine with quick }

fn verify(post: &Post, body: &str, secret: &str) -> Result<(), WebhookError> {
    let header = |name: &str| post.headers.get(name).map(String::as_str);
    verify_webhook(header, body.as_bytes(), secret, Duration::from_secs(300))
}

async fn requests_of_the_hub_are_genuine(hub: TestHub) {
    let (org, ada, bob, receiver) = ada_to_hooked_bob(&hub).await;
    let (a, b) = (ada.client(), bob.client());
    a.send(&bob.id, "ünï \u{1F600}").await.unwrap();
    let post = receiver.took(1).await.remove(0);
    assert_eq!(verify(&post, &post.text, SECRET), Ok(()));
    assert_eq!(verify(&post, &post.text, "another"), Err(WebhookError::Forged));
    assert_eq!(verify(&post, &post.text.replace("ünï", "uni"), SECRET), Err(WebhookError::Forged));
    let rotated = b.rotate_webhook_secret(None, Some(60)).await.unwrap();
    let new = rotated.secret.expect("the hub makes one");
    assert!(rotated.old_secret_until.is_some());
    a.send(&bob.id, "two").await.unwrap();
    let post = receiver.took(2).await.remove(1);
    for secret in [new.as_str(), SECRET] {
        assert_eq!(verify(&post, &post.text, secret), Ok(()), "{secret}: both sign");
    }
    let admin = org.admin_bot("admin").await.client();
    let page = admin.webhook_deliveries(&bob.id, &DeliveryQuery::default()).await.unwrap();
    let states: Vec<_> = page.items.iter().map(|delivery| (delivery.event.as_str(), delivery.status)).collect();
    assert_eq!(states, [("message", DeliveryStatus::Delivered); 2]);
    let ended = b.update_webhook(&WebhookUpdate { url: Some(None), ..WebhookUpdate::default() }).await.unwrap();
    assert_eq!(ended.url, None);
}
