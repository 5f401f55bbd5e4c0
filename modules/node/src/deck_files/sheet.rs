//! Workbooks (xlsx): each sheet's rows, as text, into the reader that also takes CSV.

use super::FileError;
use calamine::{Data, Reader as _, Xlsx, open_workbook};
use deck::read::DeckReader;
use std::io::BufReader;
use std::path::Path;

/// Largest workbook on disk, and largest once it is unpacked: archives can grow a thousandfold.
const WORKBOOK_BYTES_MAX: u64 = 256 << 20;
const UNPACKED_BYTES_MAX: u64 = 2 << 30;

/// Columns that are looked at.
const COLUMNS_MAX: usize = 256;

/// Reads all sheets, one after the other; each may have a header of its own.
pub(super) fn read_workbook(path: &Path, reader: &mut DeckReader) -> Result<(), FileError> {
    let fail = |why: String| FileError::new(path, 0, why);
    bounded(path)?;
    let mut workbook: Xlsx<BufReader<std::fs::File>> =
        open_workbook(path).map_err(|error: calamine::XlsxError| fail(format!("not a workbook: {error}")))?;
    for name in workbook.sheet_names() {
        let failed = |error: calamine::XlsxError| fail(format!("sheet `{name}`: {error}"));
        let mut cells = workbook.worksheet_cells_reader(&name).map_err(failed)?;
        let (mut line, mut fields) = (0, Vec::new());
        // WHY cell by cell: a sheet with one cell in its last corner would be a table of 17 billion.
        while let Some(cell) = cells.next_cell().map_err(failed)? {
            let (row, column) = cell.get_position();
            if row != line {
                reader.row(u64::from(line) + 1, &fields);
                (line, fields) = (row, Vec::new());
            }
            let column = column as usize;
            if column < COLUMNS_MAX {
                fields.resize(fields.len().max(column + 1), String::new());
                if let Some(field) = fields.get_mut(column) {
                    *field = text_of(&Data::from(cell.get_value().clone()));
                }
            }
        }
        reader.row(u64::from(line) + 1, &fields);
    }
    Ok(())
}

/// Refuses what would not fit the memory.
fn bounded(path: &Path) -> Result<(), FileError> {
    let fail = |why: String| FileError::new(path, 0, why);
    let file = std::fs::File::open(path).map_err(|error| fail(error.to_string()))?;
    let length = file.metadata().map_err(|error| fail(error.to_string()))?.len();
    if length > WORKBOOK_BYTES_MAX {
        return Err(fail(format!("{length} octets: export so large a sheet as CSV")));
    }
    let mut archive =
        zip::ZipArchive::new(BufReader::new(file)).map_err(|error| fail(format!("not a workbook: {error}")))?;
    let mut unpacked = 0_u64;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| fail(format!("not a workbook: {error}")))?;
        unpacked = unpacked.saturating_add(entry.size());
    }
    if unpacked > UNPACKED_BYTES_MAX {
        return Err(fail(format!("{unpacked} octets once unpacked: export so large a sheet as CSV")));
    }
    Ok(())
}

/// A cell as it would stand in a CSV file.
fn text_of(cell: &Data) -> String {
    match cell {
        Data::Float(number) => number_text(*number),
        Data::DateTime(date) if date.is_datetime() => number_text(date.as_f64()),
        Data::DateTimeIso(text) | Data::DurationIso(text) | Data::String(text) => text.clone(),
        Data::Empty => String::new(),
        other => other.to_string(),
    }
}

/// A number as the person who typed it saw it: a sheet holds 0.0123 as the nearest binary fraction, whose
/// shortest text is 0.0123 again, unless a formula left noise in the last places.
fn number_text(number: f64) -> String {
    let shortest = number.to_string();
    let decimals = shortest.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    if decimals <= 12 {
        return shortest;
    }
    let rounded = format!("{number:.10}");
    rounded.trim_end_matches('0').trim_end_matches('.').to_owned()
}
