//! Accounts of elsewhere: CSV with a header line, and dumps of Kamailio's `subscriber` (mysqldump, pg_dump).
//!
//! Columns are known by their names, those of Kamailio among them; columns of other names are left out. A password
//! becomes HA1s of every algorithm and is forgotten; without one the HA1s are taken as they are.

use super::stored::{Stored, set_hex};
use kamailio::read::sql;
use modules::authentication::algorithm::Algorithm;

/// One account, to be put into the database.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Its domain.
    pub domain: String,
    /// Its user.
    pub username: String,
    /// Its HA1s.
    pub stored: Stored,
}

/// What an import takes for granted.
#[derive(Clone, Copy, Debug)]
pub struct Defaults<'d> {
    /// Domain of rows that have none.
    pub domain: Option<&'d str>,
    /// Realm that HA1s of passwords are made for; none: the row's domain.
    pub realm: Option<&'d str>,
}

/// Columns that a file may call by several names.
const USERNAME: &[&str] = &["username", "user", "name"];
const DOMAIN: &[&str] = &["domain", "realm"];
const PASSWORD: &[&str] = &["password", "secret"];
/// Algorithm, of `user@domain`, names.
const HA1S: [(Algorithm, bool, &[&str]); 6] = [
    (Algorithm::Md5, false, &["ha1", "md5"]),
    (Algorithm::Md5, true, &["ha1b", "md5b"]),
    (Algorithm::Sha256, false, &["sha256", "ha1_sha256"]),
    (Algorithm::Sha256, true, &["sha256b", "ha1b_sha256"]),
    (Algorithm::Sha512_256, false, &["sha512_256", "ha1_sha512t256"]),
    (Algorithm::Sha512_256, true, &["sha512_256b", "ha1b_sha512t256"]),
];

/// Reads a file of whatever kind it is.
///
/// # Errors
/// The first row that is no account, by its number.
pub fn read(text: &str, defaults: Defaults<'_>) -> Result<Vec<Imported>, String> {
    let tables = if sql::looks_like(text) {
        sql::read(text, |name| name == SUBSCRIBER).map_err(|trouble| trouble.to_string())?
    } else {
        Vec::new()
    };
    let (columns, rows) = match tables.into_iter().next() {
        Some(table) => (table.columns().into_iter().map(str::to_owned).collect(), table.rows),
        None => comma_separated(text)?,
    };
    let places = Places::of(&columns)?;
    let numbered = rows.iter().zip(1..);
    numbered.map(|(row, number)| places.account(row, defaults).map_err(|why| format!("row {number}: {why}"))).collect()
}

const SUBSCRIBER: &str = "subscriber";

type Rows = (Vec<String>, Vec<Vec<Option<String>>>);

fn comma_separated(text: &str) -> Result<Rows, String> {
    let first = text.lines().next().unwrap_or_default();
    let delimiter = if first.contains(';') && !first.contains(',') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(text.as_bytes());
    let columns = reader.headers().map_err(|error| error.to_string())?.iter().map(str::to_owned).collect();
    let row = |record: csv::Result<csv::StringRecord>| {
        record.map(|record| record.iter().map(|value| Some(value.to_owned())).collect())
    };
    let rows = reader.records().map(row).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    Ok((columns, rows))
}

/// Where the columns stand.
pub(crate) struct Places {
    username: usize,
    domain: Option<usize>,
    password: Option<usize>,
    ha1s: Vec<(Algorithm, bool, usize)>,
}

impl Places {
    /// # Errors
    /// No column names users, or none proves anything of them.
    pub(crate) fn of(columns: &[String]) -> Result<Self, String> {
        let named = |names: &[&str]| {
            columns.iter().position(|column| names.iter().any(|name| column.trim().eq_ignore_ascii_case(name)))
        };
        let username =
            named(USERNAME).ok_or_else(|| format!("no column is called `username`, only {}", columns.join(", ")))?;
        let ha1s: Vec<_> = HA1S
            .iter()
            .filter_map(|(algorithm, with_domain, names)| Some((*algorithm, *with_domain, named(names)?)))
            .collect();
        let places = Places { username, domain: named(DOMAIN), password: named(PASSWORD), ha1s };
        if places.password.is_none() && places.ha1s.is_empty() {
            return Err(format!("no column is called `password` or `ha1`, only {}", columns.join(", ")));
        }
        Ok(places)
    }

