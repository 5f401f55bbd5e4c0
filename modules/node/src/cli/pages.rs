//! Long lists over the control socket, and their counts.
//!
//! Pages are asked for and shown one after the other, so that a million rows neither wait for one another nor are held
//! anywhere at once.

use super::client::{CallError, call, fail, print};
use super::{Connection, Exit, Format};
use crate::reply::{Counted, Page};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Shows all rows that `method` has for `filter`: as `render` has a page of them, or as one JSON array. `nothing` is
/// said when there are none.
pub(super) fn list<R: Serialize + DeserializeOwned>(
    connection: &Connection,
    method: &str,
    mut filter: Value,
    nothing: &str,
    render: impl Fn(&[R]) -> String,
) -> Exit {
    let (mut begun, mut total) = (false, 0usize);
    loop {
        let page: Page<R> = match page(connection, method, &filter) {
            Ok(page) => page,
            Err(error) => return fail(connection.format, &error),
        };
        let text = match connection.format {
            Format::Json => page.rows.iter().fold(String::new(), |mut text, row| {
                text += if begun { ",\n " } else { "[" };
                begun = true;
                text + &json!(row).to_string()
            }),
            Format::Text if page.rows.is_empty() => String::new(),
            Format::Text => render(&page.rows),
        };
        total += page.rows.len();
        if print(&text) != Exit::Good {
            return Exit::Failed;
        }
        let Some((shard, from)) = page.next else { break };
        filter["shard"] = json!(shard);
        filter["from"] = json!(from);
    }
    match connection.format {
        Format::Json => print(if begun { "]\n" } else { "[]\n" }),
        Format::Text if total == 0 => print(nothing),
        Format::Text => Exit::Good,
    }
}

fn page<R: DeserializeOwned>(connection: &Connection, method: &str, filter: &Value) -> Result<Page<R>, CallError> {
    let reply = call(connection, method, filter)?;
    serde_json::from_value(reply)
        .map_err(|error| CallError::Garbled(connection.socket.clone().unwrap_or_default(), error.to_string()))
}

/// Counts with their sum.
pub(super) fn counts(counts: &[Counted]) -> String {
    let total: u64 = counts.iter().map(|entry| entry.count).sum();
    let lines = counts.iter().map(|entry| format!("{:>12}  {}\n", entry.count, entry.kind));
    lines.collect::<String>() + &format!("{total:>12}  in all\n")
}
