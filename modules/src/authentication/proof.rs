//! A client's proof that it knows the password (RFC 7616 §3.4.1): checked against an HA1, never against a password.
//!
//! ```text
//! HA1 = H(username:realm:password)     HA2 = H(method:uri)
//! response = H(HA1:nonce:nc:cnonce:qop:HA2), or without qop H(HA1:nonce:HA2)
//! ```

use super::algorithm::{Algorithm, Hash, HexHash};
use proto::message::DigestCredentials;

/// Credentials that can be checked.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'m> {
    /// As they came.
    pub credentials: DigestCredentials<'m>,
    /// The hash function.
    pub algorithm: Algorithm,
    /// How often the nonce was used, this time included. Without qop: 1, so that such a nonce holds once.
    pub count: u32,
    /// The method of the request.
    pub method: &'m [u8],
}

/// Why credentials cannot be checked; the client is challenged anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// An algorithm that the domain does not offer.
    Algorithm,
    /// A quality of protection other than `auth`.
    Qop,
    /// Without user name, nonce, URI, nonce count or client nonce, or with a nonce count that is none.
    Incomplete,
}

/// Most octets of a user name.
pub const USERNAME_BYTES_MAX: usize = 128;

/// Most octets of a client's nonce.
const CNONCE_BYTES_MAX: usize = 256;

impl<'m> Proof<'m> {
    /// # Errors
    /// What makes them of no use.
    pub fn of(credentials: DigestCredentials<'m>, method: &'m [u8], offered: &[Algorithm]) -> Result<Self, Unusable> {
        let algorithm = Algorithm::named(credentials.algorithm).filter(|algorithm| offered.contains(algorithm));
        let algorithm = algorithm.ok_or(Unusable::Algorithm)?;
        let needed = [credentials.username, credentials.nonce, credentials.uri, credentials.response];
        if needed.iter().any(|text| text.is_empty()) || credentials.username.len() > USERNAME_BYTES_MAX {
            return Err(Unusable::Incomplete);
        }
        let count = match credentials.qop {
            b"" => 1,
            qop if qop.eq_ignore_ascii_case(b"auth") => nonce_count(&credentials).ok_or(Unusable::Incomplete)?,
            _ => return Err(Unusable::Qop),
        };
        Ok(Proof { credentials, algorithm, count, method })
    }

    /// Whether whoever made it knows `ha1`. Takes the same time whether or not, and for any HA1.
    pub fn holds(&self, ha1: &Hash, last: &mut LastHa2) -> bool {
        let one = &self.credentials;
        let ha2 = last.of(self);
        let ha1 = ha1.hex();
        let expected = if one.qop.is_empty() {
            self.algorithm.hash(&[ha1.as_bytes(), one.nonce, ha2.as_bytes()])
        } else {
            self.algorithm.hash(&[ha1.as_bytes(), one.nonce, one.nc, one.cnonce, one.qop, ha2.as_bytes()])
        };
        expected.is(one.response)
    }
}

/// The HA2 that was made last. WHY kept: a domain's REGISTERs all have the same one, and nobody learns anything from its time
/// that the request itself does not say.
#[derive(Debug, Default)]
pub struct LastHa2 {
    /// The method and the URI, one behind the other, and how long the first is.
    text: Vec<u8>,
    method_len: usize,
    made: Option<(Algorithm, HexHash)>,
}

impl LastHa2 {
    fn of(&mut self, proof: &Proof<'_>) -> HexHash {
        let (method, uri) = (proof.method, proof.credentials.uri);
        let known = self.text.split_at_checked(self.method_len) == Some((method, uri));
        match self.made {
            Some((algorithm, ha2)) if known && algorithm == proof.algorithm => ha2,
            _ => self.make(proof.algorithm, method, uri),
        }
    }

    #[cold]
    fn make(&mut self, algorithm: Algorithm, method: &[u8], uri: &[u8]) -> HexHash {
        let ha2 = algorithm.hash(&[method, uri]).hex();
        self.text.clear();
        self.made = None;
        // WHY no longer ones: nothing is allocated after the start.
        self.text.reserve_exact(HA2_TEXT_MAX);
        if method.len() + uri.len() <= HA2_TEXT_MAX {
            self.text.extend_from_slice(method);
            self.text.extend_from_slice(uri);
            self.method_len = method.len();
            self.made = Some((algorithm, ha2));
        }
        ha2
    }
}

const HA2_TEXT_MAX: usize = 128;

/// The HA1 of a password.
pub fn ha1(algorithm: Algorithm, username: &[u8], realm: &[u8], password: &[u8]) -> Hash {
    algorithm.hash(&[username, realm, password])
}

