//! A proof examined by the shard that owns the user, asked by the shard that has the request: nonce counts, remembered
//! credentials and failures of a user are in one place. REGISTERs are there already; other requests are with their call.

use super::question::{Query, read_answer};
use super::{Asked, Authenticator, Decision, Home, Realm, Said};
use crate::encoding::Decoder;
use proto::message::Writer;
use proto::time::Now;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Writes a question to the owner. `said`: number and bytes of what the source of the account answered.
pub fn write(realm: &Realm, asked: &Asked<'_>, said: Option<(u64, &[u8])>, out: &mut Writer<'_>) {
    let (number, bytes) = said.map_or((0, &b""[..]), |(number, bytes)| (number + 1, bytes));
    out.put(&number.to_le_bytes());
    text(bytes, out);
    let ip = match asked.source.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    out.put(&ip.octets());
    out.put(&asked.source.port().to_le_bytes());
    out.put(&asked.cseq.to_le_bytes());
    text(asked.call_id, out);
    let credentials = asked.credentials.unwrap_or_default();
    Query { domain: &realm.domain, method: asked.method, credentials }.write(out);
}

fn text(bytes: &[u8], out: &mut Writer<'_>) {
    // INVARIANT: texts are parts of a message, which is shorter than 64 KB.
    out.put(&u16::try_from(bytes.len()).unwrap_or(0).to_le_bytes());
    out.put(bytes);
}

/// A question, read back.
pub struct Examined<'q> {
    /// Name of the domain.
    pub domain: &'q [u8],
    /// What is to be proven.
    pub asked: Asked<'q>,
    said: Option<(u64, &'q [u8])>,
}

impl<'q> Examined<'q> {
    /// Reads what [`write`] wrote.
    pub fn read(bytes: &'q [u8]) -> Option<Self> {
        let mut from = Decoder::new(bytes);
        let (number, said) = (from.long()?, from.text()?);
        let ip = IpAddr::V6(Ipv6Addr::from(from.number::<16>()?)).to_canonical();
        let (port, cseq, call_id) = (from.short()?, from.word()?, from.text()?);
        let query = Query::read(from.rest())?;
        let credentials = Some(query.credentials);
        let asked = Asked { credentials, method: query.method, source: SocketAddr::new(ip, port), call_id, cseq };
        Some(Examined { domain: query.domain, asked, said: number.checked_sub(1).map(|number| (number, said)) })
    }

    /// Examines it: the decision as a number.
    pub fn examine(&self, authenticator: &mut Authenticator, realm: &Realm, home: Home<'_>, now: Now) -> u64 {
        let decision = match self.said {
            None => authenticator.examine(realm, &self.asked, home, now),
            Some((number, bytes)) => match read_answer(number, bytes) {
                Some(said) => authenticator.examine_again(realm, &self.asked, said, home, now),
                None => return 0,
            },
        };
        number_of(decision)
    }
}

/// What a source said, as number and bytes, is left as it came when it is passed on.
pub fn said(number: u64, bytes: &[u8]) -> Option<Said> {
    read_answer(number, bytes)
}

const DECISIONS: [Decision; 8] = [
    Decision::Proven { again: false },
    Decision::Proven { again: true },
    Decision::Challenge { stale: false },
    Decision::Challenge { stale: true },
    Decision::Failed,
    Decision::Ask,
    Decision::OverBudget,
    Decision::ShutOut,
];

/// The number of a decision; 0 is nobody's.
pub fn number_of(decision: Decision) -> u64 {
    DECISIONS.iter().position(|one| *one == decision).map_or(0, |place| place as u64 + 1)
}

/// The decision of that number.
pub fn decision_of(number: u64) -> Option<Decision> {
    DECISIONS.get(usize::try_from(number.checked_sub(1)?).ok()?).copied()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn decisions_travel_as_numbers() {
        for decision in DECISIONS {
            assert_eq!(decision_of(number_of(decision)), Some(decision));
        }
        assert_eq!((decision_of(0), decision_of(9)), (None, None));
    }
}
