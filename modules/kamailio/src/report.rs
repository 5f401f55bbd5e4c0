//! What came of an import: taken, without counterpart, otherwise and why.

use std::fmt::Write as _;

/// What a line of the report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It is in the files that were written.
    Taken,
    /// Tandem has nothing for it; calls go without.
    NoCounterpart,
    /// It is there and does something else, or the same in another way.
    Otherwise,
    /// A row or line that Kamailio would not have used either, or that nobody can read.
    Odd,
}

impl Kind {
    /// All, in the order in which they are shown.
    pub const ALL: [Kind; 4] = [Kind::Taken, Kind::NoCounterpart, Kind::Otherwise, Kind::Odd];

    /// Its word in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Taken => "taken",
            Kind::NoCounterpart => "no-counterpart",
            Kind::Otherwise => "otherwise",
            Kind::Odd => "odd",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Kind::Taken => "Taken",
            Kind::NoCounterpart => "Without counterpart: calls go without it",
            Kind::Otherwise => "Would behave otherwise",
            Kind::Odd => "Rows that were left out",
        }
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is about.
    pub kind: Kind,
    /// Where it comes from: a table, a set, a row.
    pub subject: String,
    /// What there is to say, and why.
    pub text: String,
    /// How many rows it stands for.
    pub rows: usize,
}

/// Lines of one sentence are counted, not repeated: a table of a million rows has a report that can be read.
#[derive(Clone, Debug, Default)]
pub struct Report {
    lines: Vec<Line>,
}

impl Report {
    /// It is in the files that were written.
    pub fn taken(&mut self, subject: impl Into<String>, text: impl Into<String>) {
        self.add(Kind::Taken, subject.into(), text.into());
    }

    /// Tandem has nothing for it.
    pub fn no_counterpart(&mut self, subject: impl Into<String>, text: impl Into<String>) {
        self.add(Kind::NoCounterpart, subject.into(), text.into());
    }

    /// It would behave otherwise.
    pub fn otherwise(&mut self, subject: impl Into<String>, text: impl Into<String>) {
        self.add(Kind::Otherwise, subject.into(), text.into());
    }

    /// A row was left out.
    pub fn odd(&mut self, subject: impl Into<String>, text: impl Into<String>) {
        self.add(Kind::Odd, subject.into(), text.into());
    }

    /// A line of another report.
    pub fn push(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// All lines of a kind, in the order in which they came.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.kind == kind)
    }

    /// All lines.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Whether a line of this kind says so.
    pub fn says(&self, kind: Kind, part: &str) -> bool {
        self.of(kind).any(|line| line.text.contains(part))
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for kind in Kind::ALL {
            if self.of(kind).next().is_none() {
                continue;
            }
            let _ = writeln!(text, "{}{}", if text.is_empty() { "" } else { "\n" }, kind.title());
            for line in self.of(kind) {
                let more = if line.rows > 1 { format!(" (and {} more rows)", line.rows - 1) } else { String::new() };
                let _ = writeln!(text, "  {}: {}{more}", line.subject, line.text);
            }
        }
        text
    }

    fn add(&mut self, kind: Kind, subject: String, text: String) {
        // WHY only the last lines: rows with the same trouble mostly follow one another, and a report stays linear.
        let known = self.lines.iter_mut().rev().take(LOOK_BACK).find(|line| line.kind == kind && line.text == text);
        match known {
            Some(line) if kind != Kind::Taken => line.rows += 1,
            _ => self.lines.push(Line { kind, subject, text, rows: 1 }),
        }
    }
}

/// Lines that are looked through for the same sentence.
const LOOK_BACK: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_sentence_about_many_rows_is_one_line() {
        let mut report = Report::default();
        report.taken("dispatcher", "2 sets");
        for row in 1..=1_000 {
            report.odd(format!("lcr_rule row {row}"), "its gateway is not there");
        }
        assert_eq!(report.lines().len(), 2);
        let text = report.text();
        assert!(text.contains("Taken\n  dispatcher: 2 sets"), "{text}");
        assert!(text.contains("lcr_rule row 1: its gateway is not there (and 999 more rows)"), "{text}");
        assert!(!text.contains("Would behave otherwise"), "{text}");
    }
}
