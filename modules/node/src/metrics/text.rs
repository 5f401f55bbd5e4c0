//! The page: figures in the Prometheus text format, written by the `prometheus` crate.

use crate::metric::{Definition, Kind, Metric, Unit};
use crate::reply::GatewayRow;
use crate::snapshot::{TotalKey, Totals};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric as Sample, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};
use std::collections::BTreeMap;

/// States that a gateway can be in, as the page shows them.
const GATEWAY_STATES: [&str; 6] = ["up", "trying", "down", "draining", "disabled", "unresolved"];

/// Ways of serving, as the page shows them.
const SERVING: [&str; 3] = ["normal", "leaving", "refusing"];

/// What the page says of the process beside the shards' figures.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// When it started: seconds since 1970 (UTC).
    pub started: f64,
    /// Number of the tables in force.
    pub generation: u64,
    /// How new requests are served.
    pub serving: &'static str,
    /// Reloads that were taken into service.
    pub reloads: u64,
    /// Reloads that were refused.
    pub reloads_refused: u64,
    /// Shards that did not answer in time.
    pub silent_shards: u64,
    /// Lines of the log: written, held back, lost.
    pub log_lines: [u64; 3],
}

/// The page; `others` stand at its end. The result is always UTF-8 and ends with a line end.
pub fn page(process: &Process, totals: &Totals, gateways: &[GatewayRow], others: Vec<MetricFamily>) -> String {
    let mut families = process_families(process);
    families.extend(figure_families(totals));
    families.extend(gateway_families(gateways));
    families.extend(others);
    // WHY: a family without samples makes the encoder refuse the page as a whole.
    families.retain(|family| !family.get_metric().is_empty());
    let mut bytes = Vec::new();
    match TextEncoder::new().encode(&families, &mut bytes) {
        Ok(()) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("# {}\n", error.to_string().replace('\n', " ")),
    }
}

fn process_families(process: &Process) -> Vec<MetricFamily> {
    let [written, held_back, lost] = process.log_lines;
    let one = |value: f64| vec![(vec![], value)];
    let version = vec![(vec![("version", env!("CARGO_PKG_VERSION"))], 1.0)];
    let serving = SERVING.iter().map(|state| (vec![("state", *state)], truth(process.serving == *state))).collect();
    let lines = [("written", written), ("suppressed", held_back), ("lost", lost)];
    let lines = lines.map(|(outcome, count)| (vec![("outcome", outcome)], float(count))).to_vec();
    let reloads = [("done", process.reloads), ("refused", process.reloads_refused)];
    let reloads = reloads.map(|(outcome, count)| (vec![("outcome", outcome)], float(count))).to_vec();
    vec![
        family("tandem_build_info", "Version of the program.", Kind::Gauge, version),
        family("tandem_start_time_seconds", "When the process started, since 1970.", Kind::Gauge, one(process.started)),
        family("tandem_serving", "How new requests are served: 1 for the state that holds.", Kind::Gauge, serving),
        family(
            "tandem_tables_generation",
            "Number of the tables in force.",
            Kind::Gauge,
            one(float(process.generation)),
        ),
        family("tandem_reloads_total", "Reloads, by outcome.", Kind::Counter, reloads),
        family(
            "tandem_silent_shards",
            "Shards that did not answer in time.",
            Kind::Gauge,
            one(float(process.silent_shards)),
        ),
        family("tandem_log_lines_total", "Lines of the log, by outcome.", Kind::Counter, lines),
    ]
}

fn figure_families(totals: &Totals) -> Vec<MetricFamily> {
    let mut by_metric: BTreeMap<Metric, Vec<Sample>> = BTreeMap::new();
    for (key, value) in totals.iter() {
        let definition = key.0.definition();
        let labels = labels_of(key).into_iter().map(|(name, value)| label(name, &value)).collect();
        by_metric.entry(key.0).or_default().push(sample(definition.kind, labels, shown(&definition, value)));
    }
    let family = |(metric, samples): (Metric, Vec<Sample>)| {
        let Definition { name, help, kind, .. } = metric.definition();
        raw_family(name, help.trim(), kind, samples)
    };
    by_metric.into_iter().map(family).collect()
}

/// Names and values of a figure's labels, the shard's included.
pub(crate) fn labels_of((metric, labels, shard): &TotalKey) -> Vec<(&'static str, String)> {
    let names = metric.definition().labels.iter().copied();
    let mut all: Vec<_> = names.zip(labels.iter().map(|value| (*value).to_owned())).collect();
    all.extend(shard.map(|shard| ("shard", shard.to_string())));
    all
}

