//! Writes the effective configuration as TOML: what the file gives stands plain, each default stands
//! as a comment. What is printed can be loaded again and means the same.

use super::key::{Key, Kind};
use super::section::Section;

/// A value as it stands in a file, on one line.
pub(crate) fn show(value: &toml::Value) -> String {
    value.to_string()
}

/// The whole file. `given`: whether the file has the value at a path.
pub(crate) fn print_file<S: Section>(section: &S, given: &dyn Fn(&str) -> bool) -> String {
    let mut printer = Printer { text: String::new(), given };
    printer.table("", "", &section.print_table(), &S::keys(), true);
    printer.text
}

struct Printer<'g> {
    text: String,
    given: &'g dyn Fn(&str) -> bool,
}

impl Printer<'_> {
    /// One table: `header` is its TOML header, `path` its place among the file's marks.
    fn table(&mut self, header: &str, path: &str, values: &toml::Table, keys: &[Key], table_given: bool) {
        for key in keys {
            match values.get(key.name) {
                None => self.line(false, &format!("{} is not set", key.name)),
                Some(value) if nested(value, &key.kind).is_none() => {
                    let given = (self.given)(&join(path, key.name)) || (key.is_required() && table_given);
                    self.line(given, &format!("{} = {}", key.name, show(value)));
                }
                Some(_) => {}
            }
        }
        for key in keys {
            let Some(value) = values.get(key.name) else {
                continue;
            };
            let Some(inner) = nested(value, &key.kind) else {
                continue;
            };
            let (header, path) = (join(header, key.name), join(path, key.name));
            match value {
                toml::Value::Table(values) => self.headed(&format!("[{header}]"), &header, &path, values, &inner),
                toml::Value::Array(entries) => {
                    for (index, values) in entries.iter().filter_map(toml::Value::as_table).enumerate() {
                        let path = format!("{path}[{index}]");
                        self.headed(&format!("[[{header}]]"), &header, &path, values, &inner);
                    }
                }
                _ => {}
            }
        }
    }

    fn headed(&mut self, line: &str, header: &str, path: &str, values: &toml::Table, keys: &[Key]) {
        let given = (self.given)(path);
        self.text.push('\n');
        self.line(given, line);
        self.table(header, path, values, keys, given);
    }

    fn line(&mut self, given: bool, line: &str) {
        self.text.push_str(if given { "" } else { "# " });
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// The keys of a value that gets a header of its own.
fn nested(value: &toml::Value, kind: &Kind) -> Option<Vec<Key>> {
    let is_table = match value {
        toml::Value::Table(_) => true,
        toml::Value::Array(entries) => entries.iter().any(toml::Value::is_table),
        _ => false,
    };
    is_table.then(|| kind.table_keys()).flatten()
}

fn join(outer: &str, name: &str) -> String {
    if outer.is_empty() { name.to_owned() } else { format!("{outer}.{name}") }
}
