//! The folder of record files, as it is written.
//!
//! A file is a head and frames ([`crate::journal::frame`]); a frame's `session` is the epoch, its `second` the node, its
//! `wall` in microseconds, its `sequence` that of its first record. INVARIANT: a file is written by one process and
//! never again: whatever follows its last whole frame was not written whole, and is no record.

use crate::journal::frame::{Content, FILE_HEAD, FRAME_HEAD, FileHead, FrameHead, TO_ITS_END, VERSION_BEFORE};
use modules::records::ledger::{Ledger, Page, Place, Shelf};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Version of the records' frames: there was no other yet.
const RECORDS_VERSION: u16 = VERSION_BEFORE;

const ENDING: &str = "records";

/// Files that are kept open to fetch records from.
const OPEN_MAX: usize = 16;

/// The name of a file.
pub fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.{ENDING}"))
}

/// Numbers of the files there are, in their order.
///
/// # Errors
/// The folder cannot be read.
pub fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        if path.extension().is_some_and(|ending| ending == ENDING) {
            numbers.extend(stem.and_then(|stem| stem.parse::<u64>().ok()));
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes the folder, for the owner alone, if it is not there.
///
/// # Errors
/// It cannot be made.
pub fn make(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Who writes, and how much into one file.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The folder.
    pub folder: PathBuf,
    /// Number of this node.
    pub node: u16,
    /// Start of this process in milliseconds since 1970.
    pub epoch: u64,
    /// A file that is longer is followed by another.
    pub bytes: u64,
    /// A file that is older is, too.
    pub age: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Files {
    rotation: Rotation,
    /// The last file that was begun.
    number: u64,
    open: Option<Current>,
    frame: Vec<u8>,
    /// Records that did get their sequence in written frames.
    sequence: u64,
}

#[derive(Debug)]
struct Current {
    file: Arc<File>,
    length: u64,
    since: Instant,
}

impl Files {
    /// Goes on behind what is in the folder.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn open(rotation: Rotation) -> io::Result<Self> {
        let number = numbers(&rotation.folder)?.last().copied().unwrap_or(0);
        Ok(Files { rotation, number, open: None, frame: Vec::new(), sequence: 1 })
    }

    /// The file that is written.
    pub fn current(&self) -> Option<&Arc<File>> {
        self.open.as_ref().map(|open| &open.file)
    }

    /// Number of the file that is written.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.rotation.folder
    }

    /// Hands a page to the kernel as one frame, and tells the ledger where its records stand.
    ///
    /// # Errors
    /// The disk is full or broken. Nothing of the page counts.
    pub fn append(&mut self, page: &Page, ledger: &mut Ledger, wall: u64) -> io::Result<()> {
        let full = |open: &Current| {
            open.length >= self.rotation.bytes
                || open.since.elapsed() >= self.rotation.age && open.length > FILE_HEAD as u64
        };
        if self.open.as_ref().is_some_and(full) {
            self.open = None;
        }
        if self.open.is_none() {
            self.begin(ledger, wall)?;
        }
        let at = self.write(&page.bytes, wall)?;
        ledger.placed(page, self.number, at);
        self.sequence += page.records;
        Ok(())
    }

    /// Records of a page will never be written: their sequences are missing from now on.
    pub fn skip(&mut self, page: &Page) {
        self.sequence += page.records;
    }

    /// Another file: its head, and where the records of open calls stand.
    fn begin(&mut self, ledger: &Ledger, wall: u64) -> io::Result<()> {
        let number = self.number + 1;
        let path = path_of(&self.rotation.folder, number);
        let begun = (|| {
            let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
            (&file).write_all(
                &FileHead { version: RECORDS_VERSION, number, previous_ends: TO_ITS_END }.bytes(Content::Records),
            )?;
            File::open(&self.rotation.folder)?.sync_all()?;
            Ok(file)
        })();
        let file = match begun {
            Ok(file) => file,
            Err(error) => {
                // WHY: a disk that stays full must not leave a file with every attempt.
                let _ = std::fs::remove_file(&path);
                return Err(error);
            }
        };
        self.number = number;
        self.open = Some(Current { file: Arc::new(file), length: FILE_HEAD as u64, since: Instant::now() });
        let mut checkpoint = Vec::new();
        ledger.checkpoint(wall, &mut checkpoint);
        let written = self.write(&checkpoint, wall).map(drop);
        if written.is_err() {
            let _ = std::fs::remove_file(&path);
            self.number -= 1;
            self.open = None;
        }
        written
    }

    /// Appends a frame; the offset of its first record.
    fn write(&mut self, payload: &[u8], wall: u64) -> io::Result<u64> {
        let Some(open) = &mut self.open else { return Err(io::Error::other("no file is open")) };
        let head = FrameHead {
            version: RECORDS_VERSION,
            sequence: self.sequence,
            session: self.rotation.epoch,
            second: self.rotation.node.into(),
            wall,
        };
        self.frame.clear();
        head.write(std::iter::once(payload), &mut self.frame);
        let at = open.length + FRAME_HEAD as u64;
        match (&*open.file).write_all(&self.frame) {
            Ok(()) => {
                open.length += self.frame.len() as u64;
                Ok(at)
            }
            Err(error) => {
                // What could not be written whole is taken back, if that can be; else nobody reads it.
                let _ = open.file.set_len(open.length);
                self.open = None;
                Err(error)
            }
        }
    }

    /// Removes files that nothing was written to for `keep`, but none from `bound` on.
    pub fn remove_old(&self, keep: Duration, bound: u64) -> u64 {
        let Ok(numbers) = numbers(&self.rotation.folder) else { return 0 };
        let mut removed = 0;
        for number in numbers.into_iter().filter(|number| *number < bound.min(self.number)) {
            let path = path_of(&self.rotation.folder, number);
            let written = std::fs::metadata(&path).and_then(|about| about.modified());
            let old = written.is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|ago| ago >= keep));
            // WHY no further: what is left stays without gaps.
            if !old || std::fs::remove_file(&path).is_err() {
                break;
            }
            removed += 1;
        }
        removed
    }

    /// Bytes of all files.
    pub fn total(&self) -> u64 {
        let length = |number| std::fs::metadata(path_of(&self.rotation.folder, number)).map_or(0, |about| about.len());
        numbers(&self.rotation.folder).map_or(0, |numbers| numbers.into_iter().map(length).sum())
    }
}

/// Fetches records from files, of which some are kept open.
#[derive(Debug)]
pub struct Fetcher {
    folder: PathBuf,
    open: VecDeque<(u64, File)>,
}

impl Fetcher {
    /// From this folder.
    pub fn new(folder: &Path) -> Self {
        Fetcher { folder: folder.to_owned(), open: VecDeque::new() }
    }
}

impl Shelf for Fetcher {
    fn fetch(&mut self, place: Place) -> Option<Vec<u8>> {
        let known = self.open.iter().position(|(number, _)| *number == place.file);
        let index = match known {
            Some(index) => index,
            None => {
                let file = File::open(path_of(&self.folder, place.file)).ok()?;
                self.open.truncate(OPEN_MAX - 1);
                self.open.push_front((place.file, file));
                0
            }
        };
        let mut bytes = vec![0; usize::try_from(place.length).ok()?];
        self.open.get(index)?.1.read_exact_at(&mut bytes, place.offset).ok()?;
        Some(bytes)
    }
}
