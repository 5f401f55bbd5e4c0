//! The embedded database of accounts: an SQLite file that `tandem accounts` keeps and a lane reads.
//!
//! No password stands in it, only HA1s: whoever reads them can answer challenges of this realm and nothing else.

use super::stored::Stored;
use modules::authentication::algorithm::{Algorithm, Hash};
use modules::authentication::credentials::Ha1s;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

/// Version of the layout, in the file's own field for it.
const VERSION: i64 = 1;

const LAYOUT: &str = "
    CREATE TABLE account (
        domain TEXT NOT NULL,
        username TEXT NOT NULL,
        md5 BLOB, sha256 BLOB, sha512_256 BLOB,
        md5b BLOB, sha256b BLOB, sha512_256b BLOB,
        changed INTEGER NOT NULL,
        PRIMARY KEY (domain, username)
    ) WITHOUT ROWID;
";

/// How long a writer waits for another.
const BUSY: Duration = Duration::from_secs(5);

/// The database.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
}

/// An account of it.
#[derive(Clone, Debug)]
pub struct StoredAccount {
    /// Domain, in lower case.
    pub domain: String,
    /// User.
    pub username: String,
    /// Its HA1s.
    pub stored: Stored,
    /// When it was changed last, in seconds since 1970.
    pub changed: i64,
}

/// Why the database cannot be used: with the file, and what to do.
pub type StoreError = String;

impl Store {
    /// Opens it to change it; makes it, readable by this user and group alone, if there is none.
    ///
    /// # Errors
    /// The file cannot be used, or is of another version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o640).open(path);
        match made {
            Ok(file) => file.set_permissions(std::fs::Permissions::from_mode(0o640)).map_err(|error| named(&error))?,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(named(&error)),
        }
        let connection = Connection::open(path).map_err(|error| named(&error))?;
        let store = Store { connection };
        store.prepare().map_err(|error| named(&error))?;
        Ok(store)
    }

    /// Opens it to read it.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let named =
            |error: &dyn std::fmt::Display| format!("{}: {error}; `tandem accounts add` makes it", path.display());
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| named(&error))?;
        let store = Store { connection };
        match store.version().map_err(|error| named(&error))? {
            VERSION => Ok(store),
            other => Err(named(&format!("is a database of version {other}, not {VERSION}"))),
        }
    }

    fn version(&self) -> rusqlite::Result<i64> {
        self.connection.busy_timeout(BUSY)?;
        self.connection.pragma_query_value(None, "user_version", |row| row.get(0))
    }

    fn prepare(&self) -> Result<(), String> {
        let version = self.version().map_err(|error| error.to_string())?;
        match version {
            VERSION => Ok(()),
            0 => self.lay_out().map_err(|error| error.to_string()),
            other => Err(format!("is a database of version {other}; this tandem knows {VERSION}")),
        }
    }

    fn lay_out(&self) -> rusqlite::Result<()> {
        // WHY a write-ahead log: readers and the one writer do not wait for each other.
        self.connection.pragma_update(None, "journal_mode", "wal")?;
        self.connection.execute_batch(&format!("BEGIN; {LAYOUT} PRAGMA user_version = {VERSION}; COMMIT;"))
    }

    /// Adds accounts, or replaces them: all or none. How many there were of them before.
    ///
    /// # Errors
    /// The database's.
    pub fn put<'a>(
        &mut self,
        accounts: impl IntoIterator<Item = (&'a str, &'a str, &'a Stored)>,
    ) -> rusqlite::Result<usize> {
        let transaction = self.connection.transaction()?;
        let mut replaced = 0;
        {
            let mut find = transaction.prepare_cached("SELECT 1 FROM account WHERE domain = ? AND username = ?")?;
            let mut put = transaction
                .prepare_cached("INSERT OR REPLACE INTO account VALUES (?, ?, ?, ?, ?, ?, ?, ?, unixepoch())")?;
            for (domain, username, stored) in accounts {
                let domain = domain.to_ascii_lowercase();
                replaced += usize::from(find.exists(params![domain, username])?);
                let [md5, sha256, sha512_256] =
                    Algorithm::ALL.map(|algorithm| stored.plain.get(algorithm).map(Hash::bytes));
                let [md5b, sha256b, sha512_256b] =
                    Algorithm::ALL.map(|algorithm| stored.with_domain.get(algorithm).map(Hash::bytes));
                put.execute(params![domain, username, md5, sha256, sha512_256, md5b, sha256b, sha512_256b])?;
            }
        }
        transaction.commit()?;
        Ok(replaced)
    }

    /// Takes an account out. False: there is none.
    ///
    /// # Errors
    /// The database's.
    pub fn remove(&self, domain: &str, username: &str) -> rusqlite::Result<bool> {
        let gone = "DELETE FROM account WHERE domain = ? AND username = ?";
        Ok(self.connection.execute(gone, params![domain.to_ascii_lowercase(), username])? > 0)
    }

    /// One account.
    ///
    /// # Errors
    /// The database's.
    pub fn find(&self, domain: &str, username: &str) -> rusqlite::Result<Option<StoredAccount>> {
        let one = "SELECT * FROM account WHERE domain = ? AND username = ?";
        let mut statement = self.connection.prepare_cached(one)?;
        statement.query_row(params![domain.to_ascii_lowercase(), username], account).optional()
    }

    /// Each account in turn, sorted; of one domain if it is given.
    ///
    /// # Errors
    /// The database's, or the first of `each`.
    pub fn each<E: From<rusqlite::Error>>(
        &self,
        domain: Option<&str>,
        mut each: impl FnMut(StoredAccount) -> Result<(), E>,
    ) -> Result<(), E> {
        let all = "SELECT * FROM account WHERE ?1 IS NULL OR domain = ?1 ORDER BY domain, username";
        let mut statement = self.connection.prepare(all)?;
        let mut rows = statement.query(params![domain.map(str::to_ascii_lowercase)])?;
        while let Some(row) = rows.next()? {
            each(account(row)?)?;
        }
        Ok(())
    }
}

