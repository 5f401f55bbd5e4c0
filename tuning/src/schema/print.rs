//! Writes a configuration back as TOML, every key with its value and where it came from.

use super::key::{Fallback, Key, Kind};
use super::section::Section;

/// A value as it stands in a file, on one line.
pub(crate) fn show(value: &toml::Value) -> String {
    value.to_string()
}

/// The whole file: plain keys first, then tables, then lists of tables, as TOML wants it.
pub(crate) fn print_file<S: Section>(section: &S, given: &dyn Fn(&str) -> bool) -> String {
    let mut text = String::new();
    table(&mut text, "", "", &section.print_table(), &S::keys(), given);
    text
}

/// One table: `header` is its TOML header, `path` where the file's marks have it.
fn table(
    text: &mut String,
    header: &str,
    path: &str,
    values: &toml::Table,
    keys: &[Key],
    given: &dyn Fn(&str) -> bool,
) {
    for key in keys {
        let path = join(path, key.name);
        match values.get(key.name) {
            None => text.push_str(&format!("# {} is not set\n", key.name)),
            Some(value) if nested(value, key).is_none() => {
                text.push_str(&entry(key.name, value));
                text.push_str(if given(&path) { "\n" } else { "  # default\n" });
            }
            Some(_) => {}
        }
    }
    for key in keys {
        let Some(value) = values.get(key.name) else {
            continue;
        };
        let Some(nested_keys) = nested(value, key) else {
            continue;
        };
        let (header, path) = (join(header, key.name), join(path, key.name));
        match value {
            toml::Value::Table(values) => {
                text.push_str(&format!("\n[{header}]\n"));
                table(text, &header, &path, values, &nested_keys, given);
            }
            toml::Value::Array(entries) => {
                for (index, values) in entries.iter().filter_map(toml::Value::as_table).enumerate()
                {
                    text.push_str(&format!("\n[[{header}]]\n"));
                    table(
                        text,
                        &header,
                        &format!("{path}[{index}]"),
                        values,
                        &nested_keys,
                        given,
                    );
                }
            }
            _ => {}
        }
    }
}

/// The keys of a value that gets a header of its own. Tables with a shorthand stay on their line.
fn nested(value: &toml::Value, key: &Key) -> Option<Vec<Key>> {
    fn keys_of(kind: &Kind) -> Option<Vec<Key>> {
        match kind {
            Kind::Table {
                keys,
                shorthand: None,
                ..
            } => Some(keys()),
            Kind::List(of) => keys_of(of),
            Kind::Either(kinds) => kinds.iter().find_map(keys_of),
            _ => None,
        }
    }
    match value {
        toml::Value::Table(_) => keys_of(&key.kind),
        toml::Value::Array(entries) if entries.iter().any(toml::Value::is_table) => {
            keys_of(&key.kind)
        }
        _ => None,
    }
}

fn entry(name: &str, value: &toml::Value) -> String {
    match value {
        toml::Value::Array(entries) if entries.iter().any(toml::Value::is_table) => {
            let lines: String = entries
                .iter()
                .map(|entry| format!("  {},\n", show(entry)))
                .collect();
            format!("{name} = [\n{lines}]")
        }
        _ => format!("{name} = {}", show(value)),
    }
}

fn join(outer: &str, name: &str) -> String {
    if outer.is_empty() {
        name.to_owned()
    } else {
        format!("{outer}.{name}")
    }
}

impl Key {
    /// Its default as it would stand in a file; `None` when it is required, derived or unset.
    pub fn default_value(&self) -> Option<&toml::Value> {
        match &self.fallback {
            Fallback::Value(value) => value.as_ref(),
            Fallback::Required | Fallback::Derived(_) => None,
        }
    }
}
