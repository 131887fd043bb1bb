//! What the hub tells a thread of something that happens outside of it: a message of nobody in it, and a change of status.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::state::ThreadState;
use super::update::{self, Updated};
use super::{Applied, Context, ThreadOperation};
use crate::core::call::Operation;
use crate::fanout::event::Event;
use crate::wire::{self, events};
use hxa_domain::budget::WriteClass;
use hxa_domain::error::ApiResult;
use hxa_domain::ids::MessageId;
use hxa_domain::limits::fits_utf16;
use hxa_domain::thread::ThreadStatus;
use hxa_store::rows::ThreadMessageRow;
use hxa_store::{FeatureWrite, Write};

/// What is told. A thread that has ended gets no message, and its status stays.
#[derive(Default)]
pub struct Tell {
    /// From which status to which; nothing where the thread is in another one.
    pub status: Option<(ThreadStatus, ThreadStatus)>,
    /// Content and metadata of a message without a sender; content that is too long is cut.
    pub message: Option<(String, Map<String, Value>)>,
    /// What becomes durable together with it, or refuses it.
    pub with: Option<Box<dyn FeatureWrite>>,
}

impl Operation for Tell {
    type Answer = ();

    fn class(&self) -> Option<WriteClass> {
        None
    }
}

impl ThreadOperation for Tell {
    fn apply(self, thread: &mut ThreadState, context: &mut Context<'_>) -> ApiResult<Applied<()>> {
        let message = self.message.filter(|_| !thread.row.status.is_terminal());
        let (mut writes, mut events) = match self.status {
            Some((from, to)) if thread.row.status == from => {
                let Applied { writes, events, answer: Updated { .. } } =
                    update::set_status_for_hub(thread, context, to);
                (writes, events)
            }
            _ => (Vec::new(), Vec::new()),
        };
        if let Some((content, metadata)) = message {
            let (own, event) = say(thread, context, content, metadata);
            writes.extend(own);
            // What is said explains the change of status, so it comes first.
            events.insert(0, event);
        }
        writes.extend(self.with.map(Write::Feature));
        Ok(Applied { writes, events, answer: () })
    }
}

fn say(
    thread: &mut ThreadState,
    context: &Context<'_>,
    content: String,
    metadata: Map<String, Value>,
) -> (Vec<Write>, Event) {
    let at = thread.next_time(context.now);
    let row = Arc::new(ThreadMessageRow {
        thread_id: thread.id,
        created_at: at,
        id: MessageId::at(at),
        sender_id: None,
        content: cut(content, context.core.config().messages.max_length),
        content_type: "text".to_owned(),
        parts: None,
        metadata: Some(Value::Object(metadata).to_string()),
        mentions: None,
        mention_all: false,
        reply_to_id: None,
        via_socket: false,
    });
    let message = wire::ThreadMessage::new(&row, None, None);
    let event = Event::tagged(
        "thread_message",
        &events::ThreadMessageSent { kind: "thread_message", thread_id: thread.id, message },
        thread.audience(),
    );
    let mut writes = vec![Write::ThreadMessage(row)];
    writes.extend(thread.touch(context.org, at));
    (writes, event)
}

/// The beginning of a text that is longer than `most` UTF-16 units.
fn cut(text: String, most: usize) -> String {
    if fits_utf16(&text, most) {
        return text;
    }
    let mut left = most.saturating_sub(1);
    let fits = |letter: &char| {
        let fits = letter.len_utf16() <= left;
        left = left.saturating_sub(letter.len_utf16());
        fits
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use hxa_domain::limits::utf16_len;

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("abc".to_owned(), 3), "abc");
        assert_eq!(cut("abcd".to_owned(), 3), "ab…");
        assert_eq!(cut("a😀😀".to_owned(), 4), "a😀…");
        assert_eq!(utf16_len(&cut("😀".repeat(100), 50)), 49);
    }
}
