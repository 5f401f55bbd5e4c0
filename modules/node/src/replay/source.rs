//! Where calls of the past come from: a folder of records, lines of JSON, or a capture.

use super::capture::{self, is_capture};
use super::judge::Judge;
use super::past::{self, Past};
use std::io;
use std::path::Path;

/// What else there was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rest {
    /// Records, lines or messages that could not be used.
    pub(crate) odd: u64,
    /// The calls came without prices.
    pub(crate) unpriced: bool,
    /// What has to be known of the result, a line each.
    pub(crate) notes: Vec<String>,
}

/// Calls `each` with every call of `from`, and with the judge, who knows whose gateways addresses are.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read(from: &Path, judge: &mut Judge, each: &mut dyn FnMut(&mut Judge, Past)) -> io::Result<Rest> {
    if from.is_dir() || !is_capture(from)? {
        let odd = past::read(from, &mut |past| each(judge, past))?;
        return Ok(Rest { odd, ..Rest::default() });
    }
    let names = judge.gateways();
    let vendor_at = |address| names.get(&address).cloned();
    let seen = capture::read(from, &vendor_at, &mut |past| each(judge, past))?;
    let told = [
        (seen.unfinished, "calls have no end in the capture: answered ones count until its last packet"),
        (seen.tcp, "TCP segments of port 5060 were passed over: only UDP is read"),
        (seen.foreign, "packets were passed over: without a time, or of a link layer that is not known"),
    ];
    let notes = told.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    Ok(Rest { odd: seen.odd, unpriced: true, notes: notes.collect() })
}
