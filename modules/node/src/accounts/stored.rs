//! What a source has of an account: a password, or the HA1s made of it.

use modules::authentication::Said;
use modules::authentication::algorithm::{Algorithm, Hash};
use modules::authentication::credentials::Ha1s;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The password itself, where a database has it. From it every HA1 is made.
    pub password: Option<Password>,
    /// HA1s of the user name alone.
    pub plain: Ha1s,
    /// HA1s of `user@domain` as the user name (Kamailio's `ha1b`).
    pub with_domain: Ha1s,
}

/// A password; it shows itself to nobody.
#[derive(Clone)]
pub struct Password(pub String);

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A user name as a client gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Username<'n> {
    /// Without its domain.
    pub user: &'n str,
    /// It came with one.
    pub with_domain: bool,
}

impl<'n> Username<'n> {
    /// `user` or `user@domain`, where the domain is the account's or its realm.
    pub fn read(name: &'n str, domain: &str, realm: &str) -> Self {
        let split = name.rsplit_once('@');
        match split.filter(|(_, host)| host.eq_ignore_ascii_case(domain) || host.eq_ignore_ascii_case(realm)) {
            Some((user, _)) => Username { user, with_domain: true },
            None => Username { user: name, with_domain: false },
        }
    }
}

impl Stored {
    /// All HA1s of a password, for a user of a domain.
    pub fn of_password(user: &str, domain: &str, realm: &str, password: &str) -> Self {
        let ha1s = |name: &str| Ha1s::of_password(name.as_bytes(), realm.as_bytes(), password.as_bytes());
        Stored { password: None, plain: ha1s(user), with_domain: ha1s(&format!("{user}@{domain}")) }
    }

    /// What to say of a user who gave `name`.
    pub fn said(&self, name: &str, username: Username<'_>, realm: &str) -> Said {
        if let Some(Password(password)) = &self.password {
            return Said::Known(Ha1s::of_password(name.as_bytes(), realm.as_bytes(), password.as_bytes()));
        }
        Said::Known(if username.with_domain { self.with_domain } else { self.plain })
    }

    /// What to say of a user whom nobody knows: the same work is done as for one who is known by a password.
    pub fn nobody(name: &str, realm: &str, by_password: bool) -> Said {
        if by_password {
            std::hint::black_box(Ha1s::of_password(name.as_bytes(), realm.as_bytes(), b"correct horse battery staple"));
        }
        Said::Unknown
    }

    /// Algorithms for which there is no HA1.
    pub fn lacks(&self, wanted: &[Algorithm]) -> Vec<Algorithm> {
        let lacking = |algorithm: &&Algorithm| self.password.is_none() && self.plain.get(**algorithm).is_none();
        wanted.iter().filter(lacking).copied().collect()
    }
}

/// Sets an HA1 given in hexadecimal digits.
///
/// # Errors
/// It is not one.
pub(super) fn set_hex(ha1s: &mut Ha1s, algorithm: Algorithm, digits: &str) -> Result<(), String> {
    let hash = Hash::from_hex(algorithm, digits.trim().as_bytes());
    let expected = 2 * algorithm.hash_bytes();
    ha1s.set(hash.ok_or_else(|| format!("an HA1 of {} has {expected} hexadecimal digits", algorithm.token()))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_user_name_may_come_with_its_domain() {
        let read = |name| Username::read(name, "example.com", "Realm");
        assert_eq!(read("alice"), Username { user: "alice", with_domain: false });
        assert_eq!(read("alice@EXAMPLE.com"), Username { user: "alice", with_domain: true });
        assert_eq!(read("a@b@realm"), Username { user: "a@b", with_domain: true });
        assert_eq!(read("alice@elsewhere"), Username { user: "alice@elsewhere", with_domain: false });
    }

    #[test]
    fn a_password_and_its_ha1s_say_the_same() {
        let made = Stored::of_password("alice", "example.com", "example.com", "secret");
        let clear = Stored { password: Some(Password("secret".into())), ..Stored::default() };
        for name in ["alice", "alice@example.com"] {
            let username = Username::read(name, "example.com", "example.com");
            let ha1s = [&made, &clear].map(|stored| match stored.said(name, username, "example.com") {
                Said::Known(ha1s) => Algorithm::ALL.map(|algorithm| ha1s.get(algorithm).unwrap().bytes().to_vec()),
                other => panic!("{other:?}"),
            });
            assert_eq!(ha1s[0], ha1s[1], "{name}");
        }
        assert!(clear.lacks(&Algorithm::ALL).is_empty());
        assert_eq!(Stored::default().lacks(&[Algorithm::Md5]), [Algorithm::Md5]);
    }
}
