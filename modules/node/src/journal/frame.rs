//! The bytes of a journal file.
//!
//! A head (32 bytes: magic, version, number of the file, where the file before ends, checksum), then frames. A frame is
//! what one sync made durable: 44 bytes of head, then entries.
//!
//! | Version | Since | What |
//! |---|---|---|
//! | 1 | the first | entries as `modules::registrar` writes them |
//! | 2 | | each frame says the version of its entries, which are as in 1; a head of version 1 has zeros there |
//!
//! The head of a file has the highest version of its frames. Whoever changes entries raises the version, reads all
//! before, and keeps writing the one before as it was, for `[registrar] journal_version`. INVARIANT: a frame is written only after the sync of
//! the one before has returned, so that nothing but the last frame of a file can be torn.

use crc32fast::Hasher;

/// Version of the format that this release writes. It reads this and all before.
pub const VERSION: u16 = 2;

/// The version before, which it writes as well: yesterday's release reads it.
pub const VERSION_BEFORE: u16 = 1;

const _: () = assert!(VERSION as u32 == limits::registrar::JOURNAL_VERSION, "as the configuration has it");

/// What a file holds: said by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Registrations.
    Registrations,
    /// Records of calls.
    Records,
}

impl Content {
    const fn magic(self) -> [u8; 8] {
        match self {
            Content::Registrations => *b"TANDEMRJ",
            Content::Records => *b"TANDEMCR",
        }
    }
}

const FRAME_MAGIC: [u8; 4] = *b"TDJF";

/// Bytes of the head of a file.
pub const FILE_HEAD: usize = 32;

/// Bytes of the head of a frame.
pub const FRAME_HEAD: usize = 44;

/// The file before was used to its end.
pub const TO_ITS_END: u64 = u64::MAX;

/// Head of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHead {
    /// Version of its format.
    pub version: u16,
    /// Files are numbered from 1, without gaps.
    pub number: u64,
    /// Length of the file before at which it was given up, or [`TO_ITS_END`].
    pub previous_ends: u64,
}

/// Head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// Version of its entries.
    pub version: u16,
    /// Counts frames, over all files and starts.
    pub sequence: u64,
    /// Drawn at each start: clocks of the registrars of one start belong together.
    pub session: u64,
    /// Second of the registrars' clock when it was written.
    pub second: u32,
    /// Second of the wall clock at the same moment.
    pub wall: u64,
}

/// What stands at a place of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'b> {
    /// A whole frame.
    Frame(FrameHead, &'b [u8]),
    /// The end of the file.
    End,
    /// Bytes that are no whole frame.
    Torn,
    /// A whole frame of this version, which a later release wrote.
    Later(u16),
}

/// Why the head of a file cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHead {
    /// It is not whole: the file was being made.
    Torn,
    /// It belongs to a later release.
    Version(u16),
    /// It is no head.
    Foreign,
}

impl FileHead {
    /// Its bytes, of a file of that content.
    pub fn bytes(&self, content: Content) -> [u8; FILE_HEAD] {
        let mut bytes = [0; FILE_HEAD];
        let parts: [&[u8]; 5] = [
            &content.magic(),
            &self.version.to_le_bytes(),
            &[0, 0],
            &self.number.to_le_bytes(),
            &self.previous_ends.to_le_bytes(),
        ];
        let whole: Vec<u8> = parts.concat();
        bytes.iter_mut().zip(&whole).for_each(|(room, byte)| *room = *byte);
        let sum = checksum(&[bytes.get(..FILE_HEAD - 4).unwrap_or_default()]);
        bytes.iter_mut().rev().zip(sum.to_be_bytes().iter().rev()).for_each(|(room, byte)| *room = *byte);
        bytes
    }

    /// Reads it, of a file of that content.
    ///
    /// # Errors
    /// See [`BadHead`].
    pub fn read(file: &[u8], content: Content) -> Result<FileHead, BadHead> {
        let head = file.get(..FILE_HEAD).ok_or(BadHead::Torn)?;
        if !head.starts_with(&content.magic()) {
            return Err(if head.iter().all(|byte| *byte == 0) { BadHead::Torn } else { BadHead::Foreign });
        }
        let version = head.get(8..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u16::from_le_bytes(*bytes));
        if version > VERSION {
            return Err(BadHead::Version(version));
        }
        let sum = head.last_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        if sum != checksum(&[head.get(..FILE_HEAD - 4).unwrap_or_default()]) {
            return Err(BadHead::Torn);
        }
        let (number, previous_ends) = (long(head, 12), long(head, 20));
        Ok(FileHead { version, number, previous_ends })
    }
}

