//! The part of PostgreSQL's protocol that the relay has to know: how TLS is requested, and the messages until the login
//! is complete.
//!
//! One message is rewritten: a server reached by TLS offers passwords bound to the TLS connection
//! (`SCRAM-SHA-256-PLUS`), which libpq would treat as an attack because its own side has no TLS. The offer is removed;
//! the unbound `SCRAM-SHA-256` remains, as with every client that has no channel binding. Pure: bytes in, bytes out.

/// Asks the server for TLS: length 8 and the code that stands where a protocol version would.
pub const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

const AUTHENTICATION: u8 = b'R';
const NOTICE: u8 = b'N';
const NEGOTIATE_VERSION: u8 = b'v';
/// `AuthenticationSASL`: a list of ways to prove the password.
const SASL: [u8; 4] = [0, 0, 0, 10];
const BOUND: &[u8] = b"SCRAM-SHA-256-PLUS";
/// No message of a login is longer; whatever comes is passed on then.
const LONGEST: usize = 64 * 1024;

/// Follows what the server says until its first word that is no longer about the login.
#[derive(Debug, Default)]
pub struct Login {
    held: Vec<u8>,
    is_over: bool,
}

impl Login {
    /// True when the rest can be copied without looking.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Takes what the server sent; gives what the client may have now.
    pub fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let mut out = Vec::with_capacity(self.held.len());
        while !self.is_over {
            let Some((kind, length)) = head(&self.held) else { break };
            let is_about_login = matches!(kind, AUTHENTICATION | NOTICE | NEGOTIATE_VERSION) && length <= LONGEST;
            // The length counts itself but not the kind before it.
            let whole = length.saturating_add(1);
            if !is_about_login {
                self.is_over = true;
            } else if self.held.len() < whole {
                break;
            } else {
                let message: Vec<u8> = self.held.drain(..whole).collect();
                self.is_over = message.get(5..) == Some(&[0, 0, 0, 0]);
                out.extend(unbound(message));
            }
        }
        if self.is_over {
            out.append(&mut self.held);
        }
        out
    }
}

/// Kind and length of the message that begins here, once both have come.
fn head(bytes: &[u8]) -> Option<(u8, usize)> {
    let (kind, rest) = bytes.split_first()?;
    let length = u32::from_be_bytes(*rest.first_chunk()?);
    Some((*kind, usize::try_from(length).ok()?))
}

/// The message without the offer of bound passwords.
fn unbound(message: Vec<u8>) -> Vec<u8> {
    let Some(names) = message.strip_prefix(&[AUTHENTICATION]).and_then(|rest| rest.get(4..)?.strip_prefix(&SASL))
    else {
        return message;
    };
    let kept = names.split(|byte| *byte == 0).filter(|name| !name.is_empty() && *name != BOUND);
    let mut body = SASL.to_vec();
    for name in kept {
        body.extend_from_slice(name);
        body.push(0);
    }
    body.push(0);
    framed(AUTHENTICATION, &body)
}

/// A refusal in the server's own form, for libpq to report.
pub fn refusal(text: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (field, value) in [('S', "FATAL"), ('V', "FATAL"), ('C', "08006"), ('M', text)] {
        body.extend(field.to_string().bytes().chain(value.bytes().filter(|byte| *byte != 0)).chain([0]));
    }
    body.push(0);
    framed(b'E', &body)
}

fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len().saturating_add(4)).unwrap_or(u32::MAX);
    let mut message = vec![kind];
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(body);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 0];

    fn sasl(names: &str) -> Vec<u8> {
        framed(AUTHENTICATION, &[&SASL, names.as_bytes()].concat())
    }

    /// The same whether the bytes come at once or one by one.
    fn pass(bytes: &[u8]) -> (Vec<u8>, bool) {
        let (mut whole, mut pieces) = (Login::default(), Login::default());
        let out = whole.pass(bytes);
        let in_pieces: Vec<u8> = bytes.iter().flat_map(|byte| pieces.pass(&[*byte])).collect();
        assert_eq!((&out, whole.is_over()), (&in_pieces, pieces.is_over()));
        (out, whole.is_over())
    }

    #[test]
    fn the_offer_of_bound_passwords_is_taken_out() {
        let (out, is_over) = pass(&sasl("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"));
        assert_eq!((out, is_over), (sasl("SCRAM-SHA-256\0\0"), false));
        let only = sasl("SCRAM-SHA-256\0\0");
        assert_eq!(pass(&only), (only.clone(), false));
    }

    #[test]
    fn everything_else_is_passed_on() {
        let notice = framed(NOTICE, b"hello");
        let after = [OK.as_slice(), b"S\0\0\0\x05xZ...anything\xff"].concat();
        let all = [notice.as_slice(), &sasl("SCRAM-SHA-256\0\0"), &after].concat();
        assert_eq!(pass(&all), (all.clone(), true));
        let error = refusal("no");
        assert_eq!(pass(&error), (error.clone(), true));
        let odd = b"R\xff\xff\xff\xffrest".to_vec();
        assert_eq!(pass(&odd), (odd.clone(), true));
    }

    #[test]
    fn a_refusal_is_an_error_message() {
        assert_eq!(refusal("a\0b"), b"E\0\0\0\x1eSFATAL\0VFATAL\0C08006\0Mab\0\0");
    }
}
