//! The summary of a run, for people and as JSON. Both show the same figures.

use std::fmt::{self, Display, Formatter};

use proto::time::{Micros, Mono};
use serde_json::{Value, json};

use super::{
    latency::{Figures, Timed},
    limit::{self, EngineCounts},
    tally::{Codes, GatewayTally},
    totals::Totals,
};

/// What had been counted at a moment: whoever measures a window of the run subtracts two of them.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Point {
    /// Microseconds of the host's monotonic clock.
    pub at_us: u64,
    /// Calls started so far.
    pub started: u64,
    /// Completed so far.
    pub completed: u64,
    /// Rejected as expected so far.
    pub rejected: u64,
    /// Failed or lost so far.
    pub failed: u64,
    /// New INVITEs that the gateways have seen so far.
    pub attempts: u64,
}

impl Point {
    /// What `totals` hold at `at`.
    pub fn of(totals: &Totals, at: Mono) -> Self {
        let caller = &totals.caller;
        Point {
            at_us: at.0,
            started: caller.started,
            completed: caller.completed,
            rejected: caller.rejected,
            failed: caller.failed() + caller.lost(),
            attempts: totals.gateways.iter().map(|(_, gateway)| gateway.invites).sum(),
        }
    }
}

/// Everything that is said of a run.
pub struct Summary {
    /// Name of the workload.
    pub workload: &'static str,
    /// Target, rate, arrivals, as the user gave them.
    pub plan: String,
    /// Driver of the generator.
    pub driver: &'static str,
    /// What was counted.
    pub totals: Totals,
    /// When the schedule began.
    pub begin: Mono,
    /// The course of the counts, a point for each book of a shard.
    pub series: Vec<Point>,
    /// From the begin to the last book.
    pub elapsed: Micros,
    /// The generator's own engine.
    pub engine: EngineCounts,
    /// Datagrams lost at the target's socket, where it is on this host.
    pub target_drops: Option<u64>,
    /// Share of CPU time that the hypervisor took.
    pub stolen: f64,
    /// A signal ended the run.
    pub interrupted: bool,
    /// What the outcomes are called: calls have outcomes that single requests have not.
    pub has_calls: bool,
}

impl Summary {
    /// Why the generator was the limit; empty: it was not.
    pub fn limits(&self) -> Vec<String> {
        limit::reasons(&self.totals, &self.engine, self.elapsed)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let caller = &self.totals.caller;
        let seconds = self.elapsed.0 as f64 / 1e6;
        json!({
            "workload": self.workload,
            "plan": self.plan,
            "interrupted": self.interrupted,
            "seconds": seconds,
            "begin_us": self.begin.0,
            "series": self.series,
            "calls": {
                "started": caller.started,
                "answered": caller.answered,
                "completed": caller.completed,
                "rejected": caller.rejected,
                "cancelled": caller.cancelled,
                "challenged": caller.challenged,
                "failed": caller.failed(),
                "lost_after_answer": caller.lost(),
                "hung_up_by_peer": caller.hung_up_by_peer,
                "per_second": caller.started as f64 / seconds.max(1e-6),
            },
            "failures": labelled(caller.failures().map(|(class, n)| (class.label(), n))),
            "lost_after_answer": labelled(caller.losses().map(|(class, n)| (class.label(), n))),
            "responses": codes(&caller.finals),
            "bye_responses": codes(&caller.bye_finals),
            "oddities": {
                "second_answers": caller.second_answers,
                "late_answers": caller.late_answers,
                "strays": caller.strays,
                "unreadable": caller.unreadable,
                "network_errors": caller.network_errors,
            },
            "repeated": {
                "invites": caller.invites_repeated,
                "requests": caller.requests_repeated,
                "finals_received_again": caller.repeated_finals,
            },
            "latency_us": self.latencies_json(),
            "gateways": self.gateways_json(),
            "datagrams": {
                "sent": self.totals.sent,
                "received": self.totals.received,
                "lost_at_generator": self.engine.kernel_drops,
                "lost_at_target": self.target_drops,
            },
            "generator": {
                "driver": self.driver,
                "cpu_seconds": self.totals.cpu.iter().map(|cpu| cpu.0 as f64 / 1e6).collect::<Vec<_>>(),
                "busy": self.busy(),
                "engine": self.engine,
                "limits": self.limits(),
            },
            "host": { "stolen": self.stolen },
        })
    }

