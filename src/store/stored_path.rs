//! Where the bytes of an uploaded file lie within the data folder.
//!
//! A stored path has one form, and nothing of another form is ever opened, written or deleted, wherever the row comes from.
//! The feature that stores files, backups and imports all judge paths here.

use uuid::Uuid;

/// The folder of files, within the data folder and in a backup; stored paths begin with it.
pub const FILES: &str = "files";
/// The folder, within that one, of uploads that are not whole yet; nobody has been told of them.
pub const STAGING: &str = "_tmp";

/// The longest ending of a file's name, without the dot.
const ENDING_CHARS: usize = 10;

/// Where a file lies within the data folder: `files/<organisation>/<bot>/<xx>/<uuid>` and perhaps an ending, where `xx` are the
/// first characters of the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredPath<'a> {
    path: &'a str,
    org: &'a str,
}

impl<'a> StoredPath<'a> {
    /// Reads a path; `None` for everything that no hub writes.
    #[must_use]
    pub fn parse(path: &'a str) -> Option<Self> {
        let mut parts = path.split('/');
        let (files, org, bot) = (parts.next()?, parts.next()?, parts.next()?);
        let (start, name) = (parts.next()?, parts.next()?);
        let (stem, ending) = name.split_once('.').map_or((name, None), |(stem, ending)| (stem, Some(ending)));
        let is_ending = |ending: &str| {
            (1..=ENDING_CHARS).contains(&ending.len()) && ending.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        let is_good = files == FILES
            && [org, bot, stem].into_iter().all(is_uuid)
            && name.get(..2) == Some(start)
            && ending.is_none_or(is_ending)
            && parts.next().is_none();
        is_good.then_some(Self { path, org })
    }

    /// Whether the file is in this organisation's folder.
    #[must_use]
    pub fn is_of(&self, org: &str) -> bool {
        self.org == org
    }

    /// A new path for a file that lies elsewhere; `ending` with its dot, left out when it is none.
    #[must_use]
    pub fn new_for(org: &str, bot: Option<&str>, ending: &str) -> Option<String> {
        let nobody = Uuid::nil().to_string();
        let bare = Self::of(org, bot.filter(|bot| is_uuid(bot)).unwrap_or(&nobody), &Uuid::new_v4().to_string());
        let with_ending = format!("{bare}{ending}");
        [with_ending, bare].into_iter().find(|path| StoredPath::parse(path).is_some())
    }

    /// The path of a bot's file by its name, which is a UUID and perhaps an ending.
    #[must_use]
    pub fn of(org: &str, bot: &str, name: &str) -> String {
        let start = name.get(..2).unwrap_or_default();
        format!("{FILES}/{org}/{bot}/{start}/{name}")
    }
}

/// A UUID as the hub writes it: with dashes, in small letters.
fn is_uuid(text: &str) -> bool {
    text.len() == 36 && Uuid::parse_str(text).is_ok() && !text.bytes().any(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORG: &str = "01890000-0000-7000-8000-000000000001";
    const BOT: &str = "01890000-0000-7000-8000-000000000002";
    const NAME: &str = "01890000-0000-4000-8000-000000000003";

    #[test]
    fn paths_have_one_form() {
        let good = format!("files/{ORG}/{BOT}/01/{NAME}");
        assert!(StoredPath::parse(&good).is_some() && StoredPath::parse(&format!("{good}.txt")).is_some());
        for bad in [
            format!("/{good}"),
            format!("{good}/"),
            format!("./{good}"),
            format!("{good}."),
            format!("{good}.a/b"),
            format!("{good}.tar.gz"),
            format!("files/{ORG}/{BOT}/02/{NAME}"),
            format!("files/{ORG}/{BOT}/{NAME}"),
            format!("files/{ORG}//01/{NAME}"),
            format!("files/{ORG}/../01/{NAME}"),
            good.to_uppercase(),
            format!("files/_tmp/{NAME}"),
            format!("other/{ORG}/{BOT}/01/{NAME}"),
            "files".to_owned(),
            String::new(),
        ] {
            assert_eq!(StoredPath::parse(&bad), None, "{bad}");
        }
        for (bot, ending) in [(Some(BOT), ".txt"), (None, ""), (Some("odd"), "./../x")] {
            let made = StoredPath::new_for(ORG, bot, ending).unwrap();
            assert!(StoredPath::parse(&made).is_some_and(|path| path.is_of(ORG)), "{made}");
        }
        assert_eq!(StoredPath::new_for("../..", None, ""), None);
    }
}
