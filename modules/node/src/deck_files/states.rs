//! The tables of North America: states by exchange, and exchanges that are local to one another.

use super::FileError;
use super::origins::rows;
use deck::nanp::StateTable;
use std::path::Path;

/// Most rows: there are 800 × 800 exchanges with ten thousands-blocks each, and some hundred pairs for each.
const EXCHANGE_ROWS_MAX: usize = 6_400_000;
const PAIR_ROWS_MAX: usize = 50_000_000;

/// Reads rows of exchange and state: `201555,NJ`, `2015551,NJ`, `201,555,NJ` or `201,555,1,NJ`.
///
/// # Errors
/// The first row that cannot be understood; a first row that cannot is a header.
pub fn read_states(path: &Path, table: &mut StateTable) -> Result<(), FileError> {
    for (line, fields) in rows(path, EXCHANGE_ROWS_MAX)? {
        let (exchange, state) = match fields.as_slice() {
            [exchange, state] => (exchange.clone(), state),
            [npa, nxx, state] => (format!("{npa}{nxx}"), state),
            // A block of A is the whole exchange.
            [npa, nxx, block, state] if block.eq_ignore_ascii_case("A") => (format!("{npa}{nxx}"), state),
            [npa, nxx, block, state] => (format!("{npa}{nxx}{block}"), state),
            _ => return Err(FileError::new(path, line, "write an exchange and a state, such as: 201555,NJ")),
        };
        if let Err(error) = table.exchange(&exchange, state)
            && line > 1
        {
            let why = match error {
                deck::nanp::StateError::BadExchange => {
                    format!("`{exchange}` is no exchange: write NPA-NXX or NPA-NXX-X")
                }
                deck::nanp::StateError::BadState => format!("`{state}` is no state: write two letters"),
            };
            return Err(FileError::new(path, line, why));
        }
    }
    Ok(())
}

/// Reads rows of two exchanges, from which to which calls are local.
///
/// # Errors
/// As [`read_states`].
pub fn read_local_exchanges(path: &Path, table: &mut StateTable) -> Result<(), FileError> {
    for (line, fields) in rows(path, PAIR_ROWS_MAX)? {
        let [from, to] = fields.as_slice() else {
            return Err(FileError::new(path, line, "write two exchanges, such as: 201555,201556"));
        };
        if table.local(from, to).is_err() && line > 1 {
            return Err(FileError::new(path, line, "one of the two is no exchange: write NPA-NXX"));
        }
    }
    Ok(())
}
