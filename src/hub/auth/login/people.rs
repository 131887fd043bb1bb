//! Logins of people: by a password, or by a login link that works once.
//!
//! An unknown organisation, an unknown handle, a person without a password and a wrong password are one refusal, and take
//! as long. Whether the person may come in now is told only to whoever knows its secret.

use std::sync::Arc;

use super::{Client, Failure, Opened, Opening, charge, check_login, open, open_charged};
use crate::auth::{Auth, Guess, Role, passwords, sessions};
use crate::core::caller::PersonCaller;
use crate::core::org_state::{OrgState, Person};
use crate::core::shard;
use hxa_domain::error::{ApiError, ApiResult, ErrorCode};
use hxa_domain::ids::OrgId;
use hxa_domain::people::handle_key;
use hxa_domain::secrets;
use hxa_domain::shares::Holder;
use hxa_store::people;
use hxa_store::rows::PersonRow;

/// How the trail names who failed to log in.
const ROLE: &str = "person";

/// What is being guessed at: a person, whether there is one or not.
fn target(org: &str, handle: &str) -> String {
    format!("{org}\n{}", handle_key(handle))
}

fn wrong_password() -> ApiError {
    ApiError::new(ErrorCode::InvalidCredentials, "The organisation, the handle or the password is wrong")
}

fn wrong_link() -> ApiError {
    ApiError::new(ErrorCode::InvalidCredentials, "The login link is unknown, has been used or has expired")
}

/// Opens a session by a password.
pub(super) async fn by_password(
    auth: &Auth,
    org_id: &str,
    handle: &str,
    password: String,
    client: &Client,
) -> ApiResult<Opened> {
    let org = match OrgId::parse(org_id) {
        Some(id) => auth.core.org(id).await?,
        None => None,
    };
    let person = org.as_ref().and_then(|org| org.person_by_handle(handle));
    let hash = person.as_ref().and_then(|person| person.row.password_hash.clone());
    let target = target(org_id, handle);
    check_guess(auth, org.as_deref(), &target, (password, hash), client).await?;
    let (org, person) = org.zip(person).ok_or_else(ApiError::internal)?;
    check_person(&org, &person)?;
    let opened = open(auth, opening_of(&org, &person), client).await?;
    still(auth, &person, opened).await
}

/// Compares a password with a hash; wrong ones are counted and noted.
async fn check_guess(
    auth: &Auth,
    org: Option<&OrgState>,
    target: &str,
    guess: (String, Option<String>),
    client: &Client,
) -> ApiResult<()> {
    let limiter = auth.limiter();
    let check = || limiter.check(Guess::PersonLogin, client.address, target, auth.core.now());
    check()?;
    let (strangers, address) = Holder::stranger(client.address);
    let holders = (org.map_or(strangers, |org| Holder::Org(org.id)), address);
    let (is_right, turn) = passwords::is_password(auth, holders, check, guess).await?;
    if is_right {
        return Ok(());
    }
    let failure = Failure { guess: Guess::PersonLogin, target, client };
    failure.count(auth);
    drop(turn);
    Err(failure.tell(auth, org.map(|org| org.id), ROLE, wrong_password()).await)
}

/// Whether a password is the caller's own; wrong ones are counted like those of a login.
///
/// # Errors
/// 401 when it is not, 429 while locked out.
pub async fn check_password(auth: &Auth, caller: &PersonCaller, password: String, client: &Client) -> ApiResult<()> {
    let row = &caller.person.row;
    let target = target(&row.org_id.to_string(), &row.handle);
    let checked = check_guess(auth, Some(&caller.org), &target, (password, row.password_hash.clone()), client).await;
    checked.map_err(|refusal| match refusal.code() {
        ErrorCode::InvalidCredentials => {
            ApiError::new(ErrorCode::InvalidCredentials, "current_password is not the password")
        }
        _ => refusal,
    })
}

/// Opens a session by the code of a login link, which is used up.
pub(super) async fn by_link(auth: &Auth, code: &str, client: &Client) -> ApiResult<Opened> {
    let (hash, now) = (secrets::secret_hash(code), auth.core.now());
    auth.limiter().check(Guess::PersonLink, client.address, &hash, now)?;
    let failure = Failure { guess: Guess::PersonLink, target: &hash, client };
    let wanted = hash.clone();
    let link = auth.core.store().read(move |conn| people::find_link(conn, &wanted, now)).await?;
    let Some(link) = link else { return Err(failure.note(auth, None, ROLE, wrong_link()).await) };
    let org = auth.core.org(link.org_id).await?.ok_or_else(wrong_link)?;
    let person = org.person(link.person_id).ok_or_else(wrong_link)?;
    check_person(&org, &person)?;
    // A link is not lost to a rate.
    charge(auth, role_of(&org, &person)).await?;
    let (used, key) = (hash.clone(), shard(org.id.uuid()));
    if !auth.core.store().write(key, move |conn| people::take_link(conn, &used, now)).await? {
        return Err(failure.note(auth, Some(org.id), ROLE, wrong_link()).await);
    }
    let opened = open_charged(auth, opening_of(&org, &person), client).await?;
    still(auth, &person, opened).await
}

/// Opens a session for a person whose sessions have just ended by its own wish.
///
/// # Errors
/// 401 when it was disabled or deleted meanwhile.
pub async fn open_again(auth: &Auth, caller: &PersonCaller, client: &Client) -> ApiResult<Opened> {
    let gone = || ApiError::new(ErrorCode::SessionInvalid, "What this session was opened for no longer exists");
    let person = caller.org.person(caller.person.id).ok_or_else(gone)?;
    check_person(&caller.org, &person)?;
    let opened = open_charged(auth, opening_of(&caller.org, &person), client).await?;
    still(auth, &person, opened).await
}

fn role_of(org: &OrgState, person: &Person) -> Role {
    Role::Person { org: org.id, person: person.id }
}

fn opening_of(org: &OrgState, person: &Person) -> Opening {
    let owner_name = Some(person.row.display_name.clone());
    Opening { owner_name, ..Opening::of(role_of(org, person)) }
}

/// Refuses a person that may not come in now.
fn check_person(org: &OrgState, person: &Arc<Person>) -> ApiResult<()> {
    check_login(org)?;
    if person.is_active() {
        return Ok(());
    }
    Err(ApiError::forbidden("The person is disabled; an admin of the organisation can enable it"))
}

/// The session, if the person is what it was when it was asked for. Whatever ends a person's sessions ends those that are
/// stored by then; for one that was stored after, the database knows.
async fn still(auth: &Auth, person: &Person, opened: Opened) -> ApiResult<Opened> {
    let id = person.id;
    let found = auth.core.store().read(move |conn| people::find(conn, id)).await?;
    let was = &person.row;
    let is_same = |is: &PersonRow| {
        (&is.password_hash, is.role, is.is_disabled) == (&was.password_hash, was.role, was.is_disabled)
    };
    if found.as_ref().is_some_and(is_same) {
        return Ok(opened);
    }
    sessions::end(auth, opened.0.role, &opened.0.row.id_hash).await?;
    Err(wrong_password())
}