    /// # Errors
    /// The row is no account.
    pub(crate) fn account(&self, row: &[Option<String>], defaults: Defaults<'_>) -> Result<Imported, String> {
        let text =
            |place: Option<usize>| place.and_then(|place| row.get(place)?.as_deref()).filter(|text| !text.is_empty());
        let username = text(Some(self.username)).ok_or("has no user name")?;
        let domain = text(self.domain).or(defaults.domain).ok_or("has no domain; name one with --domain")?;
        let realm = defaults.realm.unwrap_or(domain);
        let stored = match text(self.password) {
            Some(password) => Stored::of_password(username, domain, realm, password),
            None => self.hashes(&text).map_err(|why| format!("`{username}`: {why}"))?,
        };
        Ok(Imported { domain: domain.to_owned(), username: username.to_owned(), stored })
    }

    fn hashes<'r>(&self, text: &impl Fn(Option<usize>) -> Option<&'r str>) -> Result<Stored, String> {
        let mut stored = Stored::default();
        for (algorithm, with_domain, place) in &self.ha1s {
            let Some(digits) = text(Some(*place)) else { continue };
            let ha1s = if *with_domain { &mut stored.with_domain } else { &mut stored.plain };
            set_hex(ha1s, *algorithm, digits)?;
        }
        let empty = stored.plain.is_empty() && stored.with_domain.is_empty();
        if empty { Err("has neither a password nor an HA1".into()) } else { Ok(stored) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use modules::authentication::algorithm::Hash;

    /// HA1s of alice and bob at example.com with the password `secret`, as Kamailio's kamctl makes them.
    fn ha1(name: &str) -> String {
        let hash = Algorithm::Md5.hash(&[name.as_bytes(), b"example.com", b"secret"]);
        String::from_utf8(hash.hex().as_bytes().to_vec()).unwrap()
    }

    fn imported(text: &str) -> Vec<Imported> {
        read(text, Defaults { domain: None, realm: None }).unwrap()
    }

    #[test]
    fn every_kind_of_file_yields_the_same_accounts() {
        let (plain, with_domain) = (ha1("alice"), ha1("alice@example.com"));
        let files = [
            format!("username,domain,ha1,ha1b\nalice,example.com,{plain},{with_domain}\n"),
            "User;Domain;Password\nalice;example.com;secret\n".to_owned(),
            format!(
                "-- MariaDB dump\nINSERT INTO `version` VALUES ('subscriber',7);\nINSERT INTO `subscriber` VALUES \
                 (1,'alice','example.com','','{plain}','{with_domain}'),\n(2,'o\\'hara','example.com','','{plain}',NULL);\n"
            ),
            format!(
                "INSERT INTO public.subscriber (id, username, domain, ha1, ha1b) VALUES (1, 'alice', 'example.com', '{plain}', '{with_domain}');\n"
            ),
            format!(
                "COPY public.subscriber (id, username, domain, password, ha1, ha1b) FROM stdin;\n\
                 1\talice\texample.com\t\\N\t{plain}\t{with_domain}\n\\.\n"
            ),
        ];
        for text in files {
            let accounts = imported(&text);
            let alice = &accounts[0];
            assert_eq!((alice.username.as_str(), alice.domain.as_str()), ("alice", "example.com"), "{text}");
            let md5 =
                |ha1s: &modules::authentication::credentials::Ha1s| ha1s.get(Algorithm::Md5).map(Hash::hex).unwrap();
            assert_eq!(md5(&alice.stored.plain).as_bytes(), plain.as_bytes(), "{text}");
            assert_eq!(md5(&alice.stored.with_domain).as_bytes(), with_domain.as_bytes(), "{text}");
            assert!(accounts.get(1).is_none_or(|second| second.username == "o'hara"));
        }
    }

    #[test]
    fn what_is_no_account_is_named_by_its_row() {
        let fails = |text: &str| read(text, Defaults { domain: None, realm: None }).unwrap_err();
        assert!(fails("a,b\n1,2\n").contains("no column is called `username`"));
        assert!(fails("username,domain\nalice,x\n").contains("`password` or `ha1`"));
        assert_eq!(fails("username,password\nalice,x\n"), "row 1: has no domain; name one with --domain");
        assert_eq!(fails("username,domain,ha1\na,x,00\n"), "row 1: `a`: an HA1 of MD5 has 32 hexadecimal digits");
        assert!(fails("username,domain,ha1\na,x,\n").contains("neither a password nor an HA1"));
        let given = Defaults { domain: Some("example.com"), realm: Some("r") };
        assert_eq!(read("username,password\nalice,x\n", given).unwrap()[0].domain, "example.com");
    }
}
