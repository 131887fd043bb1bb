//! A bot that answers every direct message, and every mention in a thread, with what it was told.
//!
//! It goes on where it stopped, through restarts of its own and of the hub. Try it on a demo hub, which prints its URL and
//! its bots' tokens:
//!
//! ```text
//! cargo run -- demo --keep
//! HUB_URL=http://127.0.0.1:… BOT_TOKEN=bot_… cargo run -p hxa-client --example echo_bot
//! ```

#![expect(clippy::print_stdout, reason = "it tells its audience what it does")]

use std::error::Error;

use futures_util::TryStreamExt;
use hxa_client::{Client, Event, FileStore, NewMessage};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let client =
        Client::builder(std::env::var("HUB_URL")?).token(std::env::var("BOT_TOKEN")?).wait_for_rate(true).build()?;
    let me = client.me().await?;
    println!("{} listens", me.name);
    let mut events = match std::env::var("RESUME_FILE") {
        Ok(path) => client.events_from(FileStore::new(path)),
        Err(_) => client.events(),
    };
    while let Some(event) = events.try_next().await? {
        match event {
            Event::Message { message, sender_name, .. } if message.sender_id != me.id => {
                println!("{sender_name}: {}", message.content);
                // The same key for the same message: however often it is dealt with, it is answered once.
                let idempotency_key = Some(format!("echo-{}", message.id));
                let answer = NewMessage { content: Some(message.content), idempotency_key, ..NewMessage::default() };
                client.send(&message.sender_id, answer).await?;
            }
            Event::ThreadMessage { thread_id, message }
                if message.mentions_bot(&me.id) && message.sender_id.as_ref() != Some(&me.id) =>
            {
                let answer = NewMessage {
                    content: Some(format!("{} said: {}", message.sender_name, message.content.replace('@', ""))),
                    reply_to: Some(message.id.clone()),
                    idempotency_key: Some(format!("echo-{}", message.id)),
                    ..NewMessage::default()
                };
                client.send_to_thread(&thread_id, answer).await?;
            }
            Event::Disconnected { reason } => println!("{reason}"),
            Event::Gap { since } => println!("missed events since {since}"),
            _ => {}
        }
    }
    Ok(())
}
