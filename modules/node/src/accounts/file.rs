//! Accounts in a TOML file. It is read again when it changed.
//!
//! ```toml
//! [[account]]
//! user = "alice"
//! domain = "example.com"        # left out: of every domain that has this file
//! md5 = "<HA1>"                 # also sha256, sha512_256; md5b, sha256b, sha512_256b: of `alice@example.com`
//! ```

use super::source::Failure;
use super::stored::{Password, Stored, set_hex};
use modules::authentication::algorithm::Algorithm;
use serde::Deserialize;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// How often it is looked whether the file changed.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    #[serde(default)]
    account: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    user: String,
    domain: Option<String>,
    password: Option<String>,
    md5: Option<String>,
    sha256: Option<String>,
    sha512_256: Option<String>,
    md5b: Option<String>,
    sha256b: Option<String>,
    sha512_256b: Option<String>,
}

/// An account of a file.
#[derive(Clone, Debug)]
pub struct FileAccount {
    /// Its user.
    pub user: String,
    /// Its domain, in lower case; empty: any.
    pub domain: String,
    /// What is stored of it.
    pub stored: Stored,
}

/// Reads a file of accounts.
///
/// # Errors
/// It cannot be read, or what is wrong in it, with its line.
pub fn read(path: &Path) -> Result<Vec<FileAccount>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let whole: Whole = toml::from_str(&text).map_err(|error| {
        // WHY not all that it says: it shows the line, and that may be one with a password.
        let line =
            error.span().and_then(|span| text.get(..span.start)).map_or(1, |before| before.matches('\n').count() + 1);
        format!("{}: line {line}: {}", path.display(), error.message())
    })?;
    whole.account.into_iter().map(|entry| entry.account().map_err(|why| format!("{}: {why}", path.display()))).collect()
}

impl Entry {
    fn account(self) -> Result<FileAccount, String> {
        let mut stored = Stored { password: self.password.map(Password), ..Stored::default() };
        let [md5, sha256, sha512_256] = Algorithm::ALL;
        for (algorithm, plain, with_domain) in [
            (md5, self.md5, self.md5b),
            (sha256, self.sha256, self.sha256b),
            (sha512_256, self.sha512_256, self.sha512_256b),
        ] {
            let named = |why| format!("account `{}`: {why}", self.user);
            plain.iter().try_for_each(|digits| set_hex(&mut stored.plain, algorithm, digits)).map_err(named)?;
            with_domain
                .iter()
                .try_for_each(|digits| set_hex(&mut stored.with_domain, algorithm, digits))
                .map_err(named)?;
        }
        if stored.password.is_none() && stored.plain.is_empty() && stored.with_domain.is_empty() {
            return Err(format!("account `{}` has neither an HA1 nor a password", self.user));
        }
        Ok(FileAccount { user: self.user, domain: self.domain.unwrap_or_default().to_ascii_lowercase(), stored })
    }
}

/// The file, in memory.
pub(super) struct AccountFile {
    path: PathBuf,
    /// WHY a lock: tasks of this lane's one thread share it; it is never contended nor held over an await.
    state: Mutex<State>,
}

struct State {
    accounts: Result<HashMap<(String, String), Stored>, String>,
    changed: Option<SystemTime>,
    next_look: Option<Instant>,
}

impl AccountFile {
    pub(super) fn new(path: PathBuf) -> Self {
        let state = State { accounts: Err("not read yet".into()), changed: None, next_look: None };
        AccountFile { path, state: Mutex::new(state) }
    }

    /// The account, if there is one.
    pub(super) fn find(&self, user: &str, domain: &str) -> Result<Option<Stored>, Failure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.look(&self.path);
        let accounts = state.accounts.as_ref().map_err(|why| Failure(why.clone()))?;
        let of = |domain: &str| accounts.get(&(user.to_owned(), domain.to_ascii_lowercase()));
        Ok(of(domain).or_else(|| of("")).cloned())
    }
}

impl State {
    fn look(&mut self, path: &Path) {
        let now = Instant::now();
        if self.next_look.is_some_and(|next| next > now) {
            return;
        }
        self.next_look = Some(now + LOOK);
        let changed = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        if changed.is_some() && changed == self.changed && self.accounts.is_ok() {
            return;
        }
        self.changed = changed;
        let keyed = |account: FileAccount| ((account.user, account.domain), account.stored);
        self.accounts = read(path).map(|accounts| accounts.into_iter().map(keyed).collect());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn accounts_are_found_by_domain_and_the_file_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.toml");
        let file = AccountFile::new(path.clone());
        assert!(file.find("alice", "example.com").is_err(), "no file");
        let ha1 = "a".repeat(32);
        let text = format!(
            "[[account]]\nuser = \"alice\"\ndomain = \"Example.com\"\nmd5 = \"{ha1}\"\n[[account]]\nuser = \"bob\"\npassword = \"x\"\n"
        );
        fs::write(&path, text).unwrap();
        file.state.lock().unwrap().next_look = None;
        assert!(file.find("alice", "example.COM").unwrap().is_some());
        assert!(file.find("alice", "example.org").unwrap().is_none());
        assert!(file.find("bob", "example.org").unwrap().is_some());
    }

    #[test]
    fn mistakes_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.toml");
        for (text, expected) in [
            ("[[account]]\nuser = \"alice\"\n", "`alice` has neither an HA1 nor a password"),
            ("[[account]]\nuser = \"alice\"\nmd5 = \"00\"\n", "an HA1 of MD5 has 32 hexadecimal digits"),
            ("[[account]]\nuser = \"alice\"\nmd4 = \"00\"\n", "md4"),
            ("[[account]\n", "line 1"),
        ] {
            fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
