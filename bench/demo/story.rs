//! The demo in its order: shares by weight, a death, the way back, the end.

use crate::proof::Proof;
use crate::stage::Stage;
use serde_json::Value;
use std::io;
use std::process::Child;
use std::time::{Duration, Instant};

const FIRST: &str = "127.0.0.1:25071";
const SECOND: &str = "127.0.0.1:25072";

/// Calls of the first part.
const CALLS: u64 = 3_000;
/// Calls a second of both parts.
const RATE: &str = "500";
/// How long traffic runs in the second part, and when the gateway dies and comes back in it.
const RUN: &str = "20s";
const DIES_AFTER: Duration = Duration::from_secs(4);
const BACK_AFTER: Duration = Duration::from_secs(6);
/// The bounds that the proofs hold to.
const SHARE_OFF_MAX: f64 = 0.01;
const UNANSWERED_ONE_IN: u64 = 1_000;
const MOVED_WITHIN: Duration = Duration::from_secs(2);
const BACK_WITHIN: Duration = Duration::from_secs(10);

/// Tells it, and returns what must have held.
pub(crate) fn tell() -> io::Result<Vec<Proof>> {
    println!("\n  Ten lines are the whole configuration:\n");
    Stage::configuration().lines().for_each(|line| println!("    {line}"));
    let mut stage = Stage::set()?;
    stage.start_gateway(FIRST)?;
    stage.start_gateway(SECOND)?;
    println!("\n  Tandem is up:\n\n{}", stage.banner());
    let mut proofs = Vec::new();
    shares(&stage, &mut proofs)?;
    death(&mut stage, &mut proofs)?;
    let code = stage.end_tandem()?;
    let seen = code.map_or("ended by a signal".to_owned(), |code| format!("exit code {code}"));
    proofs.push(Proof::new("SIGTERM ends it in order", seen, code == Some(0)));
    Ok(proofs)
}

/// Part one: everybody is well.
fn shares(stage: &Stage, proofs: &mut Vec<Proof>) -> io::Result<()> {
    println!("  {CALLS} calls at {RATE} a second, answered and hung up at once ...");
    let cpu = stage.cpu();
    let report = report(stage.start_callers(&["--rate", RATE, "--calls", &CALLS.to_string()])?)?;
    let cpu = stage.cpu().zip(cpu).map(|(after, before)| after.saturating_sub(before));
    let rows = stage.gateways()?;
    let carried: Vec<u64> = rows.iter().map(|row| number(row, &["carried"])).collect();
    let all: u64 = carried.iter().sum();
    println!("\n    GATEWAY            WEIGHT   CALLS   SHARE");
    let mut off_most = 0.0f64;
    for (row, calls) in rows.iter().zip(&carried) {
        let weight = number(row, &["weight"]);
        let share = *calls as f64 / all.max(1) as f64;
        off_most = off_most.max((share - weight as f64 / 100.0).abs());
        println!("    {:<18} {weight:>5} %  {calls:>6}  {:>5.1} %", text(row, "name"), share * 100.0);
    }
    let completed = number(&report, &["calls", "completed"]);
    proofs.push(Proof::new("every call is completed", format!("{completed} of {CALLS}"), completed == CALLS));
    let seen = format!("at most {:.2} points off", off_most * 100.0);
    proofs.push(Proof::new("shares are the weights, within one point", seen, off_most <= SHARE_OFF_MAX));
    println!("\n    first response p50 {}, p99 {}", latency(&report, "p50"), latency(&report, "p99"));
    if let Some(cpu) = cpu {
        println!(
            "    CPU of the whole process {:.0} us a call at this low rate",
            cpu.as_secs_f64() * 1e6 / CALLS as f64
        );
    }
    Ok(())
}

/// Part two: a gateway dies under load and comes back.
fn death(stage: &mut Stage, proofs: &mut Vec<Proof>) -> io::Result<()> {
    println!("\n  Traffic for {RUN} at {RATE} calls a second, each held half a second ...");
    let callers =
        stage.start_callers(&["--rate", RATE, "--duration", RUN, "--hold", "500ms", "--max-lost", "1000000"])?;
    std::thread::sleep(DIES_AFTER);
    stage.kill_gateway(SECOND)?;
    let killed = Instant::now();
    println!("    {SECOND} is killed");
    let moved = wait_for(stage, MOVED_WITHIN * 3, |row| text(row, "state") != "up")?.map(|_| killed.elapsed());
    match moved {
        Some(after) => println!("    {:>6} ms later traffic avoids it", after.as_millis()),
        None => println!("    traffic never avoided it"),
    }
    std::thread::sleep(BACK_AFTER.saturating_sub(killed.elapsed()));
    let before = carried(stage)?;
    stage.start_gateway(SECOND)?;
    let back = Instant::now();
    println!("    {SECOND} is back");
    let found = wait_for(stage, BACK_WITHIN, |row| number(row, &["carried"]) > before)?.map(|_| back.elapsed());
    match found {
        Some(after) => {
            println!("    {:>6} ms later it carries calls again, nobody having said a word", after.as_millis())
        }
        None => println!("    it never carried a call again"),
    }
    let report = report(callers)?;
    let (started, answered) = (number(&report, &["calls", "started"]), number(&report, &["calls", "answered"]));
    let lost = number(&report, &["calls", "lost_after_answer"]);
    println!(
        "\n    attempts {started}, answered {answered}, ASR {:.2} %",
        answered as f64 * 100.0 / started.max(1) as f64
    );
    println!("    {lost} calls stood on it when it died: answered, and ended without it");
    let unanswered = started.saturating_sub(answered);
    let seen = format!("{answered} of {started}");
    let held = started > 0 && unanswered * UNANSWERED_ONE_IN <= started;
    proofs.push(Proof::new("attempts are answered through the death, 99.9 %", seen, held));
    if unanswered > 0 {
        println!("    the others: {}, {}", report["responses"], report["failures"]);
    }
    let seen = moved.map_or("never".into(), |after| format!("after {} ms", after.as_millis()));
    proofs.push(Proof::new(
        "traffic avoids the dead one within 2 s",
        seen,
        moved.is_some_and(|after| after <= MOVED_WITHIN),
    ));
    let seen = found.map_or("never".into(), |after| format!("after {} ms", after.as_millis()));
    proofs.push(Proof::new("traffic returns by itself within 10 s", seen, found.is_some()));
    Ok(())
}

/// Waits until the second gateway's row is as wanted; `None`: it never was.
fn wait_for(stage: &Stage, longest: Duration, wanted: impl Fn(&Value) -> bool) -> io::Result<Option<()>> {
    let start = Instant::now();
    while start.elapsed() < longest {
        if stage.gateways()?.iter().any(|row| text(row, "name") == SECOND && wanted(row)) {
            return Ok(Some(()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(None)
}

fn carried(stage: &Stage) -> io::Result<u64> {
    let rows = stage.gateways()?;
    Ok(rows.iter().filter(|row| text(row, "name") == SECOND).map(|row| number(row, &["carried"])).sum())
}

fn report(callers: Child) -> io::Result<Value> {
    let output = callers.wait_with_output()?;
    serde_json::from_slice(&output.stdout).map_err(io::Error::other)
}

fn number(value: &Value, path: &[&str]) -> u64 {
    path.iter().try_fold(value, |value, key| value.get(key)).and_then(Value::as_u64).unwrap_or(0)
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn latency(report: &Value, quantile: &str) -> String {
    let micros = number(report, &["latency_us", "first_response", quantile]);
    if micros < 1_000 { format!("{micros} us") } else { format!("{:.1} ms", micros as f64 / 1_000.0) }
}
