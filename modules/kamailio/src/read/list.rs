//! `dispatcher.list`: `setid destination [flags [priority [attrs]]]`, read as Kamailio's `ds_load_list` does.

use crate::report::Report;
use crate::table::Table;

/// Most of a line that Kamailio reads at once; what is longer becomes a second record.
const LINE_BYTES_MAX: usize = 1_023;

/// Reads a list as the table that Kamailio's database has in its place. What it would have misread is said.
pub fn read(text: &str, report: &mut Report) -> Table {
    let columns = ["setid", "destination", "flags", "priority", "attrs"];
    let mut table = Table { columns: columns.map(str::to_owned).to_vec(), ..Table::named("dispatcher") };
    for (line, number) in text.split('\n').zip(1..) {
        if line.len() > LINE_BYTES_MAX {
            let text = format!(
                "is longer than the {LINE_BYTES_MAX} bytes that Kamailio reads at once: it made two records of it"
            );
            report.otherwise(format!("dispatcher.list line {number}"), text);
        }
        let line = line.trim_matches(is_blank);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match record(line) {
            Some(row) => {
                if row.first().is_some_and(|set| set.as_deref() == Some("0")) && !line.starts_with('0') {
                    let text = "does not begin with a number: Kamailio takes it as set 0, and so it is here";
                    report.otherwise(format!("dispatcher.list line {number}"), text);
                }
                table.rows.push(row);
            }
            None => report.odd(format!("dispatcher.list line {number}"), format!("`{line}` has no destination")),
        }
    }
    table
}

fn is_blank(symbol: char) -> bool {
    matches!(symbol, ' ' | '\t' | '\r' | '\n')
}

fn record(line: &str) -> Option<Vec<Option<String>>> {
    let (set, rest) = leading(line, |byte| byte.is_ascii_digit());
    let rest = rest.trim_start_matches(is_blank);
    let end = rest.find(|symbol| is_blank(symbol) || symbol == '#').unwrap_or(rest.len());
    let (destination, rest) = rest.split_at_checked(end)?;
    if destination.is_empty() {
        return None;
    }
    // A comment ends the line wherever a field could begin.
    let next = |rest: &'_ str| Some(rest.trim_start_matches(is_blank).to_owned()).filter(|rest| !rest.starts_with('#'));
    let rest = next(rest).unwrap_or_default();
    let (flags, rest) = match rest.strip_prefix("0x") {
        Some(digits) => {
            let (digits, rest) = leading(digits, |byte| byte.is_ascii_hexdigit());
            (u32::from_str_radix(digits, 16).unwrap_or(0).to_string(), rest)
        }
        None => {
            let (digits, rest) = leading(&rest, |byte| byte.is_ascii_digit());
            (digits.to_owned(), rest)
        }
    };
    let rest = next(rest).unwrap_or_default();
    let (priority, rest) = leading(&rest, |byte| byte.is_ascii_digit());
    let rest = next(rest).unwrap_or_default();
    let attrs = rest.split(is_blank).next().unwrap_or_default();
    let number = |digits: &str| Some(if digits.is_empty() { "0" } else { digits }.to_owned());
    let attrs = Some(attrs.to_owned()).filter(|attrs| !attrs.is_empty());
    Some(vec![number(set), Some(destination.to_owned()), number(&flags), number(priority), attrs])
}

fn leading(text: &str, is_it: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| !is_it(byte)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}
