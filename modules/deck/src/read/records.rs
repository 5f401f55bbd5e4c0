//! Octets to records: quoting and line ends as spreadsheets write them (RFC 4180), bounded memory.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

/// Longest record in octets, and most fields of one: a lost quotation mark must not eat the memory.
const RECORD_BYTES_MAX: usize = 64 << 10;
const FIELDS_MAX: usize = 256;

/// A stream of octets being cut into records.
#[derive(Debug)]
pub(crate) struct Records {
    core: Reader,
    delimiter: u8,
    bytes: Box<[u8]>,
    ends: Box<[usize]>,
    written: usize,
    fields: usize,
    overlong: bool,
    last: u8,
}

/// One record; fields without the blanks around them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'r> {
    /// Line on which it begins, from 1.
    pub line: u64,
    /// It was too long: what is here is not all of it.
    pub overlong: bool,
    bytes: &'r [u8],
    ends: &'r [usize],
}

impl<'r> Record<'r> {
    /// A record whose fields stand one after the other in `bytes`; `ends` says where each ends.
    pub(crate) fn of(line: u64, bytes: &'r [u8], ends: &'r [usize]) -> Self {
        Record { line, overlong: false, bytes, ends }
    }

    pub(crate) fn fields(self) -> impl Iterator<Item = &'r [u8]> {
        (0..self.ends.len()).map(move |place| self.field(place))
    }

    /// A field; empty when the record has fewer.
    pub(crate) fn field(self, place: usize) -> &'r [u8] {
        let end = self.ends.get(place).copied().unwrap_or(0);
        let start = place.checked_sub(1).and_then(|before| self.ends.get(before).copied()).unwrap_or(0);
        self.bytes.get(start..end).unwrap_or_default().trim_ascii()
    }

    pub(crate) fn is_blank(self) -> bool {
        self.fields().all(<[u8]>::is_empty)
    }
}

impl Records {
    pub(crate) fn new(delimiter: u8) -> Self {
        Records {
            core: ReaderBuilder::new().delimiter(delimiter).build(),
            delimiter,
            bytes: vec![0; RECORD_BYTES_MAX].into(),
            ends: vec![0; FIELDS_MAX].into(),
            written: 0,
            fields: 0,
            overlong: false,
            last: b'\n',
        }
    }

    pub(crate) const fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// Takes more octets, which need not end where a record does.
    pub(crate) fn push(&mut self, mut input: &[u8], each: &mut dyn FnMut(Record<'_>)) {
        while !input.is_empty() {
            let rest_bytes = self.bytes.get_mut(self.written..).unwrap_or_default();
            let rest_ends = self.ends.get_mut(self.fields..).unwrap_or_default();
            let (result, read, written, fields) = self.core.read_record(input, rest_bytes, rest_ends);
            self.last = read.checked_sub(1).and_then(|at| input.get(at).copied()).unwrap_or(self.last);
            input = input.get(read..).unwrap_or_default();
            self.written += written;
            self.fields += fields;
            match result {
                ReadRecordResult::Record => self.emit(each),
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    // The rest is read and forgotten.
                    (self.overlong, self.written, self.fields) = (true, 0, 0);
                }
                ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
            }
        }
    }

    /// Ends the last record.
    pub(crate) fn finish(&mut self, each: &mut dyn FnMut(Record<'_>)) {
        if !matches!(self.last, b'\n' | b'\r') {
            self.push(b"\n", each);
        }
        // What is still open after a line end stands in quotes that were never closed.
        if self.written > 0 || self.fields > 0 || self.overlong {
            self.overlong = true;
            self.emit(each);
        }
    }

    fn emit(&mut self, each: &mut dyn FnMut(Record<'_>)) {
        let bytes = self.bytes.get(..self.written).unwrap_or_default();
        let inside = bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        // WHY: a record ends at CR or LF, and only an LF counts as a line.
        let after = self.core.line() - u64::from(self.last == b'\n');
        let line = after.saturating_sub(inside).max(1);
        let ends = self.ends.get(..self.fields).unwrap_or_default();
        each(Record { line, overlong: self.overlong, bytes, ends });
        (self.overlong, self.written, self.fields) = (false, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;

    fn read(text: &[u8], step: usize) -> Vec<(u64, bool, Vec<String>)> {
        let mut found = Vec::new();
        let mut records = Records::new(b';');
        let mut each = |record: Record<'_>| {
            let fields = record.fields().map(|field| String::from_utf8_lossy(field).into_owned()).collect();
            found.push((record.line, record.overlong, fields));
        };
        text.chunks(step.max(1)).for_each(|chunk| records.push(chunk, &mut each));
        records.finish(&mut each);
        found
    }

    #[test]
    fn lines_are_counted_with_every_line_end() {
        for end in ["\n", "\r\n"] {
            let text = ["a; b ", "", "\"x\ny\";2", "c;\"d\"\"e\""].join(end);
            for step in 1..text.len() {
                let found = read(text.as_bytes(), step);
                let lines: Vec<_> = found.iter().map(|(line, _, fields)| (*line, fields.join("|"))).collect();
                let expected = [(1, "a|b".to_owned()), (3, "x\ny|2".to_owned()), (5, "c|d\"e".to_owned())];
                assert_eq!(lines, expected, "{end:?} {step}");
            }
        }
    }

    #[test]
    fn a_quotation_mark_that_is_not_closed_is_said_and_costs_no_memory() {
        let text = [b"a;b\n1;\"2\n".as_slice(), &vec![b'x'; 300_000]].concat();
        let found = read(&text, 1000);
        assert_eq!(found.len(), 2);
        assert!(found[1].1);
        assert!(read(&[b"a".as_slice(), &vec![b';'; 1000], b"\nb"].concat(), 7)[0].1, "too many fields");
    }

    proptest! {
        #[test]
        fn where_the_octets_are_cut_makes_no_difference(text in proptest::collection::vec(
            prop_oneof![Just(b';'), Just(b'"'), Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200), step in 1_usize..20) {
            prop_assert_eq!(read(&text, step), read(&text, text.len().max(1)));
        }
    }
}