impl FrameHead {
    /// Appends a frame of these payloads.
    pub fn write<'p>(&self, payloads: impl Iterator<Item = &'p [u8]> + Clone, out: &mut Vec<u8>) {
        let length: usize = payloads.clone().map(<[u8]>::len).sum();
        let from = out.len();
        out.extend_from_slice(&FRAME_MAGIC);
        // INVARIANT: a frame is a few batches, far below 4 GiB.
        out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.session.to_le_bytes());
        out.extend_from_slice(&self.second.to_le_bytes());
        out.extend_from_slice(&self.wall.to_le_bytes());
        // Version 1 had nothing here.
        let version = if self.version == VERSION_BEFORE { 0 } else { self.version };
        out.extend_from_slice(&u32::from(version).to_le_bytes());
        payloads.for_each(|payload| out.extend_from_slice(payload));
        let frame = out.get_mut(from..).unwrap_or_default();
        let sum = checksum(&[frame.get(..8).unwrap_or_default(), frame.get(12..).unwrap_or_default()]);
        if let Some(room) = frame.get_mut(8..12) {
            room.copy_from_slice(&sum.to_le_bytes());
        }
    }

    /// What stands at `at`.
    pub fn read(file: &[u8], at: usize) -> Found<'_> {
        FrameHead::look(file, at, true)
    }

    /// The same where all has been proven before.
    pub fn unproven(file: &[u8], at: usize) -> Found<'_> {
        FrameHead::look(file, at, false)
    }

    fn look(file: &[u8], at: usize, prove: bool) -> Found<'_> {
        let bytes = file.get(at..).unwrap_or_default();
        if bytes.is_empty() {
            return Found::End;
        }
        let read = || {
            let head = bytes.get(..FRAME_HEAD).filter(|head| head.starts_with(&FRAME_MAGIC))?;
            let length = usize::try_from(word(head, 4)).ok()?;
            let frame = bytes.get(..FRAME_HEAD.checked_add(length)?)?;
            let good = !prove || checksum(&[frame.get(..8)?, frame.get(12..)?]) == word(head, 8);
            let version = u16::try_from(word(head, 40)).unwrap_or(u16::MAX).max(VERSION_BEFORE);
            if good && version > VERSION {
                return Some(Found::Later(version));
            }
            let found = FrameHead {
                version,
                sequence: long(head, 12),
                session: long(head, 20),
                second: word(head, 28),
                wall: long(head, 32),
            };
            good.then_some(Found::Frame(found, frame.get(FRAME_HEAD..)?))
        };
        read().unwrap_or(Found::Torn)
    }

    /// Whether a whole frame begins anywhere from `at` on: then what stands before it is damage, and no torn tail.
    pub fn any_behind(file: &[u8], at: usize) -> bool {
        let places = file.get(at..).unwrap_or_default().windows(FRAME_MAGIC.len()).enumerate();
        let mut places = places.filter(|(_, window)| *window == FRAME_MAGIC).map(|(place, _)| at + place);
        places.any(|place| matches!(FrameHead::read(file, place), Found::Frame(..) | Found::Later(_)))
    }
}

fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    const HEAD: FrameHead =
        FrameHead { version: VERSION, sequence: 9, session: 77, second: 1_700_000_000, wall: 1_700_000_005 };

    #[test]
    fn a_frame_comes_back_and_a_changed_or_shorter_one_is_torn() {
        let mut bytes = Vec::new();
        HEAD.write([&b"abc"[..], b"defg"].into_iter(), &mut bytes);
        assert_eq!(FrameHead::read(&bytes, 0), Found::Frame(HEAD, b"abcdefg"));
        assert_eq!(FrameHead::read(&bytes, bytes.len()), Found::End);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x20;
            assert_eq!(FrameHead::read(&changed, 0), Found::Torn, "{at}");
            if at > 0 {
                assert_eq!(FrameHead::read(&bytes[..at], 0), Found::Torn, "{at}");
            }
        }
    }

    #[test]
    fn the_head_of_a_file_comes_back_and_says_what_is_wrong_with_it() {
        let head = FileHead { version: VERSION, number: 3, previous_ends: 4_096 };
        let before = FileHead { version: VERSION_BEFORE, ..head };
        let read = |bytes: &[u8]| FileHead::read(bytes, Content::Registrations);
        let bytes = head.bytes(Content::Registrations);
        assert_eq!((read(&bytes), read(&before.bytes(Content::Registrations))), (Ok(head), Ok(before)));
        assert_eq!(read(&bytes[..31]), Err(BadHead::Torn));
        let mut later = bytes;
        later[8] = 3;
        assert_eq!(read(&later), Err(BadHead::Version(3)));
        let mut changed = bytes;
        changed[20] ^= 1;
        assert_eq!(FileHead::read(&changed, Content::Registrations), Err(BadHead::Torn));
        assert_eq!(FileHead::read(&[7; 40], Content::Registrations), Err(BadHead::Foreign));
        assert_eq!(FileHead::read(&bytes, Content::Records), Err(BadHead::Foreign));
    }

    #[test]
    fn a_frame_of_a_later_release_is_no_damage() {
        let mut bytes = Vec::new();
        FrameHead { version: VERSION + 1, ..HEAD }.write(std::iter::once(&b"x"[..]), &mut bytes);
        assert_eq!(FrameHead::read(&bytes, 0), Found::Later(VERSION + 1));
        let mut before = Vec::new();
        let head = FrameHead { version: VERSION_BEFORE, ..HEAD };
        head.write(std::iter::once(&b"x"[..]), &mut before);
        assert_eq!((FrameHead::read(&before, 0), &before[40..44]), (Found::Frame(head, b"x"), &[0; 4][..]));
    }

    #[test]
    fn a_frame_behind_damage_is_found() {
        let mut bytes = vec![1, 2, 3];
        HEAD.write(std::iter::once(&b"x"[..]), &mut bytes);
        assert!(FrameHead::any_behind(&bytes, 0) && !FrameHead::any_behind(&bytes, 4));
    }
}
