//! Queries on the people of an organisation and on their login links.
//!
//! People are read with their organisation and stay in memory from then on; changes run in the writer, through the
//! organisation's actor. A link is taken by deleting it, so of two that bring it one comes in.

use diesel::prelude::*;

use super::accounts::has_room;
use super::rows::{PersonLinkRow, PersonRow};
use super::schema::{people, person_links};
use super::{DbConnection, DbError, sessions, tickets};
use hxa_domain::error::{ApiError, ErrorCode};
use hxa_domain::ids::{OrgId, PersonId};
use hxa_domain::people::PersonRole;

/// All people of an organisation, oldest first.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &mut DbConnection, org: OrgId) -> Result<Vec<PersonRow>, DbError> {
    let of_org = people::table.filter(people::org_id.eq(org)).order(people::id);
    Ok(of_org.select(PersonRow::as_select()).load(conn)?)
}

/// One person.
///
/// # Errors
/// When the database fails.
pub fn find(conn: &mut DbConnection, id: PersonId) -> Result<Option<PersonRow>, DbError> {
    Ok(people::table.find(id).select(PersonRow::as_select()).first(conn).optional()?)
}

/// Adds a person to an organisation that may have `most`.
///
/// # Errors
/// `LIMIT_REACHED` when it has; `CONFLICT` when another one has its handle or its user in Slack.
pub fn insert(conn: &mut DbConnection, row: &PersonRow, most: usize) -> Result<(), DbError> {
    let of_org = people::table.filter(people::org_id.eq(row.org_id));
    if !has_room(of_org.count().get_result(conn)?, most) {
        return Err(ApiError::limit_reached("organisation", "people", most).into());
    }
    let taken: i64 = of_org.filter(people::handle_key.eq(&row.handle_key)).count().get_result(conn)?;
    if taken > 0 {
        let sentence = format!("Another person of the organisation has the handle {:?}", row.handle);
        return Err(ApiError::new(ErrorCode::Conflict, sentence).into());
    }
    check_slack_user(conn, row.org_id, row.id, row.slack_user_id.as_deref())?;
    diesel::insert_into(people::table).values(row.clone()).execute(conn)?;
    Ok(())
}

fn check_slack_user(conn: &mut DbConnection, org: OrgId, own: PersonId, user: Option<&str>) -> Result<(), DbError> {
    let Some(user) = user else { return Ok(()) };
    let others = people::table.filter(people::org_id.eq(org)).filter(people::id.ne(own));
    let taken: i64 = others.filter(people::slack_user_id.eq(user)).count().get_result(conn)?;
    if taken == 0 {
        return Ok(());
    }
    let sentence = format!("Another person of the organisation has the Slack user {user}");
    Err(ApiError::new(ErrorCode::Conflict, sentence).into())
}

/// Columns of a person to change; `None` leaves a column as it is.
#[derive(Clone, AsChangeset)]
#[diesel(table_name = people)]
#[expect(missing_docs, reason = "columns of the row")]
pub struct PersonChanges {
    pub display_name: Option<String>,
    pub role: Option<PersonRole>,
    pub slack_user_id: Option<Option<String>>,
    pub password_hash: Option<Option<String>>,
    pub is_disabled: Option<bool>,
    pub updated_at: i64,
}

impl PersonChanges {
    /// No column but the time of the change.
    #[must_use]
    pub const fn at(now: i64) -> Self {
        Self {
            display_name: None,
            role: None,
            slack_user_id: None,
            password_hash: None,
            is_disabled: None,
            updated_at: now,
        }
    }

    /// Whether the person's sessions end with it: what they were opened for, or with, is another thing then.
    #[must_use]
    pub fn ends_sessions(&self) -> bool {
        self.role.is_some() || self.password_hash.is_some() || self.is_disabled == Some(true)
    }

    /// The row after the change.
    pub fn apply(self, row: &mut PersonRow) {
        row.display_name = self.display_name.unwrap_or_else(|| std::mem::take(&mut row.display_name));
        row.role = self.role.unwrap_or(row.role);
        row.slack_user_id = self.slack_user_id.unwrap_or_else(|| row.slack_user_id.take());
        row.password_hash = self.password_hash.unwrap_or_else(|| row.password_hash.take());
        row.is_disabled = self.is_disabled.unwrap_or(row.is_disabled);
        row.updated_at = self.updated_at;
    }
}

/// Changes a person. With its role, its password, or when it is disabled, its sessions and its login link end; with an
/// admin's rights the registration tickets that it made.
///
/// # Errors
/// `NOT_FOUND` when it is gone; `CONFLICT` when another one has its user in Slack.
pub fn update(conn: &mut DbConnection, id: PersonId, changes: &PersonChanges) -> Result<PersonRow, DbError> {
    let mut row = find(conn, id)?.ok_or_else(|| ApiError::not_found("Person"))?;
    if let Some(user) = &changes.slack_user_id {
        check_slack_user(conn, row.org_id, id, user.as_deref())?;
    }
    diesel::update(people::table.find(id)).set(changes.clone()).execute(conn)?;
    let is_admin = |row: &PersonRow| row.role.is_admin() && !row.is_disabled;
    let was_admin = is_admin(&row);
    changes.clone().apply(&mut row);
    if changes.ends_sessions() {
        sessions::delete_of_person(conn, id)?;
        delete_link(conn, id)?;
    }
    if was_admin && !is_admin(&row) {
        tickets::delete_unconsumed_of(conn, &actor(id))?;
    }
    Ok(row)
}

/// How rows name a person that did something.
#[must_use]
pub fn actor(id: PersonId) -> String {
    format!("person:{id}")
}

/// Deletes a person; its sessions and its login link go with it, and the registration tickets that it made.
///
/// # Errors
/// `NOT_FOUND` when it is gone.
pub fn delete(conn: &mut DbConnection, id: PersonId) -> Result<(), DbError> {
    tickets::delete_unconsumed_of(conn, &actor(id))?;
    if diesel::delete(people::table.find(id)).execute(conn)? == 0 {
        return Err(ApiError::not_found("Person").into());
    }
    Ok(())
}

// --- login links ---

/// Stores a person's login link in place of the one of before.
///
/// # Errors
/// When the database fails.
pub fn put_link(conn: &mut DbConnection, row: &PersonLinkRow) -> Result<(), DbError> {
    delete_link(conn, row.person_id)?;
    diesel::insert_into(person_links::table).values(row.clone()).execute(conn)?;
    Ok(())
}

fn delete_link(conn: &mut DbConnection, person: PersonId) -> Result<(), DbError> {
    diesel::delete(person_links::table.filter(person_links::person_id.eq(person))).execute(conn)?;
    Ok(())
}

/// The login link of a code's hash, unless it has ended.
///
/// # Errors
/// When the database fails.
pub fn find_link(conn: &mut DbConnection, hash: &str, now: i64) -> Result<Option<PersonLinkRow>, DbError> {
    let live = person_links::table.find(hash).filter(person_links::expires_at.gt(now));
    Ok(live.select(PersonLinkRow::as_select()).first(conn).optional()?)
}

/// Uses a login link; false when it has ended or somebody else was faster.
///
/// # Errors
/// When the database fails.
pub fn take_link(conn: &mut DbConnection, hash: &str, now: i64) -> Result<bool, DbError> {
    let live = person_links::table.find(hash).filter(person_links::expires_at.gt(now));
    Ok(diesel::delete(live).execute(conn)? > 0)
}
