//! Names of methods: `<id>:<name>`, with the id of a session or machine.

use std::fmt;

/// A method of a session or machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Method {
    /// The session or machine.
    pub id: String,
    /// The name.
    pub name: String,
}

impl Method {
    /// Takes a name apart at its first colon, since ids have none. `None` where a part is empty.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, name) = text.split_once(':')?;
        let is_whole = !id.is_empty() && !name.is_empty();
        is_whole.then(|| Self { id: id.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_at_the_first_colon() {
        let method = Method::parse("s1:permission").unwrap();
        assert_eq!((method.id.as_str(), method.name.as_str()), ("s1", "permission"));
        assert_eq!(Method::parse("s1:a:b").unwrap().to_string(), "s1:a:b");
        for bad in ["", "permission", ":permission", "s1:"] {
            assert_eq!(Method::parse(bad), None);
        }
    }
}
