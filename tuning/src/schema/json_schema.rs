//! The JSON Schema of the file, for editors (draft 2020-12).

use super::key::{Effect, Key, Kind};
use crate::config::Config;
use crate::schema::Section;
use serde_json::{Map, Value, json};

/// JSON Schema of the configuration file. Editors take it with `#:schema tandem.schema.json` on the first line.
pub fn json_schema() -> Value {
    let mut schema = object(Config::DOC, &Config::keys());
    let head = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tandem configuration",
    });
    if let (Value::Object(schema), Value::Object(mut head)) = (&mut schema, head) {
        head.append(schema);
        return Value::Object(head);
    }
    schema
}

fn object(doc: &str, keys: &[Key]) -> Value {
    let properties: Map<String, Value> = keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<_> = keys.iter().filter(|key| key.is_required()).map(|key| key.name).collect();
    json!({
        "type": "object",
        "description": prose(doc),
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(key: &Key) -> Value {
    let mut schema = of_kind(&key.kind);
    let Value::Object(map) = &mut schema else {
        return schema;
    };
    let effect = match key.effect {
        Effect::Live => "",
        Effect::Restart => " A change needs a restart.",
    };
    let fallback = match key.default_value() {
        Some(_) => String::new(),
        None => format!(" Default: {}.", key.fallback),
    };
    let fallback = if key.is_required() { String::new() } else { fallback };
    map.insert("description".to_owned(), format!("{}{fallback}{effect}", prose(key.doc)).into());
    if let Some(default) = key.default_value().filter(|default| !default.is_table()) {
        map.insert("default".to_owned(), to_json(default));
    }
    schema
}

fn of_kind(kind: &Kind) -> Value {
    match kind {
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Integer { low, high } => {
            json!({ "type": "integer", "minimum": integer(*low), "maximum": integer(*high) })
        }
        Kind::Number { low, high } => json!({ "type": "number", "minimum": low, "maximum": high }),
        Kind::Duration { .. } => json!({ "type": "string", "pattern": "^[0-9]+ *(us|ms|s|m|h)$" }),
        Kind::Text(what) => json!({ "type": "string", "title": what }),
        Kind::Choice(words) => {
            let words: Vec<_> =
                words.iter().map(|(word, doc)| json!({ "const": word, "description": prose(doc) })).collect();
            json!({ "oneOf": words })
        }
        Kind::List(of) => json!({ "type": "array", "items": of_kind(of) }),
        Kind::Table { doc, keys, shorthand } => {
            let keys = keys();
            let table = object(doc, &keys);
            match shorthand.and_then(|name| keys.iter().find(|key| key.name == name)) {
                Some(key) => json!({ "anyOf": [property(key), table] }),
                None => table,
            }
        }
        Kind::Either(kinds) => json!({ "anyOf": kinds.iter().map(of_kind).collect::<Vec<_>>() }),
    }
}

fn integer(value: i128) -> Value {
    i64::try_from(value).map_or_else(|_| u64::try_from(value).map_or(Value::Null, Value::from), Value::from)
}

fn to_json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(integer) => (*integer).into(),
        toml::Value::Float(float) => (*float).into(),
        toml::Value::Boolean(boolean) => (*boolean).into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(list) => list.iter().map(to_json).collect(),
        toml::Value::Table(table) => table.iter().map(|(key, value)| (key.clone(), to_json(value))).collect(),
    }
}

/// A doc comment as running text.
pub(super) fn prose(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}
