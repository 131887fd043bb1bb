//! The people of an organisation in memory, found by their id, by their handle in any case, and by their user in Slack.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::OrgState;
use hxa_domain::ids::PersonId;
use hxa_domain::people::{PersonRole, handle_key};
use hxa_store::rows::PersonRow;

/// A person as of the newest commit; replaced as a whole when it changes.
#[derive(Debug)]
pub struct Person {
    /// Identity.
    pub id: PersonId,
    /// The stored row.
    pub row: PersonRow,
}

impl Person {
    /// What it is called by others.
    #[must_use]
    pub fn handle(&self) -> &str {
        &self.row.handle
    }

    /// What it may do.
    #[must_use]
    pub fn role(&self) -> PersonRole {
        self.row.role
    }

    /// True unless it is disabled.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.row.is_disabled
    }

    /// True for one that has the rights of the organisation's secret now.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.is_active() && self.role().is_admin()
    }
}

/// The people; the order of their ids is that of their creation.
#[derive(Default)]
pub struct PeopleBook {
    by_id: BTreeMap<PersonId, Arc<Person>>,
    by_handle: HashMap<String, PersonId>,
    by_slack: HashMap<String, PersonId>,
}

impl PeopleBook {
    fn remove(&mut self, id: PersonId) {
        let Some(person) = self.by_id.remove(&id) else { return };
        self.by_handle.remove(&person.row.handle_key);
        if let Some(user) = &person.row.slack_user_id {
            self.by_slack.remove(user);
        }
    }

    fn put(&mut self, row: PersonRow) {
        self.remove(row.id);
        self.by_handle.insert(row.handle_key.clone(), row.id);
        if let Some(user) = &row.slack_user_id {
            self.by_slack.insert(user.clone(), row.id);
        }
        self.by_id.insert(row.id, Arc::new(Person { id: row.id, row }));
    }
}

impl OrgState {
    /// A person by id.
    #[must_use]
    pub fn person(&self, id: PersonId) -> Option<Arc<Person>> {
        self.people.read().by_id.get(&id).cloned()
    }

    /// A person by its handle, in any case.
    #[must_use]
    pub fn person_by_handle(&self, handle: &str) -> Option<Arc<Person>> {
        let (key, people) = (handle_key(handle), self.people.read());
        people.by_handle.get(&key).and_then(|id| people.by_id.get(id)).cloned()
    }

    /// A person by its user in Slack.
    #[must_use]
    pub fn person_by_slack(&self, user: &str) -> Option<Arc<Person>> {
        let people = self.people.read();
        people.by_slack.get(user).and_then(|id| people.by_id.get(id)).cloned()
    }

    /// Every person, oldest first.
    #[must_use]
    pub fn people(&self) -> Vec<Arc<Person>> {
        self.people.read().by_id.values().cloned().collect()
    }

    /// How many people there are.
    #[must_use]
    pub fn person_count(&self) -> usize {
        self.people.read().by_id.len()
    }

    /// Inserts or replaces a person.
    pub fn put_person(&self, row: PersonRow) {
        self.people.write().put(row);
    }

    /// Removes a person.
    pub fn remove_person(&self, id: PersonId) {
        self.people.write().remove(id);
        self.budgets.forget(id.uuid());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hxa_domain::ids::OrgId;

    fn row(n: i64, handle: &str, slack: Option<&str>) -> PersonRow {
        PersonRow {
            id: PersonId::at(n),
            org_id: OrgId::at(1),
            handle: handle.to_owned(),
            handle_key: handle_key(handle),
            display_name: handle.to_owned(),
            role: PersonRole::Responder,
            slack_user_id: slack.map(str::to_owned),
            password_hash: None,
            is_disabled: false,
            created_at: n,
            updated_at: n,
        }
    }

    #[test]
    fn a_replaced_person_is_found_by_what_it_is_now() {
        let mut book = PeopleBook::default();
        let (dora, emil) = (row(1, "Dora", Some("U1")), row(2, "emil", None));
        let id = dora.id;
        book.put(emil);
        book.put(dora.clone());
        book.put(PersonRow { slack_user_id: Some("U2".to_owned()), ..dora });
        assert_eq!((book.by_slack.get("U1"), book.by_slack.get("U2")), (None, Some(&id)));
        assert_eq!(book.by_handle.get("dora"), Some(&id));
        let handles: Vec<&str> = book.by_id.values().map(|person| person.handle()).collect();
        assert_eq!(handles, ["Dora", "emil"], "in the order of creation");
        book.remove(id);
        assert_eq!((book.by_id.len(), book.by_handle.len(), book.by_slack.len()), (1, 1, 0));
    }
}
