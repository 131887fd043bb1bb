//! Who a socket belongs to: decided once, from the `auth` object of its CONNECT packet.
//!
//! A token decides the namespace where there is one. Without a token the namespace that `auth` names is believed, where the
//! operator allows that. A refusal ends in a connect error, after which clients do not come back by themselves; so only
//! what stays wrong is refused here.

use std::collections::HashMap;

use hxa_domain::secrets;
use serde_json::{Value, json};

use super::access_token::AccessToken;
use super::faults::Fault;
use super::fields::{Fields, checked, wrong_type};
use super::limits;
use super::names::Namespace;

/// The namespaces of the hub and the access tokens that open them, as hashes.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    base_hash: Option<String>,
    namespaces: HashMap<Namespace, Vec<String>>,
    by_hash: HashMap<String, Namespace>,
    tokenless: bool,
}

impl Credentials {
    /// No namespace yet. `base_token` opens every namespace; `tokenless` lets sockets without a token in.
    #[must_use]
    pub fn new(base_token: Option<&str>, tokenless: bool) -> Self {
        Self { base_hash: base_token.map(secrets::secret_hash), tokenless, ..Self::default() }
    }

    /// Adds a namespace with the hashes of its own tokens: several while one replaces another.
    pub fn add(&mut self, namespace: Namespace, token_hashes: Vec<String>) {
        self.remove(&namespace);
        self.by_hash.extend(token_hashes.iter().map(|hash| (hash.clone(), namespace.clone())));
        self.namespaces.insert(namespace, token_hashes);
    }

    /// Removes a namespace and its tokens.
    pub fn remove(&mut self, namespace: &Namespace) {
        self.by_hash.retain(|_, owner| owner != namespace);
        self.namespaces.remove(namespace);
    }

    /// Whether the hub has any token at all.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.base_hash.is_some() || !self.by_hash.is_empty()
    }

    /// The namespace of an access token: the hub's base token with the name of a namespace, or a namespace's own token with
    /// or without its name. `None` for everything else, an unknown namespace behind a valid base token included.
    #[must_use]
    pub fn namespace_of(&self, token: &str) -> Option<Namespace> {
        let token = AccessToken::parse(token)?;
        if let Some(owner) = self.by_hash.get(&secrets::secret_hash(token.whole)) {
            return Some(owner.clone());
        }
        let (name, hashes) = self.namespaces.get_key_value(&Namespace::parse(token.namespace)?)?;
        let given = secrets::secret_hash(token.base);
        // The name is no secret, and of the secrets only hashes are compared, in constant time.
        let is_base = self.base_hash.as_deref().is_some_and(|hash| secrets::constant_time_eq(hash, &given));
        let is_own = hashes.iter().any(|hash| secrets::constant_time_eq(hash, &given));
        // A token that came without a name has the default one only as the base token.
        let is_named = token.base.len() < token.whole.len();
        (is_base || (is_own && is_named)).then(|| name.clone())
    }
}

/// Whether sockets without a token are accepted. The operator's setting decides; without one they are accepted while no token is
/// configured and the hub listens on loopback.
#[must_use]
pub fn tokenless_allowed(setting: Option<bool>, has_token: bool, is_loopback: bool) -> bool {
    setting.unwrap_or(!has_token && is_loopback)
}

/// What `auth` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handshake {
    /// Whose socket it is.
    pub identity: Identity,
    /// The session that it wants to join.
    pub session_id: Joining,
    /// The machine that it wants to join.
    pub machine_id: Joining,
}

/// Whose socket it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// It belongs to a namespace.
    Of(Namespace),
    /// It named no namespace: it stays connected, is told so, joins nothing, and so is every scoped event of it answered.
    Missing,
}

/// An id in `auth`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joining {
    /// None: there is nothing to join.
    Nothing,
    /// This one.
    Id(String),
    /// It is no id; the socket is told right after connect.
    Bad(Fault),
}

/// A refusal of a socket: the message and data of the connect error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What clients compare.
    pub message: &'static str,
    /// More of it, for people.
    pub data: Value,
}

impl Refused {
    fn new(message: &'static str, code: &str, hint: &str) -> Self {
        Self { message, data: json!({ "code": code, "message": hint }) }
    }

    fn bad_token() -> Self {
        let hint = "auth.token must be an access token of this hub, as `token` or `token:namespace`";
        Self::new("Invalid token", "invalid-token", hint)
    }
}

/// Decides who a socket belongs to.
///
/// # Errors
/// The connect error.
pub fn read_auth(auth: Value, credentials: &Credentials) -> Result<Handshake, Refused> {
    let mut auth = match auth {
        Value::Object(map) => map,
        // A client without `auth` sends none.
        Value::Null => serde_json::Map::new(),
        _ => return Err(Refused::new("Invalid auth", "invalid-auth", "auth must be an object")),
    };
    let named = match auth.remove("namespace") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name),
        Some(_) => return Err(Refused::new("Invalid auth", "invalid-auth", "auth.namespace must be a string")),
    };
    let identity = match auth.remove("token") {
        None | Some(Value::Null) => without_token(named.as_deref(), credentials)?,
        Some(Value::String(token)) => with_token(&token, named.as_deref(), credentials)?,
        Some(_) => return Err(Refused::bad_token()),
    };
    let session_id = joining("sessionId", auth.remove("sessionId"));
    Ok(Handshake { identity, session_id, machine_id: joining("machineId", auth.remove("machineId")) })
}

fn with_token(token: &str, named: Option<&str>, credentials: &Credentials) -> Result<Identity, Refused> {
    let namespace = credentials.namespace_of(token).ok_or_else(Refused::bad_token)?;
    if named.is_some_and(|named| named != namespace.as_str()) {
        let hint = "auth.namespace is not the namespace of auth.token; leave it out or give the token's";
        return Err(Refused::new("Namespace mismatch", "namespace-mismatch", hint));
    }
    Ok(Identity::Of(namespace))
}

fn without_token(named: Option<&str>, credentials: &Credentials) -> Result<Identity, Refused> {
    if !credentials.tokenless {
        return Err(Refused::bad_token());
    }
    let Some(named) = named else { return Ok(Identity::Missing) };
    let known = Namespace::parse(named).filter(|name| credentials.namespaces.contains_key(name));
    let hint = "auth.namespace names no namespace of this hub; an administrator can add it";
    known.map(Identity::Of).ok_or_else(|| Refused::new("Unknown namespace", "unknown-namespace", hint))
}

/// Reads the body by which a web client logs in: `{accessToken}`.
///
/// # Errors
/// There is no text in it.
pub fn read_access_token(body: Value) -> Result<String, Fault> {
    Fields::of(body)?.text("accessToken", limits::TOKEN_BYTES)
}

fn joining(key: &str, value: Option<Value>) -> Joining {
    match value {
        None | Some(Value::Null) => Joining::Nothing,
        Some(Value::String(text)) => match checked(key, text, limits::ID_UNITS) {
            Ok(id) => Joining::Id(id),
            Err(fault) => Joining::Bad(fault),
        },
        Some(other) => Joining::Bad(wrong_type(key, "string", &other)),
    }
}

#[cfg(test)]
mod tests;
