//! One deck from one file: CSV as it streams, or the sheets of a workbook.

use super::{FileError, sheet};
use deck::read::{DeckReader, Read, Settings};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// What is read at once: large enough that a system call costs nothing beside the parsing.
const CHUNK_BYTES: usize = 1 << 20;

/// A workbook is a ZIP archive.
const WORKBOOK_MAGIC: &[u8] = b"PK\x03\x04";

/// Reads the deck in `path`. `progress` is told the rows understood so far, now and then.
///
/// # Errors
/// When the file cannot be read, or is a workbook that cannot. What is odd inside is in [`Read::findings`].
pub fn read_deck(path: &Path, settings: Settings, progress: &mut dyn FnMut(usize)) -> Result<Read, FileError> {
    let fail = |error: std::io::Error| FileError::new(path, 0, error);
    let mut file = File::open(path).map_err(fail)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut reader = DeckReader::new(settings);
    let mut first = true;
    loop {
        let length = file.read(&mut chunk).map_err(fail)?;
        let octets = chunk.get(..length).unwrap_or_default();
        if first && octets.starts_with(WORKBOOK_MAGIC) {
            sheet::read_workbook(path, &mut reader)?;
            break;
        }
        if octets.is_empty() {
            break;
        }
        first = false;
        reader.push(octets);
        progress(reader.rows());
    }
    Ok(reader.finish())
}
