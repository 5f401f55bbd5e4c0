//! What the table of accounts in a database is called, and its columns: by default as Kamailio's `subscriber`.

use super::stored::{Password, Stored, set_hex};
use modules::authentication::algorithm::Algorithm;

/// Names of a table and its columns; an empty one is not there. Checked to be plain names before they come here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The table.
    pub table: String,
    /// User name.
    pub username: String,
    /// Domain; empty: user names are unique by themselves.
    pub domain: String,
    /// Password in clear.
    pub password: String,
    /// HA1 of MD5.
    pub ha1: String,
    /// HA1 of MD5 of `user@domain`.
    pub ha1b: String,
    /// HA1 of SHA-256.
    pub sha256: String,
    /// HA1 of SHA-512-256.
    pub sha512_256: String,
}

impl Columns {
    /// What is asked for; `parameter` says how the nth parameter is written.
    pub(super) fn query(&self, parameter: impl Fn(usize) -> String) -> String {
        let domain =
            if self.domain.is_empty() { String::new() } else { format!(" AND {} = {}", self.domain, parameter(2)) };
        let wanted = self.wanted().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
        format!("SELECT {wanted} FROM {} WHERE {} = {}{domain} LIMIT 1", self.table, self.username, parameter(1))
    }

    /// Whether passwords stand there in clear.
    pub(super) fn has_passwords(&self) -> bool {
        !self.password.is_empty()
    }

    /// What a row says, its columns in the order of the query.
    ///
    /// # Errors
    /// An HA1 that is none.
    pub(super) fn stored(&self, row: &[Option<String>]) -> Result<Stored, String> {
        let mut stored = Stored::default();
        for ((_, meaning), value) in self.wanted().zip(row) {
            let Some(value) = value.as_deref().filter(|value| !value.is_empty()) else { continue };
            match meaning {
                Meaning::Password => stored.password = Some(Password(value.to_owned())),
                Meaning::Ha1(algorithm) => set_hex(&mut stored.plain, algorithm, value)?,
                Meaning::WithDomain => set_hex(&mut stored.with_domain, Algorithm::Md5, value)?,
            }
        }
        // WHY: Kamailio's rows often have an HA1 and a password that is left over; the HA1 is what it goes by then. But
        // it serves MD5 alone, so a password that is there is used.
        Ok(stored)
    }

    fn wanted(&self) -> impl Iterator<Item = (&str, Meaning)> {
        let all = [
            (self.password.as_str(), Meaning::Password),
            (&self.ha1, Meaning::Ha1(Algorithm::Md5)),
            (&self.ha1b, Meaning::WithDomain),
            (&self.sha256, Meaning::Ha1(Algorithm::Sha256)),
            (&self.sha512_256, Meaning::Ha1(Algorithm::Sha512_256)),
        ];
        all.into_iter().filter(|(name, _)| !name.is_empty())
    }
}

#[derive(Clone, Copy)]
enum Meaning {
    Password,
    Ha1(Algorithm),
    WithDomain,
}

#[cfg(test)]
pub(super) fn kamailio() -> Columns {
    let name = |name: &str| name.to_owned();
    Columns {
        table: name("subscriber"),
        username: name("username"),
        domain: name("domain"),
        password: name("password"),
        ha1: name("ha1"),
        ha1b: name("ha1b"),
        sha256: String::new(),
        sha512_256: String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn queries_name_what_is_there() {
        let all = kamailio();
        assert_eq!(
            all.query(|n| format!("${n}")),
            "SELECT password, ha1, ha1b FROM subscriber WHERE username = $1 AND domain = $2 LIMIT 1"
        );
        let few = Columns { domain: String::new(), password: String::new(), ha1b: String::new(), ..all };
        assert_eq!(few.query(|_| "?".into()), "SELECT ha1 FROM subscriber WHERE username = ? LIMIT 1");
    }

    #[test]
    fn rows_are_read_by_the_meaning_of_their_columns() {
        let row = [None, Some("a".repeat(32)), Some(String::new())];
        let stored = kamailio().stored(&row).unwrap();
        assert!(
            stored.password.is_none() && stored.plain.get(Algorithm::Md5).is_some() && stored.with_domain.is_empty()
        );
        assert!(kamailio().stored(&[None, Some("abc".into()), None]).is_err());
    }
}
