//! Dumps: `CREATE TABLE`, `INSERT`, `REPLACE` of mysqldump and pg_dump --inserts, `COPY` of pg_dump.
//!
//! One walk over the bytes. Statements of any other kind are passed over, whatever is quoted in them.

use super::Trouble;
use crate::table::Table;
use std::collections::BTreeMap;

/// Whether a text looks like a dump.
pub fn looks_like(text: &str) -> bool {
    let head: String = text.chars().take(65_536).collect::<String>().to_ascii_lowercase();
    ["create table", "insert into", "replace into", "insert ignore into"].iter().any(|word| head.contains(word))
        || head.contains("copy ") && head.contains("from stdin")
}

/// Reads the tables that `wanted` names; rows of one table in several statements are one table.
///
/// # Errors
/// A statement of a wanted table that ends in the middle, or a row of another length than its columns.
pub fn read(text: &str, wanted: impl Fn(&str) -> bool) -> Result<Vec<Table>, Trouble> {
    let mut walk = Walk { text, at: 0, counted: (0, 1), backslashes: !is_of_postgres(text) };
    let mut dump = Dump { tables: BTreeMap::new(), created: BTreeMap::new(), order: Vec::new(), wanted: &wanted };
    while let Some(word) = walk.word() {
        match word.to_ascii_lowercase().as_str() {
            "create" => dump.create(&mut walk),
            "insert" | "replace" => dump.insert(&mut walk)?,
            "copy" => dump.copy(&mut walk)?,
            _ => walk.end_of_statement(),
        }
    }
    let Dump { mut tables, order, .. } = dump;
    Ok(order.iter().filter_map(|name| tables.remove(name)).collect())
}

/// WHY it matters: to PostgreSQL a backslash in quotes is a backslash, to MySQL it escapes what follows.
fn is_of_postgres(text: &str) -> bool {
    let head: String = text.chars().take(4_096).collect();
    head.contains("PostgreSQL database dump") || head.contains("standard_conforming_strings = on")
}

struct Dump<'w> {
    tables: BTreeMap<String, Table>,
    /// Columns as `CREATE TABLE` said.
    created: BTreeMap<String, Vec<String>>,
    order: Vec<String>,
    wanted: &'w dyn Fn(&str) -> bool,
}

impl Dump<'_> {
    fn create(&mut self, walk: &mut Walk<'_>) {
        let is_table = walk.word().is_some_and(|word| word.eq_ignore_ascii_case("table"));
        let mut name = is_table.then(|| walk.name()).flatten();
        // IF NOT EXISTS
        if name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case("if")) {
            walk.word();
            walk.word();
            name = walk.name();
        }
        if let Some(name) = name.filter(|name| (self.wanted)(name))
            && walk.takes(b'(')
        {
            let mut columns = Vec::new();
            loop {
                walk.blanks();
                let quoted = matches!(walk.peek(), Some(b'`' | b'"'));
                let Some(column) = walk.name() else { break };
                let key = ["primary", "unique", "key", "index", "constraint", "check", "foreign", "fulltext"];
                if quoted || !key.contains(&column.to_ascii_lowercase().as_str()) {
                    columns.push(column);
                }
                if !walk.next_of_list() {
                    break;
                }
            }
            self.created.insert(name, columns);
        }
        walk.end_of_statement();
    }

    fn insert(&mut self, walk: &mut Walk<'_>) -> Result<(), Trouble> {
        let mut into = false;
        for _ in 0..4 {
            match walk.word() {
                Some(word) if word.eq_ignore_ascii_case("into") => {
                    into = true;
                    break;
                }
                Some(_) => {}
                None => break,
            }
        }
        let Some(name) = into.then(|| walk.name()).flatten().filter(|name| (self.wanted)(name)) else {
            walk.end_of_statement();
            return Ok(());
        };
        let columns = if walk.takes(b'(') { walk.names()? } else { Vec::new() };
        if !walk.word().is_some_and(|word| word.eq_ignore_ascii_case("values")) {
            walk.end_of_statement();
            return Ok(());
        }
        let mut rows = Vec::new();
        loop {
            let line = walk.line();
            if !walk.takes(b'(') {
                return Err(Trouble::new(line, format!("the values of `{name}` do not begin with a parenthesis")));
            }
            rows.push((line, walk.tuple()?));
            if !walk.takes(b',') {
                break;
            }
        }
        walk.takes(b';');
        self.add(&name, columns, rows)
    }

    fn copy(&mut self, walk: &mut Walk<'_>) -> Result<(), Trouble> {
        let Some(name) = walk.name() else {
            walk.end_of_statement();
            return Ok(());
        };
        let columns = if walk.takes(b'(') { walk.names()? } else { Vec::new() };
        let from_stdin =
            ["from", "stdin"].iter().all(|wanted| walk.word().is_some_and(|word| word.eq_ignore_ascii_case(wanted)));
        walk.end_of_statement();
        if !from_stdin {
            return Ok(());
        }
        walk.rest_of_line();
        let mut rows = Vec::new();
        while walk.at < walk.text.len() {
            let number = walk.line();
            let line = walk.rest_of_line();
            if line == "\\." {
                break;
            }
            if (self.wanted)(&name) && !line.is_empty() {
                rows.push((number, line.split('\t').map(copied).collect()));
            }
        }
        if (self.wanted)(&name) { self.add(&name, columns, rows) } else { Ok(()) }
    }

    fn add(
        &mut self,
        name: &str,
        columns: Vec<String>,
        rows: Vec<(usize, Vec<Option<String>>)>,
    ) -> Result<(), Trouble> {
        let columns = if columns.is_empty() { self.created.get(name).cloned().unwrap_or_default() } else { columns };
        let odd = rows.iter().find(|(_, row)| !columns.is_empty() && row.len() != columns.len());
        if let Some((line, row)) = odd {
            let why = format!("a row of `{name}` has {} values for {} columns", row.len(), columns.len());
            return Err(Trouble::new(*line, why));
        }
        if !self.tables.contains_key(name) {
            self.order.push(name.to_owned());
        }
        let table = self
            .tables
            .entry(name.to_owned())
            .or_insert_with(|| Table { columns: columns.clone(), ..Table::named(name) });
        let same = table.columns == columns;
        for (line, row) in rows {
            if same {
                table.rows.push(row);
                continue;
            }
            // Another statement names other columns: its values go where the first has them.
            let mut ordered = vec![None; table.columns.len()];
            for (column, value) in columns.iter().zip(row) {
                let place = table.columns.iter().position(|known| known == column);
                let room = place.and_then(|place| ordered.get_mut(place));
                let room =
                    room.ok_or_else(|| Trouble::new(line, format!("`{name}` has no column `{column}` elsewhere")))?;
                *room = value;
            }
            table.rows.push(ordered);
        }
        Ok(())
    }
}

