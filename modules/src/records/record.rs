//! A record's bytes, as they stand in files. Version 1.
//!
//! ```text
//! length of what follows  kind  sequence  time (µs since 1970)  fields
//!           4              1       8              8
//! ```

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// First of a start: says what the epoch before was, so that its end can be checked.
    Start = 1,
    /// An attempt that is over.
    Attempt = 2,
    /// A call that is over.
    Call = 3,
    /// An answered call: what its later record is made of.
    Open = 4,
    /// The same again, each hour of a call.
    Interim = 5,
    /// A BYE for a call that is not known.
    Orphan = 6,
    /// First of a file: where the records of open calls and of attempts under way stand. It has no sequence.
    Checkpoint = 7,
    /// An attempt was sent: what becomes its record if the process ends before it does. It has no sequence.
    Begun = 8,
}

impl RecordKind {
    /// All of them.
    pub const ALL: [RecordKind; 8] = [
        RecordKind::Start,
        RecordKind::Attempt,
        RecordKind::Call,
        RecordKind::Open,
        RecordKind::Interim,
        RecordKind::Orphan,
        RecordKind::Checkpoint,
        RecordKind::Begun,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            RecordKind::Start => "start",
            RecordKind::Attempt => "attempt",
            RecordKind::Call => "call",
            RecordKind::Open => "open",
            RecordKind::Interim => "interim",
            RecordKind::Orphan => "orphan",
            RecordKind::Checkpoint => "checkpoint",
            RecordKind::Begun => "begun",
        }
    }
}

/// A record, read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'b> {
    /// What it is about.
    pub kind: RecordKind,
    /// Counts the records of an epoch from 1, without gaps.
    pub sequence: u64,
    /// When it was made, in microseconds since 1970.
    pub at: u64,
    /// What it says.
    pub fields: &'b [u8],
}

/// Bytes before the fields.
pub const RECORD_HEAD: usize = 21;

impl<'b> Record<'b> {
    /// Reads one; returns it and the bytes behind it. `None`: these are not the bytes of one.
    pub fn read(bytes: &'b [u8]) -> Option<(Record<'b>, &'b [u8])> {
        let (length, rest) = bytes.split_first_chunk()?;
        let (whole, behind) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        let (&kind, rest) = whole.split_first()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (at, fields) = rest.split_first_chunk()?;
        let kind = RecordKind::ALL.into_iter().find(|one| *one as u8 == kind)?;
        Some((Record { kind, sequence: u64::from_le_bytes(*sequence), at: u64::from_le_bytes(*at), fields }, behind))
    }

    /// All records of a frame; ends at what is none.
    pub fn all(frame: &'b [u8]) -> impl Iterator<Item = Record<'b>> {
        let mut rest = frame;
        std::iter::from_fn(move || {
            let (record, behind) = Record::read(rest)?;
            rest = behind;
            Some(record)
        })
    }

    /// Appends it.
    pub fn write(&self, out: &mut Vec<u8>) {
        // INVARIANT: a record is a few events, far below 4 GB.
        let length = u32::try_from(RECORD_HEAD - 4 + self.fields.len()).unwrap_or(0);
        out.extend_from_slice(&length.to_le_bytes());
        out.push(self.kind as u8);
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(&self.at.to_le_bytes());
        out.extend_from_slice(self.fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_none_from_less() {
        let mut bytes = Vec::new();
        let all: Vec<_> = RecordKind::ALL
            .iter()
            .zip(1..)
            .map(|(kind, n)| Record { kind: *kind, sequence: n, at: n * 7, fields: b"abc" })
            .collect();
        all.iter().for_each(|record| record.write(&mut bytes));
        assert_eq!(Record::all(&bytes).collect::<Vec<_>>(), all);
        let one = RECORD_HEAD + 3;
        assert!((0..one).all(|length| Record::read(&bytes[..length]).is_none()));
    }
}
