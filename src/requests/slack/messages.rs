//! What Slack shows of a request: the message that asks, and what takes its place when it is over.
//!
//! Everything that an agent or a person wrote is escaped and cut; keys of options are never sent along, since an agent
//! chooses them and they have any length: a button names its option by its place. What follows from a click is decided
//! by the request's own rules, whatever the button said.

use hxa_slack::text::{code, cut_mrkdwn, escape_within, link};
use hxa_slack::{Block, Button, Message, Style};

/// The action of the button that approves.
const APPROVE: &str = "hcp_approve";
/// The action of the button that rejects.
const REJECT: &str = "hcp_reject";
/// What the actions of options begin with; their place follows, from 0 on.
const OPTION: &str = "hcp_option_";
/// Options beyond these are chosen in the portal.
const MOST_OPTIONS: usize = 5;

/// Most characters of a summary in its section, with room for its title.
const SUMMARY: usize = 2900;
/// Most characters of a detail; the whole of it is in the portal.
const DETAIL: usize = 2000;
/// Most characters of names and ids in a line of them.
const NAME: usize = 128;
/// Most characters of a summary in a notification, and in a message that is over.
const SHORT: usize = 300;
/// Most characters of a comment.
const COMMENT: usize = 1000;

/// What a request asks, as texts.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'r> {
    /// The request's id.
    pub id: &'r str,
    /// What kind of answer it wants.
    pub intent: &'r str,
    /// How urgent it is.
    pub urgency: &'r str,
    /// The name of the agent that asks.
    pub agent: &'r str,
    /// What it is about.
    pub summary: &'r str,
    /// More of it.
    pub detail: Option<&'r str>,
    /// The buttons.
    pub buttons: Buttons<'r>,
    /// Where the request is in the portal.
    pub portal: &'r str,
}

/// What can be answered by a click.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buttons<'r> {
    /// Nothing: the portal has the form.
    None,
    /// Approve and reject.
    Approval,
    /// One of these labels; more than five are chosen in the portal.
    Options(&'r [String]),
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended<'r> {
    /// Somebody, or a fallback, decided.
    Decided {
        /// What was decided, such as `approved` or an option's label.
        decision: &'r str,
        /// Who did.
        by: &'r str,
        /// What they said besides.
        comment: Option<&'r str>,
    },
    /// Nobody answered in time.
    TimedOut {
        /// What the agent does now.
        fallback: &'r str,
    },
    /// The request was withdrawn.
    Cancelled {
        /// By whom.
        by: &'r str,
    },
    /// Somebody else is asked now.
    Reassigned {
        /// Who.
        to: &'r str,
    },
    /// Somebody else may answer as well, by another message.
    Delegated {
        /// Who.
        to: &'r str,
    },
}

/// What a click on a button of ours means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Click {
    /// Yes.
    Approve,
    /// No.
    Reject,
    /// The option at this place.
    Option(usize),
}

impl Click {
    /// Reads the action of a click; `None` for a button that is not ours.
    #[must_use]
    pub fn parse(action_id: &str) -> Option<Self> {
        match action_id {
            APPROVE => Some(Self::Approve),
            REJECT => Some(Self::Reject),
            other => {
                let place = other.strip_prefix(OPTION)?;
                // One form each: no sign, no leading zero.
                (0..MOST_OPTIONS).find(|index| index.to_string() == place).map(Self::Option)
            }
        }
    }
}

/// The message that asks.
#[must_use]
pub fn ask(asked: &Asked<'_>) -> Message {
    let mut blocks = vec![
        Block::header(&format!("{} Request", asked.intent)),
        Block::section(facts(asked)),
        Block::section(format!("*Summary*\n{}", escape_within(asked.summary, SUMMARY))),
    ];
    if let Some(detail) = asked.detail.filter(|detail| !detail.trim().is_empty()) {
        blocks.push(Block::section(format!("*Detail*\n{}", escape_within(detail, DETAIL))));
    }
    blocks.extend(buttons(asked));
    blocks.push(Block::section(link(asked.portal, portal_label(asked.buttons))));
    Message::new(notification(asked), blocks)
}

