//! Readers: files and dumps to tables. None panics, none makes more of a file than it holds, all name the line.

pub mod address_file;
pub mod dbtext;
pub mod list;
pub mod script;
pub mod sql;

/// Why a file cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

impl Trouble {
    fn new(line: usize, why: impl Into<String>) -> Self {
        Trouble { line, why: why.into() }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for Trouble {}

#[cfg(test)]
mod tests;