/// A figure's value in the unit that its name says.
pub(crate) fn shown(definition: &Definition, value: u64) -> f64 {
    match definition.unit {
        Unit::One => float(value),
        Unit::Micros => float(value) / 1e6,
    }
}

fn gateway_families(gateways: &[GatewayRow]) -> Vec<MetricFamily> {
    type Value = fn(&GatewayRow) -> Option<f64>;
    let plain: [(&str, &str, Kind, Value); 5] = [
        ("tandem_gateway_attempts_total", "Requests sent to the gateway outside dialogs.", Kind::Counter, |row| {
            Some(float(row.attempts))
        }),
        ("tandem_gateway_calls_total", "Calls that the gateway answered.", Kind::Counter, |row| {
            Some(float(row.carried))
        }),
        ("tandem_gateway_active_calls", "Calls that stand on the gateway.", Kind::Gauge, |row| Some(float(row.active))),
        ("tandem_gateway_refused_responses_total", "Responses not believed.", Kind::Counter, |row| {
            Some(float(row.refused_responses))
        }),
        ("tandem_gateway_probe_seconds", "Time that the last answered probe took.", Kind::Gauge, |row| {
            row.probe_micros.map(|micros| float(micros) / 1e6)
        }),
    ];
    let mut families: Vec<MetricFamily> = plain
        .into_iter()
        .map(|(name, help, kind, value)| {
            let samples = gateways.iter().filter_map(|row| Some(sample(kind, gateway_labels(row), value(row)?)));
            raw_family(name, help, kind, samples.collect())
        })
        .collect();
    let failed = gateways.iter().flat_map(|row| {
        row.failed_by.iter().map(|(cause, count)| {
            let mut labels = gateway_labels(row);
            labels.push(label("cause", cause));
            sample(Kind::Counter, labels, float(*count))
        })
    });
    let help = "Attempts at the gateway that failed, by cause.";
    families.push(raw_family("tandem_gateway_failed_total", help, Kind::Counter, failed.collect()));
    let states = gateways.iter().flat_map(|row| {
        GATEWAY_STATES.iter().map(|state| {
            let mut labels = gateway_labels(row);
            labels.push(label("state", state));
            sample(Kind::Gauge, labels, truth(row.state == *state))
        })
    });
    let help = "State of the gateway: 1 for the one that holds.";
    families.push(raw_family("tandem_gateway_state", help, Kind::Gauge, states.collect()));
    families
}

fn gateway_labels(row: &GatewayRow) -> Vec<LabelPair> {
    let address = row.address.as_deref().unwrap_or_default();
    vec![label("set", &row.set), label("gateway", &row.name), label("address", address)]
}

/// Calls at the same time, by name of `by`.
pub(crate) fn concurrent<'n>(by: &str, calls: impl Iterator<Item = (&'n str, u32)>) -> MetricFamily {
    let samples = calls.map(|(name, calls)| sample(Kind::Gauge, vec![label(by, name)], f64::from(calls)));
    let help = format!("Calls of a {by} that live now, ringing ones included.");
    raw_family(&format!("tandem_{by}_concurrent_calls"), &help, Kind::Gauge, samples.collect())
}

fn family(name: &str, help: &str, kind: Kind, samples: Vec<(Vec<(&str, &str)>, f64)>) -> MetricFamily {
    let sample = |(labels, value): (Vec<(&str, &str)>, f64)| {
        sample(kind, labels.into_iter().map(|(name, value)| label(name, value)).collect(), value)
    };
    raw_family(name, help, kind, samples.into_iter().map(sample).collect())
}

fn raw_family(name: &str, help: &str, kind: Kind, samples: Vec<Sample>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(match kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge | Kind::Peak => MetricType::GAUGE,
    });
    family.set_metric(samples);
    family
}

fn sample(kind: Kind, labels: Vec<LabelPair>, value: f64) -> Sample {
    let mut sample = Sample::from_label(labels);
    match kind {
        Kind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(value);
            sample.set_counter(counter);
        }
        Kind::Gauge | Kind::Peak => {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            sample.set_gauge(gauge);
        }
    }
    sample
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut label = LabelPair::default();
    label.set_name(name.to_owned());
    label.set_value(value.to_owned());
    label
}

fn truth(holds: bool) -> f64 {
    if holds { 1.0 } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has floats only; exact up to 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}
