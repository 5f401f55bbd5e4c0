//! A reload on the side of whoever asks for it: reading the file, and going back to the last good one.
//!
//! Runs on the asker's thread: the file may lie on a disk that is slow. What is read and checked is
//! handed to the control lane, which decides and installs it as a whole.

use super::inbox::{Ask, Inbox};
use super::rpc::{RpcError, code};
use crate::deck_files::service;
use crate::disk::LastGood;
use crate::log::{Level, Log, Record};
use crate::reply::Reload;
use crate::shadow::Desk;
use modules::class4::DeckImage;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tuning::{Diagnostics, Environment, Loaded};

/// Where configurations come from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The file of `--config`.
    pub file: PathBuf,
    /// What was in service before.
    pub last_good: LastGood,
    /// A candidate beside what is in service.
    pub shadow: Arc<Desk>,
}

/// Longest wait for the control lane to install a configuration.
const DEADLINE: Duration = Duration::from_secs(20);

/// Longest wait for the disk, once the configuration holds.
const DISK_DEADLINE: Duration = Duration::from_secs(4);

/// Reads the file (or goes back to the previous good one) and has it installed.
///
/// # Errors
/// The file is bad, takes away too much, or needs a restart; what was in service still is.
pub fn reload(
    inbox: &Inbox,
    sources: &Sources,
    log: &Log,
    previous: bool,
    forced: bool,
    who: &str,
) -> Result<Reload, RpcError> {
    let read = if previous { read_previous(sources) } else { read_file(sources) };
    let (next, from) = match read {
        Ok(read) => read,
        Err(error) => {
            inbox.tell(Ask::ReloadFailed);
            write_findings(&error, who, log);
            return Err(error);
        }
    };
    let decks = service::image_of(&next.config).map_err(|error| {
        inbox.tell(Ask::ReloadFailed);
        let error = RpcError::new(code::BAD_CONFIGURATION, format!("{error}; what was in service still is"));
        write_findings(&error, who, log);
        error
    })?;
    let reply = install(inbox, log, next, decks, from, forced, who)?;
    sources.shadow.reloaded(inbox);
    Ok(reply)
}

/// Has the control lane take a configuration into service, which was read and checked.
///
/// # Errors
/// It takes away too much, or needs a restart; what was in service still is.
pub(crate) fn install(
    inbox: &Inbox,
    log: &Log,
    next: Loaded,
    decks: Option<Arc<DeckImage>>,
    from: String,
    forced: bool,
    who: &str,
) -> Result<Reload, RpcError> {
    let next = Box::new(next);
    let (mut reply, saved) = inbox
        .ask(|reply| Ask::Reload { next, decks, from, forced, who: who.to_owned(), reply }, DEADLINE)
        .unwrap_or_else(|| Err(RpcError::new(code::INTERNAL, "the control lane did not answer in time")))?;
    let lost = match saved.recv_timeout(DISK_DEADLINE) {
        Ok(Ok(())) => return Ok(reply),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the disk has not confirmed it yet".to_owned(),
    };
    log.send(Record::new(Level::Error, "last-good-not-saved").with("why", lost.as_str()).always());
    let _ = writeln!(reply.warnings, "it holds, but is not kept for --previous: {lost}");
    Ok(reply)
}

fn read_file(sources: &Sources) -> Result<(Loaded, String), RpcError> {
    let loaded = tuning::load(&sources.file).map_err(|diagnostics| bad(&diagnostics))?;
    Ok((loaded, sources.file.display().to_string()))
}

fn read_previous(sources: &Sources) -> Result<(Loaded, String), RpcError> {
    let text = sources.last_good.previous().map_err(|error| RpcError::new(code::INTERNAL, error.to_string()))?;
    let Some(text) = text else {
        return Err(RpcError::new(code::NOT_FOUND, "there is no configuration before the one in service"));
    };
    let name = "previous configuration";
    let loaded = tuning::parse(&text, name, &Environment::of_this_host()).map_err(|diagnostics| bad(&diagnostics))?;
    Ok((loaded, name.into()))
}

/// The file is bad and changed nothing.
pub(crate) fn bad(diagnostics: &Diagnostics) -> RpcError {
    let message = format!("{} is not taken: it has errors; what was in service still is", diagnostics.file);
    let data = json!({ "text": diagnostics.render(false), "findings": diagnostics.to_json() });
    RpcError::new(code::BAD_CONFIGURATION, message).data(data)
}

/// Findings of a bad file that are written to the log; of more the number is.
const FINDINGS_LOGGED_MAX: usize = 20;

fn write_findings(error: &RpcError, who: &str, log: &Log) {
    let findings = error.data.get("findings").and_then(|all| all.get("findings")).and_then(Value::as_array);
    for finding in findings.into_iter().flatten().take(FINDINGS_LOGGED_MAX) {
        let mut record = Record::new(Level::Error, "configuration").always();
        for field in ["severity", "line", "rule", "message", "remedy"] {
            record = record.with(field, finding.get(field).cloned().unwrap_or_default());
        }
        log.send(record);
    }
    let record = Record::new(Level::Error, "reload-refused").with("user", who).with("why", error.message.as_str());
    log.send(record.always());
}
