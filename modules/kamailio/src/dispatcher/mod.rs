//! Sets of destinations, in the order in which Kamailio has them.
//!
//! The order decides: hashes and round robin count in it, algorithm 8 takes its first, the last gets what weights leave
//! over. Higher priorities come first, and of equal ones the last of the file: the list is made upwards and then
//! turned round.

mod algorithm;
mod destination;
mod set;
#[cfg(test)]
mod tests;

pub use algorithm::Chosen;
pub use destination::{Destination, NoDestination, destination_uri};
pub use set::{Writing, set_name, write};

use crate::report::Report;
use crate::table::Table;
use std::collections::BTreeMap;

/// One set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DestinationSet {
    /// Its number.
    pub id: i64,
    /// Its destinations in Kamailio's order.
    pub destinations: Vec<Destination>,
}

/// The sets of tables named `dispatcher`. Rows without a destination are said and left out.
pub fn sets<'t>(tables: impl Iterator<Item = &'t Table>, report: &mut Report) -> Vec<DestinationSet> {
    let mut sets: BTreeMap<i64, Vec<Destination>> = BTreeMap::new();
    for table in tables {
        for row in table.rows() {
            let subject = || format!("dispatcher row {}", row.number);
            match (row.number("setid"), row.text("destination")) {
                (Some(set), Some(uri)) => sets.entry(set).or_default().push(Destination::of(uri, &row)),
                (None, Some(uri)) => report.odd(subject(), format!("`{uri}` has no set")),
                (_, None) => report.odd(subject(), "has no destination"),
            }
        }
    }
    let ordered = |(id, mut destinations): (i64, Vec<Destination>)| {
        // Stable: equals stay in the file's order, and are turned round with all others.
        destinations.sort_by_key(|one| one.priority);
        destinations.reverse();
        DestinationSet { id, destinations }
    };
    sets.into_iter().map(ordered).collect()
}
