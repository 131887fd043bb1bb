//! Tickets for event streams: a browser cannot send headers with an event stream, and a ticket in the address is used up before a
//! log can leak it. The caller makes the texts.

use std::collections::HashMap;

use crate::rules::limits;
use crate::rules::names::Namespace;

/// The tickets that wait for their use.
#[derive(Debug, Clone, Default)]
pub struct Tickets(HashMap<String, Ticket>);

#[derive(Debug, Clone)]
struct Ticket {
    namespace: Namespace,
    expires_at: i64,
}

impl Tickets {
    /// Issues a ticket; `false` where the namespace has too many that wait.
    pub fn issue(&mut self, ticket: String, namespace: Namespace, now: i64) -> bool {
        self.0.retain(|_, known| known.expires_at > now);
        let waiting = self.0.values().filter(|known| known.namespace == namespace).count();
        let is_free = waiting < limits::TICKETS;
        if is_free {
            self.0.insert(ticket, Ticket { namespace, expires_at: now.saturating_add(limits::TICKET_MS) });
        }
        is_free
    }

    /// Uses a ticket up. `None` where it is unknown, used or expired.
    pub fn redeem(&mut self, ticket: &str, now: i64) -> Option<Namespace> {
        self.0.remove(ticket).filter(|known| known.expires_at > now).map(|known| known.namespace)
    }

    /// Forgets the tickets of a namespace whose token changed.
    pub fn revoke(&mut self, namespace: &Namespace) {
        self.0.retain(|_, known| known.namespace != *namespace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_used_once_and_soon() {
        let (mut tickets, home) = (Tickets::default(), Namespace::default_name());
        assert!(tickets.issue("a".to_owned(), home.clone(), 0));
        assert!(tickets.issue("b".to_owned(), home.clone(), 0));
        assert!(tickets.issue("c".to_owned(), home.clone(), 0));
        assert_eq!(tickets.redeem("a", 29_999), Some(home.clone()));
        assert_eq!(tickets.redeem("a", 29_999), None);
        assert_eq!(tickets.redeem("b", 30_000), None);
        tickets.revoke(&home);
        assert_eq!(tickets.redeem("c", 1), None);
    }

    #[test]
    fn a_namespace_has_a_limited_number_of_tickets() {
        let (mut tickets, home) = (Tickets::default(), Namespace::default_name());
        let issued = (0..2_000).filter(|n| tickets.issue(n.to_string(), home.clone(), 0)).count();
        assert_eq!(issued, limits::TICKETS);
        assert!(tickets.issue("x".to_owned(), Namespace::parse("bob").unwrap(), 0));
        assert!(tickets.issue("y".to_owned(), home, 30_000));
        assert_eq!(tickets.0.len(), 1);
    }
}
