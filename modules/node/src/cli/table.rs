//! Tables for people: aligned columns without lines, colour only on a terminal.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};
use std::io::IsTerminal;

/// Whether standard output may be coloured: it is a terminal, and the user did not say otherwise.
pub(crate) fn colour() -> bool {
    std::io::stdout().is_terminal() && colour_wanted()
}

/// The same for standard error.
pub(crate) fn colour_on_stderr() -> bool {
    std::io::stderr().is_terminal() && colour_wanted()
}

/// Whether the user lets terminals be coloured (<https://no-color.org>).
fn colour_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A column: its title, and whether it holds numbers.
pub(crate) type Column = (&'static str, Align);

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// How a cell stands out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It does not.
    #[default]
    Plain,
    /// All is well.
    Good,
    /// Deserves a look.
    Notice,
    /// Something is wrong.
    Bad,
}

/// One cell.
#[derive(Clone, Debug)]
pub(crate) struct Text(pub(crate) String, pub(crate) Mood);

impl<T: ToString> From<T> for Text {
    fn from(text: T) -> Self {
        Text(text.to_string(), Mood::Plain)
    }
}

/// The table as text, each line ended. Wide tables are not folded: pipes and wide terminals keep lines whole.
pub(crate) fn render(columns: &[Column], rows: &[Vec<Text>], colour: bool) -> String {
    let titles: Vec<_> = columns.iter().map(|(title, align)| ((*title).to_owned(), *align)).collect();
    render_titled(&titles, rows, colour)
}

/// The same with titles that are made at run time.
pub(crate) fn render_titled(columns: &[(String, Align)], rows: &[Vec<Text>], colour: bool) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(columns.iter().map(|(title, align)| {
        Cell::new(title.to_uppercase()).set_alignment(alignment(*align)).add_attribute(Attribute::Dim)
    }));
    for row in rows {
        let aligns = columns.iter().map(|(_, align)| *align);
        table.add_row(row.iter().zip(aligns).map(|(Text(text, mood), align)| {
            // WHY: what comes from the network must not write on somebody's terminal.
            let text: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
            let cell = Cell::new(text).set_alignment(alignment(align));
            match mood {
                Mood::Plain => cell,
                Mood::Good => cell.fg(Color::Green),
                Mood::Notice => cell.fg(Color::Yellow),
                Mood::Bad => cell.fg(Color::Red),
            }
        }));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn alignment(align: Align) -> CellAlignment {
    match align {
        Align::Left => CellAlignment::Left,
        Align::Right => CellAlignment::Right,
    }
}

/// A count with its thousands set apart: `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A length of time in the two units that say most: `3m 12s`.
pub(crate) fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

/// Time since `since` (µs since 1970), as seen at `now` (the same).
pub(crate) fn ago(since: u64, now: u64) -> String {
    duration(now.saturating_sub(since) / 1_000_000)
}

/// Microseconds as milliseconds with one digit: `1.5 ms`.
pub(crate) fn millis(micros: u64) -> String {
    format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: &[Column] = &[("name", Align::Left), ("calls", Align::Right)];

    #[test]
    fn columns_stand_under_their_titles_and_numbers_end_together() {
        let rows = [vec!["a".into(), Text("7".into(), Mood::Bad)], vec!["longer".into(), count(1_234_567).into()]];
        let text = render(COLUMNS, &rows, false);
        assert_eq!(text, "NAME        CALLS\na               7\nlonger  1,234,567\n");
    }

    #[test]
    fn colour_is_there_only_when_asked_for() {
        let rows = [vec!["a".into(), Text("down".into(), Mood::Bad)]];
        assert!(!render(COLUMNS, &rows, false).contains('\u{1b}'));
        assert!(render(COLUMNS, &rows, true).contains("\u{1b}["));
    }

    #[test]
    fn what_came_from_the_network_cannot_move_the_cursor() {
        let rows = [vec!["\u{1b}[2J\u{9b}1A\r\nx".into(), "1".into()]];
        let text = render(COLUMNS, &rows, false);
        assert!(!text.contains(['\u{1b}', '\u{9b}', '\r']) && text.lines().count() == 2, "{text:?}");
    }

    #[test]
    fn counts_and_times_read_well() {
        assert_eq!([count(0), count(999), count(1_000), count(12_345_678)], ["0", "999", "1,000", "12,345,678"]);
        assert_eq!([duration(0), duration(59), duration(61)], ["0s", "59s", "1m 1s"]);
        assert_eq!([duration(3_661), duration(90_000)], ["1h 1m", "1d 1h"]);
        assert_eq!(ago(5_000_000, 3_000_000), "0s", "a clock that was set back");
        assert_eq!(millis(1_570), "1.5 ms");
    }
}