/// What takes the place of the message that asked, without its buttons.
#[must_use]
pub fn over(asked: &Asked<'_>, ended: Ended<'_>) -> Message {
    let outcome = outcome(ended);
    let mut blocks = vec![
        Block::header(&format!("{} Request", asked.intent)),
        Block::section(facts(asked)),
        Block::section(format!("*Summary*\n{}", escape_within(asked.summary, SUMMARY))),
        Block::section(outcome.clone()),
    ];
    if let Ended::Decided { comment: Some(comment), .. } = ended
        && !comment.trim().is_empty()
    {
        blocks.push(Block::section(format!("*Comment*\n{}", escape_within(comment, COMMENT))));
    }
    blocks.push(Block::section(link(asked.portal, "Open in the portal")));
    Message::new(format!("{}: {}", notification(asked), outcome), blocks)
}

/// What the person who clicked is told when the click changed nothing.
#[must_use]
pub fn told(text: &str) -> Message {
    Message::new(escape_within(text, SHORT), Vec::new())
}

fn notification(asked: &Asked<'_>) -> String {
    let [intent, agent] = [asked.intent, asked.agent].map(|text| escape_within(text, NAME));
    format!("[HCP] {intent} request from {agent}: {}", escape_within(asked.summary, SHORT))
}

fn facts(asked: &Asked<'_>) -> String {
    let urgency = escape_within(asked.urgency, NAME);
    let [agent, id] = [asked.agent, asked.id].map(|text| code(text, NAME));
    format!(":{}: *Urgency:* {urgency}\n*Agent:* {agent}\n*ID:* {id}", emoji(asked.urgency))
}

fn emoji(urgency: &str) -> &'static str {
    match urgency {
        "CRITICAL" => "rotating_light",
        "HIGH" => "warning",
        "MEDIUM" => "large_blue_circle",
        "LOW" => "white_circle",
        _ => "grey_question",
    }
}

fn buttons(asked: &Asked<'_>) -> Option<Block> {
    let button = |label: &str, action: String| Button::new(label, action, asked.id);
    let buttons = match asked.buttons {
        Buttons::None => return None,
        Buttons::Approval => vec![
            button("Approve", APPROVE.to_owned()).with_style(Style::Primary),
            button("Reject", REJECT.to_owned()).with_style(Style::Danger),
        ],
        Buttons::Options(labels) => {
            let labels = labels.iter().take(MOST_OPTIONS).enumerate();
            labels.map(|(index, label)| button(label, format!("{OPTION}{index}"))).collect()
        }
    };
    Some(Block::actions(format!("hcp_actions_{}", asked.id), buttons))
}