fn account(row: &Row<'_>) -> rusqlite::Result<StoredAccount> {
    let ha1s = |columns: [&str; 3]| -> rusqlite::Result<Ha1s> {
        let mut ha1s = Ha1s::default();
        for (algorithm, column) in Algorithm::ALL.into_iter().zip(columns) {
            let bytes: Option<Vec<u8>> = row.get(column)?;
            bytes.and_then(|bytes| Hash::from_bytes(algorithm, &bytes)).into_iter().for_each(|ha1| ha1s.set(ha1));
        }
        Ok(ha1s)
    };
    let plain = ha1s(["md5", "sha256", "sha512_256"])?;
    let with_domain = ha1s(["md5b", "sha256b", "sha512_256b"])?;
    Ok(StoredAccount {
        domain: row.get("domain")?,
        username: row.get("username")?,
        stored: Stored { password: None, plain, with_domain },
        changed: row.get("changed")?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn accounts_are_kept_and_no_password_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.db");
        assert!(Store::open_to_read(&path).unwrap_err().contains("tandem accounts add"));
        let mut store = Store::open(&path).unwrap();
        let stored = Stored::of_password("alice", "example.com", "example.com", "very-secret-word");
        assert_eq!(store.put([("Example.com", "alice", &stored), ("example.com", "bob", &stored)]).unwrap(), 0);
        assert_eq!(store.put([("example.com", "alice", &stored)]).unwrap(), 1);
        let reader = Store::open_to_read(&path).unwrap();
        let found = reader.find("EXAMPLE.com", "alice").unwrap().unwrap();
        for algorithm in Algorithm::ALL {
            assert_eq!(
                found.stored.plain.get(algorithm).unwrap().bytes(),
                stored.plain.get(algorithm).unwrap().bytes()
            );
            assert!(found.stored.with_domain.get(algorithm).is_some());
        }
        let mut names = Vec::new();
        reader
            .each(Some("example.com"), |one| -> rusqlite::Result<()> {
                names.push(one.username);
                Ok(())
            })
            .unwrap();
        assert_eq!(names, ["alice", "bob"]);
        assert!(store.remove("example.com", "bob").unwrap() && !store.remove("example.com", "bob").unwrap());
        assert!(reader.find("example.com", "bob").unwrap().is_none());
        drop((store, reader));
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(16).any(|part| part == b"very-secret-word"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0, "not for others");
    }

    #[test]
    fn another_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.db");
        Store::open(&path).unwrap().connection.pragma_update(None, "user_version", 7).unwrap();
        assert!(Store::open(&path).unwrap_err().contains("version 7"));
        assert!(Store::open_to_read(&path).unwrap_err().contains("version 7"));
        std::fs::write(&path, b"this is no database, whatever its name says; it is a text").unwrap();
        assert!(Store::open(&path).is_err());
    }
}