    /// Share of its core that the busiest shard used.
    fn busy(&self) -> f64 {
        let most = self.totals.cpu.iter().map(|cpu| cpu.0).max().unwrap_or(0);
        most as f64 / self.elapsed.0.max(1) as f64
    }

    fn latencies_json(&self) -> Value {
        let figures = |what: Timed| {
            let figures = self.totals.latencies.figures(what)?;
            Some((what.label().to_owned(), json!(figures)))
        };
        Value::Object(Timed::ALL.into_iter().filter_map(figures).collect())
    }

    fn gateways_json(&self) -> Vec<Value> {
        let all = self.all_invites();
        let since_begin = |at: Option<Mono>| at.map(|at| at.since(self.begin).0 as f64 / 1e6);
        self.totals
            .gateways
            .iter()
            .map(|(address, gateway)| {
                json!({
                    "address": address,
                    "invites": gateway.invites,
                    "share": share(gateway.invites, all),
                    "answered": gateway.answered,
                    "completed": gateway.completed,
                    "cancelled": gateway.cancelled,
                    "rejected": codes(&gateway.rejected),
                    "invites_repeated": gateway.invites_repeated,
                    "finals_repeated": gateway.finals_repeated,
                    "unacknowledged": gateway.unacknowledged,
                    "unknown_dialogs": gateway.unknown_dialogs,
                    "options": gateway.options,
                    "registers": gateway.registers,
                    "other_requests": gateway.other_requests,
                    "no_place": gateway.no_place,
                    "strays": gateway.strays,
                    "dropped": gateway.dropped,
                    "outage": {
                        "dropped": gateway.outage_dropped,
                        "invites": gateway.outage_invites,
                        "last_invite_at": since_begin(gateway.seen.last_in_outage),
                        "first_invite_after_at": since_begin(gateway.seen.first_after_outage),
                    },
                    "first_invite_at": since_begin(gateway.seen.first),
                    "last_invite_at": since_begin(gateway.seen.last),
                })
            })
            .collect()
    }

    fn all_invites(&self) -> u64 {
        self.totals.gateways.iter().map(|(_, g)| g.invites).sum()
    }

    fn write_calls(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let caller = &self.totals.caller;
        if self.has_calls {
            writeln!(
                f,
                "calls      started {}, answered {} ({:.3} %), completed {}, rejected {}, failed {}, lost after the answer {}",
                caller.started,
                caller.answered,
                100.0 * share(caller.answered, caller.started),
                caller.completed,
                caller.rejected,
                caller.failed(),
                caller.lost(),
            )?;
        } else {
            writeln!(
                f,
                "requests   sent {}, answered {} ({:.3} %), rejected {}, failed {}",
                caller.started,
                caller.answered,
                100.0 * share(caller.answered, caller.started),
                caller.rejected,
                caller.failed(),
            )?;
        }
        for (class, count) in caller.failures().filter(|(_, count)| *count > 0) {
            writeln!(f, "  failed   {count} {}: {}", class.label(), class.meaning())?;
        }
        for (class, count) in caller.losses().filter(|(_, count)| *count > 0) {
            writeln!(f, "  lost     {count} {}", class.label())?;
        }
        write_codes(f, "responses ", &caller.finals)?;
        if caller.bye_finals.iter().any(|(code, _)| code != 200) {
            write_codes(f, "  to BYE  ", &caller.bye_finals)?;
        }
        if caller.challenged > 0 {
            writeln!(f, "           challenged and answered {}", caller.challenged)?;
        }
        if caller.cancelled + caller.hung_up_by_peer > 0 {
            writeln!(f, "           cancelled {}, ended by the gateway {}", caller.cancelled, caller.hung_up_by_peer)?;
        }
        Ok(())
    }

