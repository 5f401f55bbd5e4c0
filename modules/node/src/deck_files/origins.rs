//! Origin groups of a deck: a file of `group,prefix` rows.

use super::FileError;
use deck::Code;
use std::path::Path;

/// Most rows of one file.
const ORIGIN_ROWS_MAX: usize = 1_000_000;

/// Reads a CSV file with the columns group and prefix; a header is recognised by its prefix not being digits.
///
/// # Errors
/// The first row that cannot be understood.
pub fn read_origins(path: &Path) -> Result<Vec<(String, Code)>, FileError> {
    let mut origins = Vec::new();
    for row in rows(path, ORIGIN_ROWS_MAX)? {
        let (line, fields) = row;
        let [group, prefix, ..] = fields.as_slice() else {
            return Err(FileError::new(path, line, "write a group and a prefix, such as: EEA,49"));
        };
        match Code::of_number(prefix.as_bytes()) {
            Some(prefix) => origins.push((group.to_lowercase(), prefix)),
            None if line == 1 => {}
            None => return Err(FileError::new(path, line, format!("`{prefix}` is no prefix: write digits"))),
        }
    }
    Ok(origins)
}

/// Rows of a small comma-separated file, with their lines; empty ones are skipped.
pub(super) fn rows(path: &Path, most: usize) -> Result<Vec<(u64, Vec<String>)>, FileError> {
    let text = std::fs::read_to_string(path).map_err(|error| FileError::new(path, 0, error))?;
    let lines = (1_u64..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let field = |field: &str| field.trim().trim_matches('"').trim().to_owned();
    let rows: Vec<_> =
        lines.map(|(number, line)| (number, line.split([',', ';', '\t']).map(field).collect())).collect();
    if rows.len() > most {
        return Err(FileError::new(path, 0, format!("more than {most} rows")));
    }
    Ok(rows)
}