fn portal_label(buttons: Buttons<'_>) -> &'static str {
    match buttons {
        Buttons::None => "Answer in the portal",
        Buttons::Options(labels) if labels.len() > MOST_OPTIONS => "More options in the portal",
        Buttons::Approval | Buttons::Options(_) => "Open in the portal",
    }
}

fn outcome(ended: Ended<'_>) -> String {
    let name = |text: &str| escape_within(text, NAME);
    let line = match ended {
        Ended::Decided { decision, by, .. } => {
            let mark = match decision {
                "approved" => "white_check_mark",
                "rejected" => "x",
                _ => "ballot_box_with_check",
            };
            format!(":{mark}: *Answered:* {} by {}", escape_within(decision, SHORT), name(by))
        }
        Ended::TimedOut { fallback } => format!(":hourglass: *Timed out* (fallback {})", name(fallback)),
        Ended::Cancelled { by } => format!(":no_entry_sign: *Cancelled* by {}", name(by)),
        Ended::Reassigned { to } => format!(":arrow_right: *Reassigned* to {}", name(to)),
        Ended::Delegated { to } => format!(":arrow_right: *Delegated* to {}", name(to)),
    };
    cut_mrkdwn(&line.replace('\n', " "), SHORT + 2 * NAME)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "01JCXS9F0000000000000000AB";

    fn asked() -> Asked<'static> {
        Asked {
            id: ID,
            intent: "APPROVAL",
            urgency: "HIGH",
            agent: "ada",
            summary: "Deploy 1.4?",
            detail: Some("All tests pass."),
            buttons: Buttons::Approval,
            portal: "https://hub.example/portal/?responder_id=dora&request_id=1",
        }
    }

    fn blocks(message: &Message) -> Vec<Value> {
        message.blocks().iter().map(|block| serde_json::to_value(block).unwrap()).collect()
    }

    fn texts(message: &Message) -> Vec<String> {
        let texts = blocks(message).into_iter().filter_map(|block| Some(block["text"]["text"].as_str()?.to_owned()));
        texts.collect()
    }

    fn elements(message: &Message) -> Vec<Value> {
        let actions = blocks(message).into_iter().find(|block| block["type"] == "actions");
        actions.map(|block| block["elements"].as_array().unwrap().clone()).unwrap_or_default()
    }

    #[test]
    fn a_request_has_the_blocks_that_were_promised_in_their_order() {
        let message = ask(&asked());
        assert_eq!(message.text(), "[HCP] APPROVAL request from ada: Deploy 1.4?");
        let wanted = [
            "APPROVAL Request".to_owned(),
            format!(":warning: *Urgency:* HIGH\n*Agent:* `ada`\n*ID:* `{ID}`"),
            "*Summary*\nDeploy 1.4?".to_owned(),
            "*Detail*\nAll tests pass.".to_owned(),
            "<https://hub.example/portal/?responder_id=dora&amp;request_id=1|Open in the portal>".to_owned(),
        ];
        assert_eq!(texts(&message), wanted);
        let kinds: Vec<Value> = blocks(&message).iter().map(|block| block["type"].clone()).collect();
        assert_eq!(kinds, ["header", "section", "section", "section", "actions", "section"]);
        let actions = &blocks(&message)[4];
        assert_eq!(actions["block_id"], format!("hcp_actions_{ID}"));
        let button = |label: &str, action: &str, style: &str| {
            json!({ "type": "button", "text": { "type": "plain_text", "text": label, "emoji": false },
                "action_id": action, "value": ID, "style": style })
        };
        let wanted = [button("Approve", "hcp_approve", "primary"), button("Reject", "hcp_reject", "danger")];
        assert_eq!(elements(&message), wanted);
    }

    #[test]
    fn urgencies_have_their_signs() {
        for (urgency, sign) in [
            ("CRITICAL", "rotating_light"),
            ("HIGH", "warning"),
            ("MEDIUM", "large_blue_circle"),
            ("LOW", "white_circle"),
            ("other", "grey_question"),
        ] {
            let message = ask(&Asked { urgency, ..asked() });
            let line = format!(":{sign}: *Urgency:* {urgency}\n");
            assert!(texts(&message)[1].starts_with(&line), "{:?}", texts(&message));
        }
    }

    #[test]
    fn without_detail_or_buttons_their_blocks_are_not_there() {
        for detail in [None, Some(""), Some(" \n")] {
            let message = ask(&Asked { detail, buttons: Buttons::None, ..asked() });
            assert_eq!(message.blocks().len(), 4);
            assert!(elements(&message).is_empty());
            assert!(texts(&message)[3].ends_with("|Answer in the portal>"));
        }
        assert_eq!(ask(&Asked { buttons: Buttons::Options(&[]), ..asked() }).blocks().len(), 5);
    }

    #[test]
    fn options_are_named_by_their_place() {
        let labels = ["one", "two", "three", "four", "five", "six"].map(str::to_owned);
        let message = ask(&Asked { buttons: Buttons::Options(&labels), ..asked() });
        let elements = elements(&message);
        assert_eq!(elements.len(), 5);
        for (index, element) in elements.iter().enumerate() {
            assert_eq!(element["text"]["text"], labels[index]);
            assert_eq!(element["value"], ID);
            assert!(element.get("style").is_none());
            let action = element["action_id"].as_str().unwrap();
            assert_eq!(Click::parse(action), Some(Click::Option(index)));
        }
        assert!(texts(&message).last().unwrap().ends_with("|More options in the portal>"));
        let five = ask(&Asked { buttons: Buttons::Options(&labels[..5]), ..asked() });
        assert!(texts(&five).last().unwrap().ends_with("|Open in the portal>"));
    }

    #[test]
    fn clicks_on_other_buttons_mean_nothing() {
        assert_eq!(Click::parse("hcp_approve"), Some(Click::Approve));
        assert_eq!(Click::parse("hcp_reject"), Some(Click::Reject));
        for other in ["", "hcp_approve ", "HCP_REJECT", "hcp_option_", "hcp_option_5", "hcp_option_-1", "hcp_option_01"]
        {
            assert_eq!(Click::parse(other), None, "{other}");
        }
    }

    #[test]
    fn nothing_that_was_written_takes_effect() {
        let evil = "<!channel> <@U1> & <https://evil.example|portal>";
        let labels = [evil.to_owned()];
        let asked = Asked {
            id: evil,
            intent: evil,
            urgency: evil,
            agent: evil,
            summary: evil,
            detail: Some(evil),
            buttons: Buttons::Options(&labels),
            portal: "https://hub.example/portal/",
        };
        let ends = [
            Ended::Decided { decision: evil, by: evil, comment: Some(evil) },
            Ended::TimedOut { fallback: evil },
            Ended::Cancelled { by: evil },
            Ended::Reassigned { to: evil },
            Ended::Delegated { to: evil },
        ];
        for message in ends.map(|ended| over(&asked, ended)).into_iter().chain([ask(&asked), told(evil)]) {
            let sections: Vec<Value> =
                blocks(&message).into_iter().filter(|block| block["type"] == "section").collect();
            let sections = sections.iter().filter_map(|block| block["text"]["text"].as_str());
            for text in sections.chain([message.text()]) {
                let own = text.replace("<https://hub.example/portal/|", "[");
                assert!(!own.contains('<'), "{text}");
            }
        }
    }

    #[test]
    fn long_texts_are_cut_and_the_rest_stays() {
        let long = "&".repeat(100_000);
        let labels = vec![long.clone(); 5];
        let asked = Asked {
            intent: &long,
            urgency: &long,
            agent: &long,
            summary: &long,
            detail: Some(&long),
            buttons: Buttons::Options(&labels),
            ..asked()
        };
        let message = ask(&asked);
        let texts = texts(&message);
        assert_eq!(texts.len(), 5);
        assert!(texts[1].ends_with(&format!("*ID:* `{ID}`")), "{}", texts[1]);
        for (text, most) in [(&texts[2], SUMMARY + 10), (&texts[3], DETAIL + 10)] {
            assert!(text.ends_with("&amp;…") && text.chars().count() <= most, "{}", text.chars().count());
        }
        assert!(texts[4].ends_with("|Open in the portal>"));
        assert_eq!(elements(&message).len(), 5);
        let ended = over(&asked, Ended::Decided { decision: &long, by: &long, comment: Some(&long) });
        assert!(ended.blocks().len() == 6 && ended.text().chars().count() < 4000);
    }

    #[test]
    fn an_end_is_told_and_takes_the_buttons_away() {
        let decided = |decision, comment| over(&asked(), Ended::Decided { decision, by: "dora", comment });
        let cases = [
            (decided("approved", None), ":white_check_mark: *Answered:* approved by dora"),
            (decided("rejected", None), ":x: *Answered:* rejected by dora"),
            (decided("Blue\ngreen", None), ":ballot_box_with_check: *Answered:* Blue green by dora"),
            (over(&asked(), Ended::TimedOut { fallback: "BLOCK" }), ":hourglass: *Timed out* (fallback BLOCK)"),
            (over(&asked(), Ended::Cancelled { by: "ada" }), ":no_entry_sign: *Cancelled* by ada"),
            (over(&asked(), Ended::Reassigned { to: "emil" }), ":arrow_right: *Reassigned* to emil"),
            (over(&asked(), Ended::Delegated { to: "emil" }), ":arrow_right: *Delegated* to emil"),
        ];
        for (message, line) in cases {
            assert!(elements(&message).is_empty());
            assert_eq!(texts(&message)[3], line);
            assert_eq!(message.text(), format!("[HCP] APPROVAL request from ada: Deploy 1.4?: {line}"));
            assert_eq!(message.blocks().len(), 5);
        }
        assert_eq!(texts(&decided("approved", Some("Go <on>")))[4], "*Comment*\nGo &lt;on&gt;");
        assert_eq!(decided("approved", Some(" ")).blocks().len(), 5);
    }
}
