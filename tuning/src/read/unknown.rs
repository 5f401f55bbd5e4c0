//! Keys that are not known where they stand: misspelt, in the wrong table, or of another program.

use super::kamailio;
use super::reader::suggestion;
use crate::config::Config;
use crate::diagnostic::Finding;
use crate::schema::{Key, Section};
use std::ops::Range;

/// Most other places of a key that a message lists.
const PLACES_SHOWN_MAX: usize = 3;

/// What is said about the key `name` at `place`, in the table `table` (empty: the top level).
pub(super) fn unknown_key(name: &str, place: Range<usize>, table: &str, known: &[Key]) -> Finding {
    let around = if table.is_empty() { "at the top level".to_owned() } else { format!("in `{table}`") };
    let finding = Finding::error("unknown-key", Some(place), format!("unknown key `{name}` {around}"));
    if let Some(likely) = suggestion(name, known.iter().map(|key| key.name)) {
        return finding.label(format!("did you mean `{likely}`?")).remedy(format!("write `{likely}`"));
    }
    let all: Vec<_> = known.iter().map(|key| format!("`{}`", key.name)).collect();
    let all = format!("the keys here are {}", all.join(", "));
    let mut places = Vec::new();
    collect(name, "", &Config::keys(), &mut places);
    match places.as_slice() {
        [] => match kamailio::instead_of(name) {
            Some(instead) => finding.label("a word of Kamailio's").remedy(instead),
            None => finding.label("not known").remedy(all),
        },
        [top, ..] if top.is_empty() => {
            let remedy = "move it to the top of the file: what stands below a [header] belongs to that table";
            finding.label("a key of the top level").remedy(remedy)
        }
        places => {
            let shown: Vec<_> = places.iter().take(PLACES_SHOWN_MAX).map(|place| format!("`{place}`")).collect();
            finding.label(format!("a key of {}", shown.join(", "))).remedy(format!("move it there; {all}"))
        }
    }
}

/// Tables that have a key of that name, by path; the top level is the empty path.
fn collect(name: &str, table: &str, keys: &[Key], places: &mut Vec<String>) {
    if keys.iter().any(|key| key.name == name) {
        places.push(table.to_owned());
    }
    for key in keys {
        if let Some(inner) = key.kind.table_keys() {
            let path = if table.is_empty() { key.name.to_owned() } else { format!("{table}.{}", key.name) };
            collect(name, &path, &inner, places);
        }
    }
}
