//! The folder that an import writes.

use super::bindings;
use crate::accounts::import::{Defaults, Places};
use crate::accounts::store::Store;
use crate::cli::deck::build_image;
use kamailio::location::Location;
use kamailio::report::Report;
use kamailio::table::Table;
use kamailio::translate::{ACCOUNTS, STATE};
use std::path::{Path, PathBuf};
use tuning::Diagnostics;

/// See the module.
pub(super) struct Folder {
    path: PathBuf,
}

const CONFIGURATION: &str = "tandem.toml";
const REPORT: &str = "report.txt";
const DECKS: &str = "decks";

impl Folder {
    /// Makes it. `again`: it may have an import already.
    pub(super) fn make(path: &Path, again: bool) -> Result<Self, String> {
        let named = |error: std::io::Error| format!("{}: {error}", path.display());
        std::fs::create_dir_all(path.join(DECKS)).map_err(named)?;
        let path = path.canonicalize().map_err(named)?;
        if path.join(CONFIGURATION).exists() && !again {
            return Err(format!("{} has an import already: name another folder, or give --force", path.display()));
        }
        Ok(Folder { path })
    }

    /// Its path, to be written into a file.
    pub(super) fn path(&self) -> Result<&str, String> {
        self.path.to_str().ok_or_else(|| format!("{}: its name is no text", self.path.display()))
    }

    pub(super) fn configuration_path(&self) -> PathBuf {
        self.path.join(CONFIGURATION)
    }

    /// The embedded database of accounts. Rows that are none are said and left out.
    pub(super) fn accounts(&self, tables: &[Table], domain: Option<&str>, report: &mut Report) -> Result<(), String> {
        if tables.is_empty() {
            return Ok(());
        }
        let mut accounts = Vec::new();
        for table in tables {
            let columns: Vec<String> = table.columns().into_iter().map(str::to_owned).collect();
            let places = Places::of(&columns)?;
            for (row, number) in table.rows.iter().zip(1..) {
                match places.account(row, Defaults { domain, realm: None }) {
                    Ok(account) => accounts.push(account),
                    Err(why) => report.odd(format!("subscriber row {number}"), why),
                }
            }
        }
        let file = self.path.join(ACCOUNTS);
        let mut store = Store::open(&file)?;
        let rows = accounts.iter().map(|one| (one.domain.as_str(), one.username.as_str(), &one.stored));
        store.put(rows).map_err(|error| format!("{}: {error}", file.display()))?;
        report.otherwise("subscriber", "passwords became HA1s, their domain as realm, and are stored no more; cr_preferred_carrier and the like are left out");
        Ok(())
    }

    /// The registrar's journal, in a state directory that has none yet.
    pub(super) fn bindings(&self, all: &[Location], listen: &[String], report: &mut Report) -> Result<(), String> {
        if all.is_empty() { Ok(()) } else { bindings::write(&self.path.join(STATE), all, listen, report) }
    }

    /// Configuration and decks, and their image. What `tandem check` has against it, if it has anything.
    pub(super) fn configuration(
        &self,
        toml: &str,
        decks: &[(String, String)],
    ) -> Result<Result<(), Diagnostics>, String> {
        for (name, text) in decks {
            self.file(&format!("{DECKS}/{name}"), text)?;
        }
        self.file(CONFIGURATION, toml)?;
        match tuning::load(&self.configuration_path()) {
            Err(diagnostics) => return Ok(Err(diagnostics)),
            Ok(loaded) if !loaded.config.decks.is_empty() => build_image(&loaded.config)?,
            Ok(_) => {}
        }
        Ok(Ok(()))
    }

    pub(super) fn report(&self, text: &str) -> Result<(), String> {
        self.file(REPORT, text)
    }

    fn file(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.path.join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    }
}
