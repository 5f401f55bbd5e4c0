//! What a shard asks the source of an account, and what that answers, as bytes of a question
//! ([`crate::authentication::Decision::Ask`]).
//!
//! The whole proof travels, although most sources need the user name alone: a RADIUS server judges it itself.

use super::Said;
use super::algorithm::{Algorithm, Hash};
use super::credentials::Ha1s;
use crate::encoding::{Decoder, Encoder};
use proto::message::{DigestCredentials, Writer};

/// A question, read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'q> {
    /// Name of the domain that the account belongs to.
    pub domain: &'q [u8],
    /// Method of the request.
    pub method: &'q [u8],
    /// The proof.
    pub credentials: DigestCredentials<'q>,
}

/// An answer in short. Zero, which an answer that nobody gave has, is a failure.
const FAILED: u64 = 0;
const KNOWN: u64 = 1;
const UNKNOWN: u64 = 2;
const HOLDS: u64 = 3;
const FAILS: u64 = 4;

impl<'q> Query<'q> {
    /// Writes it.
    pub fn write(&self, out: &mut Writer<'_>) {
        for text in [self.domain, self.method].into_iter().chain(texts(&self.credentials)) {
            // INVARIANT: texts are parts of a message, which is shorter than 64 KB.
            out.put(&u16::try_from(text.len()).unwrap_or(0).to_le_bytes());
            out.put(text);
        }
    }

    /// Reads what [`Query::write`] wrote.
    pub fn read(bytes: &'q [u8]) -> Option<Self> {
        let mut from = Decoder::new(bytes);
        let (domain, method) = (from.text()?, from.text()?);
        let credentials = DigestCredentials {
            username: from.text()?,
            realm: from.text()?,
            nonce: from.text()?,
            uri: from.text()?,
            response: from.text()?,
            algorithm: from.text()?,
            cnonce: from.text()?,
            qop: from.text()?,
            nc: from.text()?,
            opaque: from.text()?,
        };
        from.end().map(|()| Query { domain, method, credentials })
    }
}

fn texts<'q>(one: &DigestCredentials<'q>) -> [&'q [u8]; 10] {
    let DigestCredentials { username, realm, nonce, uri, response, algorithm, cnonce, qop, nc, opaque } = *one;
    [username, realm, nonce, uri, response, algorithm, cnonce, qop, nc, opaque]
}

/// Writes an answer: its number, and bytes appended to `out`. `None`: the source failed, or had no time.
pub fn write_answer(said: Option<&Said>, out: &mut Vec<u8>) -> u64 {
    match said {
        None => FAILED,
        Some(Said::Unknown) => UNKNOWN,
        Some(Said::Judged(holds)) => {
            if *holds {
                HOLDS
            } else {
                FAILS
            }
        }
        Some(Said::Known(ha1s)) => {
            let mut out = Encoder::new(out);
            for algorithm in Algorithm::ALL {
                out.text(ha1s.get(algorithm).map_or(b"", Hash::bytes));
            }
            KNOWN
        }
    }
}

/// Reads an answer. `None`: the source failed, had no time, or nobody answered.
pub fn read_answer(number: u64, bytes: &[u8]) -> Option<Said> {
    match number {
        UNKNOWN => Some(Said::Unknown),
        HOLDS => Some(Said::Judged(true)),
        FAILS => Some(Said::Judged(false)),
        KNOWN => {
            let (mut from, mut ha1s) = (Decoder::new(bytes), Ha1s::default());
            for algorithm in Algorithm::ALL {
                let text = from.text()?;
                if !text.is_empty() {
                    ha1s.set(Hash::from_bytes(algorithm, text)?);
                }
            }
            from.end().map(|()| Said::Known(ha1s))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_question_comes_back_whole_or_not_at_all() {
        let credentials = DigestCredentials {
            username: b"alice",
            realm: b"example.com",
            nonce: b"n",
            uri: b"sip:example.com",
            response: b"00",
            algorithm: b"MD5",
            cnonce: b"c",
            qop: b"auth",
            nc: b"00000001",
            opaque: b"",
        };
        let query = Query { domain: b"example.com", method: b"REGISTER", credentials };
        let mut room = [0; 512];
        let mut writer = Writer::new(&mut room);
        query.write(&mut writer);
        let len = writer.finish().unwrap();
        let bytes = &room[..len];
        assert_eq!(Query::read(bytes), Some(query));
        assert!((0..bytes.len()).all(|cut| Query::read(&bytes[..cut]).is_none()));
    }

    #[test]
    fn answers_come_back() {
        let mut one = Ha1s::default();
        one.set(Algorithm::Sha256.hash(&[b"a"]));
        for ha1s in [Ha1s::of_password(b"a", b"r", b"p"), one, Ha1s::default()] {
            let mut bytes = Vec::new();
            let number = write_answer(Some(&Said::Known(ha1s)), &mut bytes);
            let Some(Said::Known(read)) = read_answer(number, &bytes) else { panic!("not read") };
            for algorithm in Algorithm::ALL {
                assert_eq!(read.get(algorithm).map(Hash::bytes), ha1s.get(algorithm).map(Hash::bytes));
            }
            assert!((0..bytes.len()).all(|cut| read_answer(number, &bytes[..cut]).is_none()));
        }
        for (said, number) in [(Said::Unknown, UNKNOWN), (Said::Judged(true), HOLDS), (Said::Judged(false), FAILS)] {
            assert_eq!(write_answer(Some(&said), &mut Vec::new()), number);
            assert_eq!(format!("{:?}", read_answer(number, b"")), format!("{:?}", Some(said)));
        }
        assert_eq!(write_answer(None, &mut Vec::new()), 0);
        assert!(read_answer(0, b"").is_none() && read_answer(99, b"").is_none());
    }
}
