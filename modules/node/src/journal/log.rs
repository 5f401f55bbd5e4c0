//! The journal as it is written: frames appended to the newest file, another file when it is long enough.
//!
//! After any failure the file is given up at the end of its last good frame: the next one says where that is, so that
//! whatever the failed write left behind is never read.

use super::frame::{Content, FILE_HEAD, FRAME_HEAD, FileHead, FrameHead, TO_ITS_END};
use super::medium::{Appending, Medium};
use std::io;

/// Where the next frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The newest file; 0: there is none.
    pub file: u64,
    /// Its length up to its last good frame.
    pub length: u64,
    /// Of the next frame.
    pub sequence: u64,
    /// Bytes of all files.
    pub total: u64,
    /// The oldest file.
    pub oldest: u64,
}

/// See the module.
pub struct Log<M: Medium> {
    medium: M,
    open: Option<M::Open>,
    position: Position,
    version: u16,
    session: u64,
    file_bytes: u64,
    frame: Vec<u8>,
    lengths: Vec<(u64, u64)>,
    /// Where the file before the newest ends, as the newest says.
    previous_ends: u64,
}

impl<M: Medium> Log<M> {
    /// Goes on behind what a survey found, in a new file with the first frame. `version`: of what it writes. `session`:
    /// a number of this start.
    pub fn new(
        medium: M,
        position: Position,
        lengths: Vec<(u64, u64)>,
        version: u16,
        session: u64,
        file_bytes: u64,
    ) -> Self {
        Log {
            medium,
            open: None,
            position,
            version,
            session,
            file_bytes,
            frame: Vec::new(),
            lengths,
            previous_ends: TO_ITS_END,
        }
    }

    /// Writes the payloads as one frame and returns when the disk has them. `second` and `wall`: the registrars'
    /// clock and the wall's, now.
    ///
    /// # Errors
    /// The disk is full or broken. Nothing of the frame counts; the next one goes into another file.
    pub fn append<'p>(
        &mut self,
        payloads: impl Iterator<Item = &'p [u8]> + Clone,
        second: u32,
        wall: u64,
    ) -> io::Result<()> {
        let (version, sequence, session) = (self.version, self.position.sequence, self.session);
        let head = FrameHead { version, sequence, session, second, wall };
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        head.write(payloads, &mut frame);
        let written = self.write(&frame);
        self.frame = frame;
        written
    }

    /// Bytes of all files.
    pub fn total(&self) -> u64 {
        self.position.total
    }

    /// The next frame goes into another file; its number.
    pub fn roll(&mut self) -> u64 {
        self.open = None;
        if self.newest_is_empty() { self.position.file } else { self.position.file + 1 }
    }

    /// Whether nothing is in the newest file.
    fn newest_is_empty(&self) -> bool {
        self.lengths.last().is_some_and(|(_, length)| *length == FILE_HEAD as u64)
    }

    /// Removes the files before `number`. What cannot be removed stays, and costs room only. Whether all are gone.
    pub fn remove_before(&mut self, number: u64) -> bool {
        let medium = &mut self.medium;
        let total = &mut self.position.total;
        // INVARIANT: the oldest first, and no further than the first that stays: files have no gaps.
        while let Some((file, length)) = self.lengths.first().copied().filter(|(file, _)| *file < number) {
            if medium.remove(file).is_err() {
                break;
            }
            *total = total.saturating_sub(length);
            self.lengths.remove(0);
        }
        self.position.oldest = self.lengths.first().map_or(number, |(file, _)| *file);
        self.position.oldest >= number
    }

    fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        let long = self.position.length.saturating_add(frame.len() as u64) > self.file_bytes;
        let empty = self.position.length <= (FILE_HEAD + FRAME_HEAD) as u64;
        if long && !empty {
            self.open = None;
        }
        if self.open.is_none() {
            self.next_file()?;
        }
        let Some(open) = &mut self.open else { return Err(io::Error::other("no file is open")) };
        if let Err(error) = open.append(frame).and_then(|()| open.sync()) {
            self.open = None;
            return Err(error);
        }
        self.position.length += frame.len() as u64;
        self.position.total += frame.len() as u64;
        self.position.sequence += 1;
        if let Some((_, length)) = self.lengths.last_mut() {
            *length = self.position.length;
        }
        Ok(())
    }

    /// The next file, with its head on the disk.
    fn next_file(&mut self) -> io::Result<()> {
        // WHY the same again when nothing is in it: a disk that stays full must not leave a file with every attempt.
        let same = self.newest_is_empty();
        let (number, previous_ends) = match (self.position.file, same) {
            (0, _) => (1, TO_ITS_END),
            (file, true) => (file, self.previous_ends),
            (file, false) => (file + 1, self.position.length),
        };
        let mut open = self.medium.create(number)?;
        open.append(&FileHead { version: self.version, number, previous_ends }.bytes(Content::Registrations))?;
        open.sync()?;
        self.open = Some(open);
        self.previous_ends = previous_ends;
        self.position.file = number;
        self.position.length = FILE_HEAD as u64;
        if !same {
            self.position.total += FILE_HEAD as u64;
            self.lengths.push((number, FILE_HEAD as u64));
        }
        Ok(())
    }
}
