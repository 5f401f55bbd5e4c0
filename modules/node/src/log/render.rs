//! A record as one line: `time level event key=value …`, or JSON.
//!
//! Values come from the network. INVARIANT: whatever they contain, a record is one line, and no
//! control character (terminal escapes included) reaches the terminal.

use super::Record;
use serde_json::{Map, Value};
use std::fmt::Write;

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: `2026-11-24T03:45:00.000000Z info reload user=ann`.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// Longest value of one field in characters; the rest is cut off with an ellipsis.
pub(super) const VALUE_CHARS_MAX: usize = 1_024;

/// Appends the line of `record`, with its line end.
pub(super) fn render(record: &Record, format: Format, line: &mut String) {
    match format {
        Format::Text => text(record, line),
        Format::Json => json(record, line),
    }
    line.push('\n');
}

/// Wall time in microseconds as RFC 3339 in UTC.
pub(crate) fn timestamp(wall: u64) -> String {
    let micros = i64::try_from(wall).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_microsecond(micros) {
        Ok(time) => format!("{time:.6}"),
        Err(_) => format!("{wall}"),
    }
}

fn text(record: &Record, line: &mut String) {
    let _ = write!(line, "{} {} {}", timestamp(record.wall), record.level.name(), record.event);
    for (name, value) in &record.fields {
        let _ = write!(line, " {name}=");
        match value {
            Value::String(value) => quote_if_needed(value, line),
            other => quote_if_needed(&other.to_string(), line),
        }
    }
}

fn quote_if_needed(value: &str, line: &mut String) {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '=');
    if !value.is_empty() && value.len() <= VALUE_CHARS_MAX && value.chars().all(plain) {
        line.push_str(value);
        return;
    }
    line.push('"');
    for c in value.chars().take(VALUE_CHARS_MAX) {
        match c {
            '"' | '\\' => line.extend(['\\', c]),
            '\'' => line.push(c),
            // Escapes control characters and those that Unicode does not print, such as marks that turn the text round.
            other => line.extend(other.escape_debug()),
        }
    }
    if value.chars().nth(VALUE_CHARS_MAX).is_some() {
        line.push('…');
    }
    line.push('"');
}

fn json(record: &Record, line: &mut String) {
    let mut object = Map::new();
    object.insert("time".into(), timestamp(record.wall).into());
    object.insert("level".into(), record.level.name().into());
    object.insert("event".into(), record.event.into());
    for (name, value) in &record.fields {
        object.insert((*name).into(), cut(value));
    }
    for c in Value::Object(object).to_string().chars() {
        // JSON leaves DEL and the C1 controls as they are, terminals do not.
        if c.is_control() {
            let _ = write!(line, "\\u{:04x}", u32::from(c));
        } else {
            line.push(c);
        }
    }
}

fn cut(value: &Value) -> Value {
    match value {
        Value::String(long) if long.chars().nth(VALUE_CHARS_MAX).is_some() => {
            let mut short: String = long.chars().take(VALUE_CHARS_MAX).collect();
            short.push('…');
            short.into()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::super::Level;
    use super::*;
    use proptest::prelude::*;

    fn line(value: &str, format: Format) -> String {
        let record = Record { wall: 1_700_000_000_123_456, ..Record::new(Level::Warn, "unknown-source") }
            .with("from", value)
            .with("count", 7);
        let mut line = String::new();
        render(&record, format, &mut line);
        line
    }

    #[test]
    fn reads_well() {
        assert_eq!(
            line("sip:a@b", Format::Text),
            "2023-11-14T22:13:20.123456Z warn unknown-source from=sip:a@b count=7\n"
        );
        assert_eq!(
            line("a b\"", Format::Text),
            "2023-11-14T22:13:20.123456Z warn unknown-source from=\"a b\\\"\" count=7\n"
        );
        let parsed: Value = serde_json::from_str(&line("a", Format::Json)).unwrap();
        assert_eq!(parsed["time"], "2023-11-14T22:13:20.123456Z");
        assert_eq!((&parsed["event"], &parsed["count"]), (&"unknown-source".into(), &7.into()));
    }

    #[test]
    fn a_forged_line_stays_inside_its_value() {
        let text = line("x\n2023-11-14T22:13:20Z info reload user=root", Format::Text);
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains("\\n2023"));
        assert!(!line("\u{1b}[2J\u{9b}31m\u{202e}", Format::Text).contains(['\u{1b}', '\u{9b}', '\u{202e}']));
    }

    #[test]
    fn a_huge_value_is_cut() {
        assert!(line(&"a".repeat(100_000), Format::Text).len() < 1_200);
        assert!(line(&"a".repeat(100_000), Format::Json).len() < 1_300);
    }

    proptest! {
        #[test]
        fn any_value_is_one_line_without_control_characters(value in any::<String>()) {
            for format in [Format::Text, Format::Json] {
                let line = line(&value, format);
                prop_assert_eq!(line.matches('\n').count(), 1);
                prop_assert!(!line.trim_end_matches('\n').chars().any(char::is_control));
            }
            let parsed: Value = serde_json::from_str(&line(&value, Format::Json)).unwrap();
            if value.chars().count() <= VALUE_CHARS_MAX {
                prop_assert_eq!(parsed["from"].as_str().unwrap(), value);
            }
        }
    }
}
