//! The reference of all keys, in Markdown.

use super::json_schema::prose;
use super::key::{Effect, Key, Kind};
use crate::config::Config;
use crate::schema::Section;

/// Every key with type, default, meaning and what a reload does, a table for each section.
pub fn reference() -> String {
    let mut text = String::from("# Keys of the configuration file\n");
    text.push_str("\nMade from the declarations in `src/config`; `cargo test -p tuning` says when it is stale.\n");
    text.push_str("Durations are strings with a unit: `\"500ms\"`, `\"2s\"`, `\"3m\"`, `\"1h\"`. ");
    text.push_str("A key marked ⟳ changes with a reload; the others need a restart.\n");
    section(&mut text, "Top level", Config::DOC, &Config::keys());
    text
}

fn section(text: &mut String, title: &str, doc: &str, keys: &[Key]) {
    text.push_str(&format!("\n## {title}\n\n{}\n", prose(doc)));
    let plain = || keys.iter().filter(|key| inner(&key.kind).is_none());
    if plain().next().is_some() {
        text.push_str("\n| Key | Value | Default | Meaning |\n|---|---|---|---|\n");
    }
    for key in plain() {
        text.push_str(&row(key));
    }
    for key in plain() {
        let Kind::Choice(words) = &key.kind else { continue };
        text.push_str(&format!("\n`{}`:\n\n", key.name));
        for (word, doc) in *words {
            text.push_str(&format!("- `{word:?}`: {}\n", prose(doc)));
        }
    }
    for key in keys {
        let Some((doc, keys)) = inner(&key.kind) else { continue };
        let many = matches!(key.kind, Kind::List(_));
        let outer = match title {
            "Top level" => String::new(),
            title => format!("{}.", title.trim_matches(['`', '[', ']'])),
        };
        let path = format!("{outer}{}", key.name);
        match (outer.is_empty(), many) {
            (_, true) => section(text, &format!("`[[{path}]]`"), doc, &keys),
            (true, false) => section(text, &format!("`[{path}]`"), doc, &keys),
            (false, false) => {
                let doc = prose(key.doc);
                text.push_str(&format!("\n`{path}` takes the keys of `[{}]`, or `\"off\"`. {doc}\n", key.name));
            }
        }
    }
}

fn row(key: &Key) -> String {
    let reload = if key.effect == Effect::Live { " ⟳" } else { "" };
    let cell = |text: &str| text.replace('|', "\\|");
    let default = match key.default_value() {
        Some(value) => format!("`{value}`"),
        None => key.fallback.to_string(),
    };
    format!(
        "| `{}`{reload} | {} | {} | {} |\n",
        key.name,
        cell(&values(&key.kind)),
        cell(&default),
        cell(&prose(key.doc))
    )
}

fn values(kind: &Kind) -> String {
    match kind {
        Kind::Integer { low, high } if *high < i128::from(u32::MAX) => format!("{low} to {high}"),
        Kind::Number { low, high } => format!("{low:?} to {high:?}"),
        Kind::Duration { low, high } => format!("{low} to {high}"),
        Kind::Choice(words) => words.iter().map(|(word, _)| format!("`{word:?}`")).collect::<Vec<_>>().join(", "),
        Kind::List(of) => format!("list of: {}", values(of)),
        Kind::Either(kinds) => kinds.iter().map(values).collect::<Vec<_>>().join(", or "),
        Kind::Boolean | Kind::Integer { .. } | Kind::Text(_) | Kind::Table { .. } => kind.in_words(),
    }
}

/// The table within a kind.
fn inner(kind: &Kind) -> Option<(&'static str, Vec<Key>)> {
    match kind {
        Kind::Table { doc, keys, .. } => Some((doc, keys())),
        Kind::List(of) => inner(of),
        Kind::Either(kinds) => kinds.iter().find_map(inner),
        _ => None,
    }
}