    fn write_latencies(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for what in Timed::ALL {
            if let Some(figures) = self.totals.latencies.figures(what) {
                writeln!(f, "latency    {:<15}{}", what.label(), Millis(figures))?;
            }
        }
        Ok(())
    }

    fn write_wire(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let caller = &self.totals.caller;
        writeln!(
            f,
            "repeated   INVITE {}, other requests {}; final responses that came again {}",
            caller.invites_repeated, caller.requests_repeated, caller.repeated_finals
        )?;
        for (count, what) in [
            (caller.second_answers, "second answers, ended with BYE"),
            (caller.late_answers, "answers after the call was given up, ended with BYE"),
            (caller.strays, "datagrams that belong to no call of this run"),
            (caller.unreadable, "datagrams that are not SIP"),
            (caller.network_errors, "ICMP errors"),
        ] {
            if count > 0 {
                writeln!(f, "  odd      {count} {what}")?;
            }
        }
        write!(
            f,
            "datagrams  sent {}, received {}, lost at the generator's sockets {}",
            self.totals.sent, self.totals.received, self.engine.kernel_drops
        )?;
        match self.target_drops {
            Some(drops) => writeln!(f, ", at the target's {drops}"),
            None => writeln!(f),
        }
    }

    fn write_gateways(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let all = self.all_invites();
        for (address, gateway) in &self.totals.gateways {
            write!(
                f,
                "gateway    {address}  INVITE {} ({:.2} %), answered {}, completed {}",
                gateway.invites,
                100.0 * share(gateway.invites, all),
                gateway.answered,
                gateway.completed
            )?;
            for (count, what) in gateway_rest(gateway) {
                if count > 0 {
                    write!(f, ", {what} {count}")?;
                }
            }
            for (code, count) in gateway.rejected.iter() {
                write!(f, ", {code}: {count}")?;
            }
            writeln!(f)?;
            self.write_outage(f, gateway)?;
        }
        Ok(())
    }

    fn write_outage(&self, f: &mut Formatter<'_>, gateway: &GatewayTally) -> fmt::Result {
        if gateway.outage_dropped == 0 {
            return Ok(());
        }
        let second = |at: Option<Mono>| {
            at.map_or_else(|| "none".to_owned(), |at| format!("at {:.2} s", at.since(self.begin).0 as f64 / 1e6))
        };
        writeln!(
            f,
            "  outage   {} new INVITEs met a dead gateway, the last {}; first one after it {}",
            gateway.outage_invites,
            second(gateway.seen.last_in_outage),
            second(gateway.seen.first_after_outage)
        )
    }

    fn write_generator(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "generator  {}, {} shard(s), busiest used {:.0} % of its core",
            self.driver,
            self.totals.cpu.len(),
            100.0 * self.busy()
        )?;
        if self.stolen > 0.001 {
            write!(f, "; the hypervisor took {:.1} %", 100.0 * self.stolen)?;
        }
        let limits = self.limits();
        if limits.is_empty() {
            return writeln!(f, "; it was not the limit");
        }
        writeln!(f, "\nTHE GENERATOR WAS THE LIMIT, not the target:")?;
        for limit in limits {
            writeln!(f, "  - {limit}")?;
        }
        Ok(())
    }
}

impl Display for Summary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let ended = if self.interrupted { ", stopped by a signal" } else { "" };
        writeln!(f, "{} {}: {:.1} s{ended}", self.workload, self.plan, self.elapsed.0 as f64 / 1e6)?;
        if self.totals.caller.started > 0 {
            self.write_calls(f)?;
        }
        self.write_latencies(f)?;
        self.write_wire(f)?;
        self.write_gateways(f)?;
        self.write_generator(f)
    }
}

