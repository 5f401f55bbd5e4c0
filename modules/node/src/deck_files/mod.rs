//! Rate decks on disk: files are read here, images written and read. Called by `tandem deck`, and by
//! whoever puts decks into service; never by a shard.

pub mod image_file;
mod origins;
pub mod read;
pub mod service;
mod sheet;
pub mod source;
mod states;

#[cfg(test)]
mod tests;

pub use origins::read_origins;
pub use states::{read_local_exchanges, read_states};

use std::path::{Path, PathBuf};

/// A file that could not be read, or does not hold what it should.
#[derive(Debug)]
pub struct FileError {
    /// Which.
    pub path: PathBuf,
    /// Line, from 1; 0: the file as a whole.
    pub line: u64,
    /// What is wrong and what to do.
    pub why: String,
}

impl FileError {
    fn new(path: &Path, line: u64, why: impl ToString) -> Self {
        FileError { path: path.to_owned(), line, why: why.to_string() }
    }
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.path.display())?;
        if self.line > 0 {
            write!(f, ", line {}", self.line)?;
        }
        write!(f, ": {}", self.why)
    }
}

impl std::error::Error for FileError {}
