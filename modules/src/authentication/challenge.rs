//! The header lines of a challenge (RFC 3261 §22.2, §22.3; RFC 7616 §3.3): one for each algorithm that the domain
//! offers, in its order (RFC 8760 §2.3).

use super::algorithm::Algorithm;
use super::nonce::NONCE_CHARS;
use proto::message::{HeaderName, Writer};

/// Who asks for a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A registrar or another end: 401.
    Server,
    /// A proxy: 407.
    Proxy,
}

impl Asker {
    /// The status of the challenge.
    pub const fn status(self) -> u16 {
        match self {
            Asker::Server => 401,
            Asker::Proxy => 407,
        }
    }

    /// The header that brings the proof.
    pub const fn credentials(self) -> HeaderName {
        match self {
            Asker::Server => HeaderName::Authorization,
            Asker::Proxy => HeaderName::ProxyAuthorization,
        }
    }

    const fn challenge(self) -> &'static [u8] {
        match self {
            Asker::Server => b"WWW-Authenticate: Digest realm=\"",
            Asker::Proxy => b"Proxy-Authenticate: Digest realm=\"",
        }
    }
}

/// Writes the lines. `stale`: the proof may be right, but its nonce cannot be used (any more).
pub fn write(
    writer: &mut Writer<'_>,
    asker: Asker,
    realm: &[u8],
    offered: &[Algorithm],
    nonce: &[u8; NONCE_CHARS],
    stale: bool,
) {
    for algorithm in offered {
        writer.put(asker.challenge());
        writer.put(realm);
        writer.put(b"\", nonce=\"");
        writer.put(nonce);
        writer.put(b"\", algorithm=");
        writer.put(algorithm.token().as_bytes());
        writer.put(if stale { b", qop=\"auth\", stale=true\r\n" } else { b", qop=\"auth\"\r\n" });
    }
}