/// Eight digits (RFC 7616 §3.4), or fewer from clients that are lax; never 0.
fn nonce_count(credentials: &DigestCredentials<'_>) -> Option<u32> {
    let complete = !credentials.cnonce.is_empty() && credentials.cnonce.len() <= CNONCE_BYTES_MAX;
    let digits = Some(credentials.nc).filter(|digits| complete && (1..=8).contains(&digits.len()))?;
    let count = digits.iter().try_fold(0u32, |count, &digit| Some(count << 4 | char::from(digit).to_digit(16)?))?;
    (count > 0).then_some(count)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    /// RFC 7616 §3.9.1: the same request with MD5 and with SHA-256.
    const MUFASA: DigestCredentials<'static> = DigestCredentials {
        username: b"Mufasa",
        realm: b"http-auth@example.org",
        nonce: b"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        uri: b"/dir/index.html",
        response: b"",
        algorithm: b"",
        cnonce: b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        qop: b"auth",
        nc: b"00000001",
        opaque: b"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    };

    /// RFC 2617 §3.5, and the same without qop as RFC 2069 has it.
    const OLD: DigestCredentials<'static> = DigestCredentials {
        username: b"Mufasa",
        realm: b"testrealm@host.com",
        nonce: b"dcd98b7102dd2f0e8b11d0f600bfb0c093",
        uri: b"/dir/index.html",
        response: b"6629fae49393a05397450978507c4ef1",
        algorithm: b"",
        cnonce: b"0a4f113b",
        qop: b"auth",
        nc: b"00000001",
        opaque: b"",
    };

    #[test]
    fn examples_of_the_rfcs_hold_and_nothing_near_them_does() {
        let mut last = LastHa2::default();
        let without_qop =
            DigestCredentials { qop: b"", nc: b"", cnonce: b"", response: b"670fd8c2df070c60b045671b8b24ff02", ..OLD };
        let md5 = DigestCredentials { response: b"8ca523f5e9506fed4657c9700eebdbec", ..MUFASA };
        let sha256 = DigestCredentials {
            algorithm: b"SHA-256",
            response: b"753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ..MUFASA
        };
        let cases: [(DigestCredentials<'_>, &[u8]); 4] = [
            (md5, b"Circle of Life"),
            (sha256, b"Circle of Life"),
            (OLD, b"Circle Of Life"),
            (without_qop, b"Circle Of Life"),
        ];
        for (credentials, password) in cases {
            let proof = Proof::of(credentials, b"GET", &Algorithm::ALL).unwrap();
            let right = ha1(proof.algorithm, credentials.username, credentials.realm, password);
            assert!(proof.holds(&right, &mut last), "{:?}", credentials.response.escape_ascii().to_string());
            assert_eq!(proof.count, 1);
            assert!(
                !proof.holds(
                    &ha1(proof.algorithm, credentials.username, credentials.realm, b"circle of life"),
                    &mut last
                )
            );
            let other = Proof { method: b"PUT", ..proof };
            assert!(!other.holds(&right, &mut last), "another method");
            let other = Proof { credentials: DigestCredentials { uri: b"/", ..credentials }, ..proof };
            assert!(!other.holds(&right, &mut last), "another URI");
        }
    }

    /// RFC 7616 §3.4.1 spelled out: no example of an RFC has this function for SIP.
    #[test]
    fn sha_512_256_is_joined_in_the_same_way() {
        let mut last = LastHa2::default();
        let credentials = DigestCredentials { algorithm: b"SHA-512-256", response: b"00", ..MUFASA };
        let proof = Proof::of(credentials, b"GET", &Algorithm::ALL).unwrap();
        let known = ha1(Algorithm::Sha512_256, b"Mufasa", credentials.realm, b"Circle of Life");
        let ha2 = Algorithm::Sha512_256.hash(&[b"GET", credentials.uri]).hex();
        let joined =
            [known.hex().as_bytes(), credentials.nonce, credentials.nc, credentials.cnonce, b"auth", ha2.as_bytes()]
                .join(&b':');
        let response = Algorithm::Sha512_256.hash(&[&joined]).hex();
        let answered =
            Proof { credentials: DigestCredentials { response: response.as_bytes(), ..credentials }, ..proof };
        assert!(answered.holds(&known, &mut last));
        assert!(!proof.holds(&known, &mut last), "no hash is no proof");
    }

    #[test]
    fn what_cannot_be_checked_says_why() {
        let only_md5 = [Algorithm::Md5];
        for (credentials, why) in [
            (DigestCredentials { algorithm: b"SHA-256", ..OLD }, Unusable::Algorithm),
            (DigestCredentials { algorithm: b"MD5-sess", ..OLD }, Unusable::Algorithm),
            (DigestCredentials { qop: b"auth-int", ..OLD }, Unusable::Qop),
            (DigestCredentials { username: b"", ..OLD }, Unusable::Incomplete),
            (DigestCredentials { username: &[b'a'; USERNAME_BYTES_MAX + 1], ..OLD }, Unusable::Incomplete),
            (DigestCredentials { nonce: b"", ..OLD }, Unusable::Incomplete),
            (DigestCredentials { uri: b"", ..OLD }, Unusable::Incomplete),
            (DigestCredentials { response: b"", ..OLD }, Unusable::Incomplete),
            (DigestCredentials { nc: b"00000000", ..OLD }, Unusable::Incomplete),
            (DigestCredentials { nc: b"000000001", ..OLD }, Unusable::Incomplete),
            (DigestCredentials { nc: b"0000000g", ..OLD }, Unusable::Incomplete),
            (DigestCredentials { cnonce: b"", ..OLD }, Unusable::Incomplete),
        ] {
            assert_eq!(Proof::of(credentials, b"REGISTER", &only_md5).err(), Some(why));
        }
        let nc = |nc: &'static [u8]| Proof::of(DigestCredentials { nc, ..OLD }, b"", &only_md5).unwrap().count;
        assert_eq!([nc(b"0000000a"), nc(b"ffffffff"), nc(b"1")], [10, u32::MAX, 1]);
    }
}
