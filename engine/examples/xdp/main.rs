//! The AF_XDP driver's figures, as JSON: `xdp micro [FRAMES]` (X1), `xdp program [RUNS]` (X3, needs the
//! rights to load BPF programs), `xdp account [FRAMES]` (X4), `xdp` alone for all of them.
//!
//! Instructions: `valgrind --tool=callgrind --toggle-collect='*driver_part*' xdp micro 32000`, divided by
//! the frames.

use std::process::ExitCode;

mod account;
mod micro;
mod program;
mod scene;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let count = arguments.next().and_then(|text| text.parse::<u64>().ok());
    let rows: Result<Vec<String>, String> = match what.as_str() {
        "micro" => Ok(vec![x1(count)]),
        "program" => x3(count).map(|row| vec![row]),
        "account" => x4(count).map(|row| vec![row]),
        "" => Ok(vec![x1(None)]).and_then(|mut rows| {
            rows.push(x3(None).unwrap_or_else(|why| format!("\"X3\": {{\"skipped\": {why:?}}}")));
            rows.push(x4(None)?);
            Ok(rows)
        }),
        _ => Err("xdp [micro|program|account] [COUNT]".to_owned()),
    };
    match rows {
        Ok(rows) => {
            println!("{{{}}}", rows.join(", "));
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// The best of several runs: what disturbs only adds.
fn x1(frames: Option<u64>) -> String {
    let frames = frames.unwrap_or(1_000_000);
    let rounds = if frames < 100_000 { 1 } else { 5 };
    let best = (0..rounds).map(|_| micro::run(frames / rounds)).fold(f64::INFINITY, f64::min);
    format!("\"X1\": {{\"nanoseconds_in_and_out\": {best:.1}, \"frames\": {frames}, \"payload_bytes\": 800}}")
}

fn x3(runs: Option<u64>) -> Result<String, String> {
    let runs = u32::try_from(runs.unwrap_or(200_000)).map_err(|error| error.to_string())?;
    let found = program::nanoseconds(runs)?;
    Ok(format!(
        "\"X3\": {{\"foreign_nanoseconds\": {}, \"foreign_udp_nanoseconds\": {}, \"ours_nanoseconds\": {}, \"empty_program_nanoseconds\": {}}}",
        found.foreign, found.foreign_udp, found.ours, found.floor
    ))
}

fn x4(frames: Option<u64>) -> Result<String, String> {
    let found = account::run(frames.unwrap_or(10_000_000))?;
    let exact = found.missing == 0 && found.refused.0 == found.refused.1;
    if !exact {
        return Err(format!("the account is not exact: {found:?}"));
    }
    Ok(format!(
        "\"X4\": {{\"frames\": {}, \"lost\": {}, \"sent\": {}, \"flaps\": {}, \"nonsense_refused\": {}, \"missing\": {}, \"exact\": {exact}}}",
        found.offered, found.lost, found.sent, found.flaps, found.refused.0, found.missing
    ))
}
