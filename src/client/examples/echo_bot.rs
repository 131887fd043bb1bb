//! A bot that echoes every direct message, and every mention in a thread.
//!
//! With `RESUME_FILE` it resumes where it stopped, after a restart of the bot or of the hub. Try it on a demo hub, which
//! prints its URL and the tokens of its bots:
//!
//! ```text
//! cargo run -- demo --keep
//! HUB_URL=http://127.0.0.1:… BOT_TOKEN=bot_… cargo run -p hxa-client --example echo_bot
//! ```

#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::error::Error;

use futures_util::TryStreamExt;
use hxa_client::{Client, Event, FileStore, NewMessage};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let client =
        Client::builder(std::env::var("HUB_URL")?).token(std::env::var("BOT_TOKEN")?).wait_for_rate(true).build()?;
    let me = client.me().await?;
    println!("{} is listening", me.name);
    let mut events = match std::env::var("RESUME_FILE") {
        Ok(path) => client.events_from(FileStore::new(path)),
        Err(_) => client.events(),
    };
    while let Some(event) = events.try_next().await? {
        match event {
            Event::Message { message, sender_name, .. } if message.sender_id != me.id => {
                println!("{sender_name}: {}", message.content);
                // One key per message: a message that is processed twice is answered once.
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
            Event::Gap { since } => println!("events since {since} were missed"),
            _ => {}
        }
    }
    Ok(())
}
