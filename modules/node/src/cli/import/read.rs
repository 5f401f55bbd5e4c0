//! Files and databases to tables, each by what it is.

use super::database;
use kamailio::read::{address_file, dbtext, list, sql};
use kamailio::report::Report;
use kamailio::table::{self, Table};
use std::path::Path;

/// Largest file that is read: it is held in memory whole, and once more as its values.
const FILE_BYTES_MAX: u64 = 4 << 30;

/// Everything that is named, and the file of addresses.
pub(super) fn all(from: &[String], addresses: Option<&Path>, report: &mut Report) -> Result<Vec<Table>, String> {
    let mut tables = Vec::new();
    for one in from {
        if database::is_one(one) {
            tables.extend(database::read(one)?);
        } else {
            tables.extend(path(Path::new(one), report)?);
        }
    }
    if let Some(file) = addresses {
        tables.push(address_file::read(&text(file)?));
    }
    Ok(tables)
}

fn path(path: &Path, report: &mut Report) -> Result<Vec<Table>, String> {
    if path.is_dir() {
        return folder(path);
    }
    let text = text(path)?;
    let named = |trouble: kamailio::read::Trouble| format!("{}: {trouble}", path.display());
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if table::is_known(name) && dbtext::looks_like(&text) {
        return dbtext::read(name, &text).map(|table| vec![table]).map_err(named);
    }
    if sql::looks_like(&text) {
        return sql::read(&text, table::is_known).map_err(named);
    }
    Ok(vec![list::read(&text, report)])
}

/// The files of a folder of dbtext that are called like tables.
fn folder(path: &Path) -> Result<Vec<Table>, String> {
    let mut tables = Vec::new();
    for name in table::known() {
        let file = path.join(name);
        if file.is_file() {
            tables.push(dbtext::read(name, &text(&file)?).map_err(|trouble| format!("{}: {trouble}", file.display()))?);
        }
    }
    if tables.is_empty() {
        return Err(format!("{}: no file of it is called like a table that is imported", path.display()));
    }
    Ok(tables)
}

/// A file as text; octets that are none are replaced.
pub(super) fn text(path: &Path) -> Result<String, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let length = std::fs::metadata(path).map_err(|error| named(&error))?.len();
    if length > FILE_BYTES_MAX {
        return Err(named(&format!("is longer than {} GiB", FILE_BYTES_MAX >> 30)));
    }
    let octets = std::fs::read(path).map_err(|error| named(&error))?;
    Ok(String::from_utf8(octets).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