/// Counts of a gateway that are worth a word only if they are not zero.
fn gateway_rest(gateway: &GatewayTally) -> [(u64, &'static str); 13] {
    [
        (gateway.cancelled, "cancelled"),
        (gateway.invites_repeated, "INVITE again"),
        (gateway.finals_repeated, "finals sent again"),
        (gateway.unacknowledged, "never acknowledged"),
        (gateway.bye_no_response, "BYE unanswered"),
        (gateway.bye_rejected, "BYE refused"),
        (gateway.unknown_dialogs, "unknown dialogs"),
        (gateway.options, "OPTIONS"),
        (gateway.registers, "REGISTER"),
        (gateway.other_requests, "other requests"),
        (gateway.no_place, "no place"),
        (gateway.strays, "strays"),
        (gateway.dropped, "dropped"),
    ]
}

fn write_codes(f: &mut Formatter<'_>, title: &str, codes: &Codes) -> fmt::Result {
    if codes.total() == 0 {
        return Ok(());
    }
    write!(f, "{title}")?;
    for (code, count) in codes.iter() {
        write!(f, " {code}: {count}")?;
    }
    writeln!(f)
}

fn labelled(counts: impl Iterator<Item = (&'static str, u64)>) -> Value {
    Value::Object(counts.map(|(label, count)| (label.to_owned(), json!(count))).collect())
}

fn codes(codes: &Codes) -> Value {
    Value::Object(codes.iter().map(|(code, count)| (code.to_string(), json!(count))).collect())
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}

/// Figures in milliseconds.
struct Millis(Figures);

impl Display for Millis {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let ms = |micros: u64| micros as f64 / 1e3;
        let Figures { p50, p90, p99, p999, max, .. } = self.0;
        write!(
            f,
            "p50 {:.3}  p90 {:.3}  p99 {:.3}  p99.9 {:.3}  max {:.3} ms",
            ms(p50),
            ms(p90),
            ms(p99),
            ms(p999),
            ms(max)
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::report::tally::{Failure, Loss};

    fn summary() -> Summary {
        let gateways = ["127.0.0.1:5071", "127.0.0.1:5072"].map(|a| a.parse().unwrap());
        let mut totals = Totals::new(&gateways, vec![vec![0, 1]]);
        totals.caller.started = 10;
        totals.caller.answered = 8;
        totals.caller.completed = 7;
        totals.caller.finals.count(200);
        totals.caller.fail(Failure::NoResponse);
        totals.caller.lose(Loss::ByeNoResponse);
        totals.gateways[0].1.invites = 7;
        totals.gateways[1].1.invites = 3;
        totals.latencies.record(Timed::Answer, Micros(1_500));
        Summary {
            workload: "call",
            plan: "plan".to_owned(),
            driver: "mmsg",
            totals,
            begin: Mono(0),
            series: Vec::new(),
            elapsed: Micros::from_secs(2),
            engine: EngineCounts::default(),
            target_drops: Some(4),
            stolen: 0.0,
            interrupted: true,
            has_calls: true,
        }
    }

    #[test]
    fn every_class_of_failure_has_its_name_in_json() {
        let json = summary().json();
        for class in Failure::ALL {
            assert!(json["failures"][class.label()].is_u64(), "{class:?}");
        }
        assert_eq!(json["failures"]["no_response"], 1);
        assert_eq!(json["lost_after_answer"]["bye_no_response"], 1);
        assert_eq!(json["gateways"][0]["share"], 0.7);
        assert_eq!(json["datagrams"]["lost_at_target"], 4);
        assert_eq!(json["calls"]["per_second"], 5.0);
    }

    #[test]
    fn people_read_the_same() {
        let text = summary().to_string();
        for part in [
            "stopped by a signal",
            "answered 8 (80.000 %)",
            "1 no_response",
            "1 bye_no_response",
            "127.0.0.1:5071  INVITE 7 (70.00 %)",
            "p50 1.500",
            "at the target's 4",
            "it was not the limit",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
