//! The Date of a 200 to REGISTER (RFC 3261 §10.3 item 8, §20.17): a phone without a clock sets its own by it.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use proto::time::Wall;

/// A line of 37 octets; the year has four digits.
const ROOM: usize = 64;

/// The header line, written once a second.
#[derive(Debug, Default)]
pub(super) struct DateLine {
    second: Option<u64>,
    line: String,
}

impl DateLine {
    pub(super) fn new() -> Self {
        DateLine { second: None, line: String::with_capacity(ROOM) }
    }

    /// The line of that moment, with its CRLF; empty beyond what has a date.
    pub(super) fn at(&mut self, now: Wall) -> &[u8] {
        let second = now.0 / 1_000_000;
        if self.second != Some(second) {
            self.second = Some(second);
            self.line.clear();
            self.line.push_str("Date: ");
            let moment = i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok());
            let written = moment.map(|moment| DateTimePrinter::new().print_timestamp_rfc9110(&moment, &mut self.line));
            match written {
                Some(Ok(())) => self.line.push_str("\r\n"),
                _ => self.line.clear(),
            }
        }
        self.line.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn dates_as_rfc_3261_has_them() {
        let mut line = DateLine::new();
        let mut at = |second: u64| String::from_utf8(line.at(Wall(second * 1_000_000 + 999_999)).to_vec()).unwrap();
        // The example of §20.17, and a day and month of one digit.
        assert_eq!(at(1_289_690_940), "Date: Sat, 13 Nov 2010 23:29:00 GMT\r\n");
        assert_eq!(at(1_289_690_941), "Date: Sat, 13 Nov 2010 23:29:01 GMT\r\n");
        assert_eq!(at(946_868_645), "Date: Mon, 03 Jan 2000 03:04:05 GMT\r\n");
        assert_eq!(at(u64::MAX / 1_000_001), "", "no year of four digits");
    }
}
