//! One call over the control socket.

use super::{Connection, Exit, Format};
use crate::control::rpc::{self, RpcError};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for a reply. A reload of a large file may take seconds.
const REPLY_DEADLINE: Duration = Duration::from_secs(30);

/// Longest reply that is read, in bytes.
const REPLY_BYTES_MAX: u64 = 256 << 20;

/// Why a call brought nothing.
#[derive(Debug)]
pub(super) enum CallError {
    /// Nobody answers at the socket.
    Unreachable(PathBuf, io::Error),
    /// Somebody answers, but not like a tandem.
    Garbled(PathBuf, String),
    /// The tandem says no.
    Refused(RpcError),
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CallError::Unreachable(path, error) => {
                writeln!(f, "no tandem answers at {}: {error}", path.display())?;
                match error.kind() {
                    io::ErrorKind::PermissionDenied => {
                        write!(f, "  become its user or root, or let your group in: `group` in [control]")
                    }
                    _ => write!(
                        f,
                        "  start one with `tandem run --config FILE`, or name its socket with `--socket PATH`"
                    ),
                }
            }
            CallError::Garbled(path, why) => write!(f, "{} does not answer like a tandem: {why}", path.display()),
            CallError::Refused(error) => f.write_str(&error.message),
        }
    }
}

/// Calls `method` at the socket of `connection`.
pub(super) fn call(connection: &Connection, method: &str, params: &Value) -> Result<Value, CallError> {
    let path = connection.socket.clone().unwrap_or_else(default_socket);
    let line = exchange(&path, &rpc::request(1, method, params))
        .map_err(|error| CallError::Unreachable(path.clone(), error))?;
    match rpc::read_reply(&line) {
        Ok(outcome) => outcome.map_err(CallError::Refused),
        Err(error) => Err(CallError::Garbled(path, error.to_string())),
    }
}

/// Calls, and shows the reply with `render`, or as it is with `--format json`.
pub(super) fn show<T: DeserializeOwned>(
    connection: &Connection,
    method: &str,
    params: &Value,
    render: impl FnOnce(&T) -> String,
) -> Exit {
    match call(connection, method, params) {
        Ok(reply) => print_reply(connection.format, reply, render),
        Err(error) => fail(connection.format, &error),
    }
}

/// Shows a reply.
pub(super) fn print_reply<T: DeserializeOwned>(
    format: Format,
    reply: Value,
    render: impl FnOnce(&T) -> String,
) -> Exit {
    let text = match format {
        Format::Json => format!("{reply:#}\n"),
        Format::Text => match serde_json::from_value(reply) {
            Ok(reply) => render(&reply),
            Err(error) => {
                eprintln!("tandem: the running tandem is of another release: {error}");
                return Exit::Failed;
            }
        },
    };
    print(&text)
}

/// Writes to standard output; a reader that has gone away is no failure.
pub(super) fn print(text: &str) -> Exit {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("tandem: {error}");
            Exit::Failed
        }
        _ => Exit::Good,
    }
}

/// Says why a call failed; the exit code says whether the configuration was the reason.
pub(super) fn fail(format: Format, error: &CallError) -> Exit {
    let refused = match error {
        CallError::Refused(refused) => Some(refused),
        CallError::Unreachable(..) | CallError::Garbled(..) => None,
    };
    match (format, refused) {
        (Format::Json, Some(refused)) => println!("{:#}", serde_json::json!({ "error": refused })),
        (Format::Json, None) => println!("{:#}", serde_json::json!({ "error": { "message": error.to_string() } })),
        (Format::Text, _) => {
            eprintln!("tandem: {error}");
            if let Some(details) = refused.and_then(|refused| refused.data.get("text")).and_then(Value::as_str) {
                eprintln!("{details}");
            }
        }
    }
    match refused {
        Some(refused) if refused.code == rpc::code::BAD_CONFIGURATION => Exit::BadConfiguration,
        _ => Exit::Failed,
    }
}

/// Where `tandem run` puts its socket when the configuration does not say.
fn default_socket() -> PathBuf {
    tuning::Environment::of_this_host().runtime_dir.join("control.sock")
}

fn exchange(path: &Path, request: &str) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(REPLY_DEADLINE))?;
    stream.set_write_timeout(Some(REPLY_DEADLINE))?;
    stream.write_all(request.as_bytes())?;
    stream.write_all(b"\n")?;
    let mut line = Vec::new();
    BufReader::new(stream).take(REPLY_BYTES_MAX).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed"));
    }
    Ok(line)
}