/// A value of `COPY`.
fn copied(value: &str) -> Option<String> {
    if value == "\\N" {
        return None;
    }
    if !value.contains('\\') {
        return Some(value.to_owned());
    }
    let (mut text, mut symbols) = (String::with_capacity(value.len()), value.chars());
    while let Some(symbol) = symbols.next() {
        match symbol {
            '\\' => text.extend(symbols.next().map(unescaped)),
            other => text.push(other),
        }
    }
    Some(text)
}

fn unescaped(symbol: char) -> char {
    match symbol {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        'b' => '\u{8}',
        '0' => '\0',
        other => other,
    }
}

/// A place in the text.
struct Walk<'t> {
    text: &'t str,
    at: usize,
    /// A place behind which lines have not been counted, and its line.
    counted: (usize, usize),
    /// In quotes a backslash escapes what follows it.
    backslashes: bool,
}

impl<'t> Walk<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn line(&mut self) -> usize {
        let (from, line) = self.counted;
        let passed = self.text.as_bytes().get(from..self.at).unwrap_or_default();
        self.counted = (self.at, line + passed.iter().filter(|byte| **byte == b'\n').count());
        self.counted.1
    }

    /// Up to the end of the line, which is passed.
    fn rest_of_line(&mut self) -> &'t str {
        let rest = self.rest();
        let (line, length) = rest.split_once('\n').map_or((rest, rest.len()), |(line, _)| (line, line.len() + 1));
        self.at += length;
        line.strip_suffix('\r').unwrap_or(line)
    }

    /// Passes blanks and comments. What mysqldump puts into `/*! */` is a comment too.
    fn blanks(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("--") || trimmed.starts_with('#') {
                self.rest_of_line();
            } else if trimmed.starts_with("/*") {
                self.at += trimmed.find("*/").map_or(trimmed.len(), |end| end + 2);
            } else {
                return;
            }
        }
    }

    /// Whether this is next; then it is passed.
    fn takes(&mut self, byte: u8) -> bool {
        self.blanks();
        let it_is = self.peek() == Some(byte);
        self.at += usize::from(it_is);
        it_is
    }

    /// The next bare word. What is no word is passed; `None`: nothing is left.
    fn word(&mut self) -> Option<&'t str> {
        loop {
            self.blanks();
            let rest = self.rest();
            let end = rest.bytes().position(|byte| !is_of_word(byte)).unwrap_or(rest.len());
            if end > 0 {
                self.at += end;
                return rest.get(..end);
            }
            let first = rest.chars().next()?;
            match first {
                '\'' | '"' | '`' => self.pass_quoted(),
                other => self.at += other.len_utf8(),
            }
        }
    }

    /// A name as databases write it: bare or quoted, with or without its schema, which is left out.
    fn name(&mut self) -> Option<String> {
        loop {
            self.blanks();
            let rest = self.rest();
            let first = rest.chars().next()?;
            let name = if matches!(first, '`' | '"') {
                let (inside, _) = rest.get(1..)?.split_once(first)?;
                self.at += inside.len() + 2;
                Some(inside.to_owned())
            } else {
                let end = rest.bytes().position(|byte| !is_of_word(byte)).unwrap_or(rest.len());
                if end == 0 {
                    return None;
                }
                self.at += end;
                rest.get(..end).map(str::to_owned)
            };
            if self.peek() != Some(b'.') {
                return name;
            }
            self.at += 1;
        }
    }

    /// Names up to the closing parenthesis.
    fn names(&mut self) -> Result<Vec<String>, Trouble> {
        let mut names = Vec::new();
        loop {
            let name = self.name();
            let name = name.ok_or_else(|| Trouble::new(self.line(), "a list of columns does not end"))?;
            names.push(name);
            if self.takes(b')') {
                return Ok(names);
            }
            if !self.takes(b',') {
                return Err(Trouble::new(self.line(), "a list of columns does not end"));
            }
        }
    }

    /// In a list in parentheses: passes to behind the next comma of this depth. False: the list is over.
    fn next_of_list(&mut self) -> bool {
        let mut depth = 0;
        loop {
            self.blanks();
            match self.peek() {
                None => return false,
                Some(b'\'' | b'"' | b'`') => {
                    self.pass_quoted();
                    continue;
                }
                Some(b'(') => depth += 1,
                Some(b')') if depth == 0 => return false,
                Some(b')') => depth -= 1,
                Some(b',') if depth == 0 => {
                    self.at += 1;
                    return true;
                }
                Some(_) => {}
            }
            self.at += self.rest().chars().next().map_or(1, char::len_utf8);
        }
    }

    /// Values up to the closing parenthesis.
    fn tuple(&mut self) -> Result<Vec<Option<String>>, Trouble> {
        let mut values = Vec::new();
        let unfinished = |walk: &mut Self| Trouble::new(walk.line(), "a row does not end");
        loop {
            let value = self.value();
            values.push(value.ok_or_else(|| unfinished(self))?);
            if self.takes(b')') {
                return Ok(values);
            }
            if !self.takes(b',') {
                return Err(unfinished(self));
            }
        }
    }

    /// A value; `None`: there is none.
    #[expect(clippy::option_option, reason = "the inner one is NULL, the outer one a text that ends")]
    fn value(&mut self) -> Option<Option<String>> {
        self.blanks();
        let rest = self.rest();
        let marked =
            ["E'", "e'", "N'", "_binary '", "_utf8mb4'", "_utf8'"].iter().find(|mark| rest.starts_with(**mark));
        if let Some(mark) = marked {
            self.at += mark.len() - 1;
            let backslashes = self.backslashes || mark.starts_with(['E', 'e']);
            return self.quoted(backslashes).map(Some);
        }
        if rest.starts_with('\'') {
            return self.quoted(self.backslashes).map(Some);
        }
        let end = rest.find([',', ')', '\''])?;
        let bare = rest.get(..end)?.trim();
        self.at += end;
        // A type behind the value: '2026-01-01'::timestamp
        let bare = bare.split("::").next().unwrap_or(bare);
        Some((!bare.eq_ignore_ascii_case("null")).then(|| bare.to_owned()))
    }

    /// What stands in single quotes, which are next.
    fn quoted(&mut self, backslashes: bool) -> Option<String> {
        let inside = self.rest().get(1..)?;
        let (mut value, mut symbols) = (String::new(), inside.char_indices().peekable());
        while let Some((at, symbol)) = symbols.next() {
            match symbol {
                '\\' if backslashes => value.push(unescaped(symbols.next()?.1)),
                '\'' if symbols.peek().is_some_and(|(_, next)| *next == '\'') => {
                    symbols.next();
                    value.push('\'');
                }
                '\'' => {
                    self.at += at + 2;
                    // A cast of PostgreSQL says nothing that text does not.
                    if self.rest().starts_with("::") {
                        self.at += self.rest().find([',', ')']).unwrap_or(0);
                    }
                    return Some(value);
                }
                other => value.push(other),
            }
        }
        None
    }

    /// Passes what stands in quotes of any kind, which are next.
    fn pass_quoted(&mut self) {
        let Some(mark) = self.rest().chars().next() else { return };
        let backslashes = self.backslashes && mark == '\'';
        let mut symbols = self.rest().char_indices().skip(1);
        while let Some((at, symbol)) = symbols.next() {
            if symbol == '\\' && backslashes {
                symbols.next();
            } else if symbol == mark {
                self.at += at + symbol.len_utf8();
                return;
            }
        }
        self.at = self.text.len();
    }

    /// Passes to behind the semicolon that ends the statement.
    fn end_of_statement(&mut self) {
        loop {
            self.blanks();
            match self.peek() {
                None => return,
                Some(b';') => {
                    self.at += 1;
                    return;
                }
                Some(b'\'' | b'"' | b'`') => self.pass_quoted(),
                Some(b'\\') if self.rest().starts_with("\\connect") || self.rest().starts_with("\\restrict") => {
                    self.rest_of_line();
                    return;
                }
                Some(_) => self.at += self.rest().chars().next().map_or(1, char::len_utf8),
            }
        }
    }
}

const fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}
