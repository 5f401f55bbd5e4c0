//! Tables of `db_text`: a file a table, its name the table's; the first line names columns and types.
//!
//! `setid(int) destination(string) flags(int,null)`, then rows of values between colons, with `\n`, `\r`, `\t`, `\\`, `\:`
//! and `\0` for what cannot stand there.

use super::Trouble;
use crate::table::Table;

/// Whether a text begins as such a file does.
pub fn looks_like(text: &str) -> bool {
    text.lines()
        .next()
        .is_some_and(|first| first.split_whitespace().next().is_some_and(|column| column_name(column).is_some()))
}

/// Reads a table.
///
/// # Errors
/// The first line does not name columns, or a row has another number of values.
pub fn read(name: &str, text: &str) -> Result<Table, Trouble> {
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).zip(1..);
    let first = lines.next().map(|(line, _)| line).unwrap_or_default();
    let columns: Option<Vec<String>> = first.split_whitespace().map(column_name).collect();
    let columns = columns.filter(|columns| !columns.is_empty());
    let columns = columns.ok_or_else(|| Trouble::new(1, "is no list of columns such as `id(int) name(string)`"))?;
    let mut table = Table { name: name.to_owned(), columns, rows: Vec::new() };
    for (line, number) in lines.filter(|(line, _)| !line.trim().is_empty()) {
        let row = values(line);
        if row.len() != table.columns.len() {
            let why = format!("has {} values for {} columns", row.len(), table.columns.len());
            return Err(Trouble::new(number, why));
        }
        table.rows.push(row);
    }
    Ok(table)
}

/// The name in `name(type,...)`.
fn column_name(column: &str) -> Option<String> {
    let (name, kind) = column.split_once('(')?;
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let kind = kind.strip_suffix(')')?.split(',').next()?;
    let known = ["int", "double", "float", "string", "str", "blob", "date", "datetime", "time", "bigint"];
    (plain && known.contains(&kind)).then(|| name.to_owned())
}

fn values(line: &str) -> Vec<Option<String>> {
    let (mut row, mut value, mut symbols) = (Vec::new(), String::new(), line.chars());
    let done = |value: &mut String| Some(std::mem::take(value)).filter(|value| !value.is_empty());
    while let Some(symbol) = symbols.next() {
        match symbol {
            ':' => row.push(done(&mut value)),
            '\\' => value.extend(symbols.next().map(|escaped| match escaped {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '0' => '\0',
                other => other,
            })),
            other => value.push(other),
        }
    }
    row.push(done(&mut value));
    row
}
