//! Octets become an image only when hash, version and layout are right.

use super::Image;
use super::format::{
    DECK_BYTES, DECKS_MAX, HASH_AT, HEADER_BYTES, MAGIC, SECTION_ALIGNMENT, SECTION_COUNT, Section, VERSION, u32_at,
    u64_at,
};
use crate::compile::bits_for;
use sha2::{Digest, Sha256};
use std::fmt;
use std::ops::Range;

/// The SHA-256 of an image.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why octets are no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// Does not begin as one.
    NotAnImage,
    /// Made by another release.
    Version(u32),
    /// Shorter or longer than it says.
    Length,
    /// Its octets are not those that were written.
    Hash,
    /// Its parts contradict one another.
    Layout,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NotAnImage => f.write_str("not an image of decks"),
            OpenError::Version(found) => {
                write!(f, "an image of version {found}, this release reads {VERSION}: build it again")
            }
            OpenError::Length => f.write_str("the image is not complete: build it again"),
            OpenError::Hash => f.write_str("the image is damaged: build it again"),
            OpenError::Layout => f.write_str("the image contradicts itself: build it again"),
        }
    }
}

impl std::error::Error for OpenError {}

/// Where the sections stand.
#[derive(Clone, Debug)]
pub(super) struct Sections([Range<usize>; SECTION_COUNT]);

impl Sections {
    #[inline]
    pub(super) fn range(&self, section: Section) -> Range<usize> {
        self.0.get(section as usize).cloned().unwrap_or(0..0)
    }

    /// In their order, aligned, inside the image.
    fn read(octets: &[u8]) -> Option<Self> {
        let mut sections = std::array::from_fn(|_| 0..0);
        let mut end = HEADER_BYTES + SECTION_COUNT * 16;
        for (index, section) in sections.iter_mut().enumerate() {
            let at = HEADER_BYTES + index * 16;
            let start = usize::try_from(u64_at(octets, at)?).ok()?;
            let length = usize::try_from(u64_at(octets, at + 8)?).ok()?;
            if start < end || start % SECTION_ALIGNMENT != 0 {
                return None;
            }
            end = start.checked_add(length).filter(|end| *end <= octets.len())?;
            *section = start..end;
        }
        Some(Sections(sections))
    }
}

impl<B: AsRef<[u8]>> Image<B> {
    /// Checks and opens an image. Reads all of it once, so that it is in memory afterwards.
    ///
    /// # Errors
    /// As [`OpenError`] lists.
    pub fn open(octets: B) -> Result<Self, OpenError> {
        let bytes = octets.as_ref();
        if bytes.get(..MAGIC.len()) != Some(&MAGIC) {
            return Err(OpenError::NotAnImage);
        }
        match u32_at(bytes, 8) {
            Some(VERSION) => {}
            found => return Err(OpenError::Version(found.unwrap_or(0))),
        }
        if u64_at(bytes, 16) != u64::try_from(bytes.len()).ok() {
            return Err(OpenError::Length);
        }
        let hash = bytes.get(HASH_AT).ok_or(OpenError::Length)?;
        if hash_of(bytes).as_slice() != hash {
            return Err(OpenError::Hash);
        }
        Self::open_unhashed(octets)
    }

    /// Opens octets whose hash is known to be right, or whose readers must stand anything.
    pub(crate) fn open_unhashed(octets: B) -> Result<Self, OpenError> {
        let bytes = octets.as_ref();
        let sections = Sections::read(bytes).ok_or(OpenError::Layout)?;
        let deck_bits = u32_at(bytes, 24).ok_or(OpenError::Layout)?;
        let count = u32_at(bytes, 28).ok_or(OpenError::Layout)?;
        let fits = count as usize <= DECKS_MAX && sections.range(Section::Decks).len() == count as usize * DECK_BYTES;
        let whole = bytes.get(HASH_AT).and_then(|hash| hash.try_into().ok());
        let (true, true, Some(hash)) = (fits, deck_bits == bits_for(count as usize), whole) else {
            return Err(OpenError::Layout);
        };
        let mut image = Image { octets, sections, hash: Hash(hash), deck_bits, decks: Vec::new(), usual: Vec::new() };
        image.decks = image.read_decks(count).ok_or(OpenError::Layout)?;
        image.usual = image.read_usual();
        Ok(image)
    }
}

/// The hash of an image: of all its octets, those of the hash as zeros.
fn hash_of(octets: &[u8]) -> [u8; 32] {
    let part = |range: Range<usize>| octets.get(range).unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(part(0..HASH_AT.start));
    hash.update([0; 32]);
    hash.update(part(HASH_AT.end..octets.len()));
    hash.finalize().into()
}
