//! Digest credentials of a client (RFC 7616, RFC 3261 §22), MD5 and SHA-256, with and without `qop=auth`.
//!
//! A [`Challenge`] is read from a 401; [`Credentials`] are the value of the Authorization that answers it.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};
use sha2::Sha256;

/// Longest challenge that is looked at.
const CHALLENGE_BYTES_MAX: usize = 1_024;

/// Who registers.
#[derive(Clone, Debug)]
pub struct Account {
    /// User name; `None`: the number that is registered.
    pub user: Option<String>,
    /// Password, the same for all.
    pub password: String,
    /// Whether a nonce is used again, with the next nonce count, until it is refused.
    pub nonce_reused: bool,
}

/// Hash functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RFC 2617, RFC 3261.
    Md5,
    /// RFC 8760.
    Sha256,
}

/// What a server asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// The server takes `qop=auth`.
    qop: bool,
    /// The parameter stood there: then it is sent back.
    algorithm_named: bool,
}

impl Challenge {
    /// Reads the value of a WWW-Authenticate; `None` if its scheme, algorithm or qop is none of ours.
    pub fn read(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value.get(..value.len().min(CHALLENGE_BYTES_MAX))?).ok()?.trim();
        let (scheme, rest) = text.split_once(char::is_whitespace)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let (mut realm, mut nonce, mut opaque, mut algorithm, mut qop) = (None, None, None, None, None);
        for (name, value) in parameters(rest) {
            match name.to_ascii_lowercase().as_str() {
                "realm" => realm = Some(value.to_owned()),
                "nonce" => nonce = Some(value.to_owned()),
                "opaque" => opaque = Some(value.to_owned()),
                "algorithm" => algorithm = Some(value),
                "qop" => qop = Some(value),
                _ => {}
            }
        }
        let named = algorithm.is_some();
        let algorithm = match algorithm {
            None => Algorithm::Md5,
            Some(name) if name.eq_ignore_ascii_case("MD5") => Algorithm::Md5,
            Some(name) if name.eq_ignore_ascii_case("SHA-256") => Algorithm::Sha256,
            Some(_) => return None,
        };
        let qop = match qop {
            None => false,
            Some(list) if list.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth")) => true,
            Some(_) => return None,
        };
        Some(Challenge { realm: realm?, nonce: nonce?, opaque, algorithm, qop, algorithm_named: named })
    }
}

/// `name=value` or `name="value"`, parted by commas. Quoted pairs are left as they are: they are hashed so.
fn parameters(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                let mut escaped = false;
                let end = quoted.find(|symbol| {
                    let ends = symbol == '"' && !escaped;
                    escaped = symbol == '\\' && !escaped;
                    ends
                })?;
                (quoted.get(..end)?, quoted.get(end + 1..)?)
            }
            None => {
                after.split_once(',').map_or((after, ""), |(value, _)| (value, after.get(value.len()..).unwrap_or("")))
            }
        };
        rest = after.trim_start().trim_start_matches(',');
        Some((name.trim(), value.trim()))
    })
}

/// The request that credentials are for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Method.
    pub method: &'a str,
    /// Request-URI.
    pub uri: &'a str,
    /// User name.
    pub user: &'a str,
    /// Password.
    pub password: &'a str,
}

/// The value of an Authorization. `count` is how often the nonce has been used, this time included.
pub fn credentials(challenge: &Challenge, asked: &Asked<'_>, count: u32, client_nonce: u64) -> String {
    let hash = |text: &str| match challenge.algorithm {
        Algorithm::Md5 => hex(&Md5::digest(text)),
        Algorithm::Sha256 => hex(&Sha256::digest(text)),
    };
    let secret = hash(&format!("{}:{}:{}", asked.user, challenge.realm, asked.password));
    let request = hash(&format!("{}:{}", asked.method, asked.uri));
    let nonce = &challenge.nonce;
    let client_nonce = format!("{client_nonce:016x}");
    let response = if challenge.qop {
        hash(&format!("{secret}:{nonce}:{count:08x}:{client_nonce}:auth:{request}"))
    } else {
        hash(&format!("{secret}:{nonce}:{request}"))
    };
    let mut value = format!(
        "Digest username=\"{}\", realm=\"{}\", nonce=\"{nonce}\", uri=\"{}\", response=\"{response}\"",
        asked.user, challenge.realm, asked.uri
    );
    if challenge.algorithm_named {
        value.push_str(match challenge.algorithm {
            Algorithm::Md5 => ", algorithm=MD5",
            Algorithm::Sha256 => ", algorithm=SHA-256",
        });
    }
    if challenge.qop {
        // Writing to a String does not fail.
        let _ = write!(value, ", qop=auth, nc={count:08x}, cnonce=\"{client_nonce}\"");
    }
    if let Some(opaque) = &challenge.opaque {
        let _ = write!(value, ", opaque=\"{opaque}\"");
    }
    value
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    /// RFC 7616 §3.9.1, whose client nonce is no number: the parts are hashed here as the function does.
    #[test]
    fn the_example_of_the_rfc_gives_its_response() {
        for (algorithm, expected) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let value = format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            );
            let challenge = Challenge::read(value.as_bytes()).unwrap();
            let hash = |text: &str| match challenge.algorithm {
                Algorithm::Md5 => hex(&Md5::digest(text)),
                Algorithm::Sha256 => hex(&Sha256::digest(text)),
            };
            let secret = hash(&format!("Mufasa:{}:Circle of Life", challenge.realm));
            let request = hash("GET:/dir/index.html");
            let client_nonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            assert_eq!(hash(&format!("{secret}:{}:00000001:{client_nonce}:auth:{request}", challenge.nonce)), expected);
        }
    }

    #[test]
    fn credentials_answer_the_challenge_parameter_by_parameter() {
        let challenge =
            Challenge::read(b"Digest realm=\"a, \\\"b\\\"\",nonce=n1 , opaque=\"o\", qop=\"auth\", stale=FALSE")
                .unwrap();
        assert_eq!(challenge.realm, "a, \\\"b\\\"");
        let asked = Asked { method: "REGISTER", uri: "sip:x", user: "u", password: "p" };
        let value = credentials(&challenge, &asked, 3, 255);
        for part in [
            "username=\"u\"",
            "nonce=\"n1\"",
            "uri=\"sip:x\"",
            "qop=auth, nc=00000003, cnonce=\"00000000000000ff\"",
            "opaque=\"o\"",
        ] {
            assert!(value.contains(part), "{value}");
        }
        assert!(!value.contains("algorithm"), "not named by the server");
        let again = credentials(&challenge, &asked, 4, 255);
        assert_ne!(value, again, "the count is hashed");
    }

    #[test]
    fn what_is_not_ours_is_left_to_another_challenge() {
        for value in [
            "Basic realm=\"x\"",
            "Digest realm=\"x\"",
            "Digest realm=\"x\", nonce=\"n\", algorithm=SHA-512-256",
            "Digest realm=\"x\", nonce=\"n\", qop=\"auth-int\"",
            "Digest",
            "Digest realm=\"x",
        ] {
            assert_eq!(Challenge::read(value.as_bytes()), None, "{value}");
        }
    }
}
