//! Pages that wait while the disk is full or broken, the oldest first.

use super::files::Files;
use limits::records::BACKLOG_BYTES_MAX;
use modules::records::Ledger;
use modules::records::ledger::Page;
use std::collections::VecDeque;
use std::io;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    pages: VecDeque<Page>,
    bytes: usize,
    /// Records that found no room here.
    pub(super) lost: u64,
}

impl Backlog {
    /// Adds a page. The oldest ones are lost when there are too many bytes.
    pub(super) fn push(&mut self, page: Page, files: &mut Files) {
        self.bytes += page.bytes.len();
        self.pages.push_back(page);
        while self.bytes > BACKLOG_BYTES_MAX
            && let Some(page) = self.pages.pop_front()
        {
            self.bytes -= page.bytes.len();
            self.lost += page.records;
            files.skip(&page);
        }
    }

    /// Writes what waits. The number of records that were.
    ///
    /// # Errors
    /// What the disk says; what is left waits on.
    pub(super) fn write(&mut self, files: &mut Files, ledger: &mut Ledger, wall: u64) -> io::Result<u64> {
        let mut written = 0;
        while let Some(page) = self.pages.front() {
            files.append(page, ledger, wall)?;
            written += page.records;
            self.bytes -= page.bytes.len();
            self.pages.pop_front();
        }
        Ok(written)
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Records that wait.
    pub(super) fn records(&self) -> u64 {
        self.pages.iter().map(|page| page.records).sum()
    }
}
