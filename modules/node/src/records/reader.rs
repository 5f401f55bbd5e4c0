//! Records read back, from any place on: for `tandem cdr`, shipping and the start.
//!
//! A file is read in one piece: it is as long as `[records]` says, and a frame can be judged only whole. What follows the
//! last whole frame is passed over: in the file that is being written it may become one.

use super::files::{numbers, path_of};
use crate::journal::frame::{BadHead, Content, FILE_HEAD, FRAME_HEAD, FileHead, Found, FrameHead};
use modules::records::{Record, ledger::Place};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Where reading goes on: behind a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Number of the file; 0: the first there is.
    pub file: u64,
    /// Offset of the next frame.
    pub offset: u64,
}

/// A record with what stands on its frame.
#[derive(Clone, Copy, Debug)]
pub struct Told<'b> {
    /// Number of the node.
    pub node: u16,
    /// Start of the process that wrote it, in milliseconds since 1970.
    pub epoch: u64,
    /// Where it stands.
    pub place: Place,
    /// The record.
    pub record: Record<'b>,
}

/// Whole frames of one file.
#[derive(Debug, Default)]
pub struct Portion {
    bytes: Vec<u8>,
    /// Number of the file, and offset of the first byte.
    file: u64,
    offset: u64,
    /// Bytes of whole frames.
    whole: usize,
    /// What follows them is no whole frame.
    pub torn: usize,
    /// Where reading goes on.
    pub next: Mark,
}

impl Portion {
    /// All records in their order.
    pub fn records(&self) -> impl Iterator<Item = Told<'_>> {
        self.frames().flat_map(move |(at, head, payload)| {
            let mut at = self.offset + (at + FRAME_HEAD) as u64;
            let (node, epoch) = (u16::try_from(head.second).unwrap_or(0), head.session);
            Record::all(payload).map(move |record| {
                let length = modules::records::record::RECORD_HEAD + record.fields.len();
                let place = Place { file: self.file, offset: at, length: u32::try_from(length).unwrap_or(0) };
                at += length as u64;
                Told { node, epoch, place, record }
            })
        })
    }

    /// When its first and last frames were written, in microseconds since 1970.
    pub fn span(&self) -> Option<(u64, u64)> {
        let mut walls = self.frames().map(|(_, head, _)| head.wall);
        let first = walls.next()?;
        Some((first, walls.last().unwrap_or(first)))
    }

    /// Whether nothing is in it.
    pub const fn is_empty(&self) -> bool {
        self.whole == 0
    }

    fn frames(&self) -> impl Iterator<Item = (usize, FrameHead, &[u8])> {
        let bytes = self.bytes.get(..self.whole).unwrap_or_default();
        let mut at = 0;
        std::iter::from_fn(move || match FrameHead::unproven(bytes, at) {
            Found::Frame(head, payload) => {
                let from = at;
                at += FRAME_HEAD + payload.len();
                Some((from, head, payload))
            }
            Found::End | Found::Torn | Found::Later(_) => None,
        })
    }
}

/// See the module.
#[derive(Debug)]
pub struct Reader {
    folder: PathBuf,
    at: Mark,
}

impl Reader {
    /// Of a folder, from a mark on.
    pub fn new(folder: &Path, at: Mark) -> Self {
        Reader { folder: folder.to_owned(), at }
    }

    /// Where it goes on.
    pub const fn mark(&self) -> Mark {
        self.at
    }

    /// Goes on elsewhere.
    pub const fn go_to(&mut self, mark: Mark) {
        self.at = mark;
    }

    /// The next frames, those of one file at most; `None`: there are no more yet.
    ///
    /// # Errors
    /// A file cannot be read, or is of a later release.
    pub fn portion(&mut self) -> io::Result<Option<Portion>> {
        let numbers = numbers(&self.folder)?;
        let from = self.at;
        for number in numbers.into_iter().filter(|number| *number >= from.file) {
            let offset = if number == from.file { from.offset } else { 0 };
            let portion = read(&self.folder, number, offset)?;
            self.at = portion.next;
            if !portion.is_empty() {
                return Ok(Some(portion));
            }
        }
        Ok(None)
    }
}

/// Behind the last record there is.
///
/// # Errors
/// The last file cannot be read, or is of a later release.
pub fn end(folder: &Path) -> io::Result<Mark> {
    match numbers(folder)?.last() {
        Some(number) => read(folder, *number, 0).map(|portion| portion.next),
        None => Ok(Mark::default()),
    }
}

/// The whole frames of a file from an offset on.
///
/// # Errors
/// It cannot be read, or is of a later release.
pub fn read(folder: &Path, number: u64, offset: u64) -> io::Result<Portion> {
    let path = path_of(folder, number);
    let mut file = File::open(&path)?;
    let from = offset.max(FILE_HEAD as u64);
    if offset < FILE_HEAD as u64 {
        let mut head = [0; FILE_HEAD];
        let read = file
            .read_exact(&mut head)
            .map_err(|_| BadHead::Torn)
            .and_then(|()| FileHead::read(&head, Content::Records));
        match read {
            Ok(_) => {}
            // It is being made, or was when the process ended.
            Err(BadHead::Torn) => return Ok(Portion { next: Mark { file: number, offset: 0 }, ..Portion::default() }),
            Err(BadHead::Version(version)) => {
                return Err(io::Error::other(format!(
                    "{}: is of version {version}, of a later release",
                    path.display()
                )));
            }
            Err(BadHead::Foreign) => return Err(io::Error::other(format!("{}: holds no records", path.display()))),
        }
    }
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let mut whole = 0;
    while let Found::Frame(_, payload) = FrameHead::read(&bytes, whole) {
        whole += FRAME_HEAD + payload.len();
    }
    let torn = bytes.len() - whole;
    let next = Mark { file: number, offset: from + whole as u64 };
    Ok(Portion { bytes, file: number, offset: from, whole, torn, next })
}
