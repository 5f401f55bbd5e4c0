//! From figures and tables to the replies of `tandem gateways`, `stats` and `sources`, and to the
//! metrics page.

use super::drain;
use super::gather::Gathered;
use crate::disk::AdminStates;
use crate::metric::Metric;
use crate::metrics::{Process, concurrent, labels_of, shown};
use crate::records::Traffic;
use crate::reply::{Figure, GatewayRow, Gateways, Stats, UnknownSource, UnknownSources};
use limits::records::FIGURE_NAMES_MAX;
use modules::Serving;
use modules::Tables;
use modules::class4::Trunks;
use modules::dispatcher::figures::Cause;
use prometheus::proto::MetricFamily;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the control lane knows beside the shards' figures, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// The tables in force.
    pub tables: Option<Arc<Tables>>,
    /// Operators' decisions.
    pub admin: Arc<AdminStates>,
    /// How new requests are served.
    pub serving: Serving,
    /// io_uring or mmsg.
    pub driver: &'static str,
    /// How many shards there are.
    pub shards: usize,
    /// When the process started, in microseconds since 1970.
    pub started: u64,
    /// Now, the same.
    pub now: u64,
    /// Reloads that were taken into service, and that were refused.
    pub reloads: [u64; 2],
    /// Figures by customer, vendor and destination, where calls are recorded.
    pub traffic: Option<Arc<Traffic>>,
    /// Lines of the log: written, held back, lost.
    pub log_lines: [u64; 3],
}

/// `tandem gateways`: every gateway of every set in the file's order.
pub(super) fn gateways(gathered: &Gathered) -> Gateways {
    let picture = &gathered.picture;
    let mut reply = Gateways::default();
    let mut present = BTreeSet::new();
    let Some(tables) = &picture.tables else { return reply };
    for set in tables.sets_in_order() {
        for gateway in tables.gateways_of(set) {
            present.insert(gateway.name.as_ref());
            let mut row = GatewayRow {
                set: set.name.to_string(),
                name: gateway.name.to_string(),
                address: gateway.address.map(|address| address.to_string()),
                weight: gateway.weight,
                priority: u32::from(gateway.priority),
                admin: picture.admin.get(gateway.name.as_ref()).cloned(),
                ..GatewayRow::default()
            };
            if let Some(known) = gathered.gateways.get(&gateway.number.0) {
                row.state = known.state.label().into();
                row.why = known.why.label().into();
                row.since = known.since.0;
                row.attempts = known.figures.attempts;
                row.carried = known.figures.carried;
                row.active = u64::from(known.figures.active);
                row.failed = known.figures.failed_in_all();
                let causes = Cause::ALL.iter().zip(known.figures.failed).filter(|(_, count)| *count > 0);
                row.failed_by = causes.map(|(cause, count)| (cause.label().to_owned(), count)).collect();
                row.probe_micros = Some(known.probe_latency.0).filter(|micros| *micros > 0);
                row.refused_responses = known.figures.refused_responses;
                row.refused_from = known.figures.refused_from.map(|address| address.to_string());
            }
            reply.gateways.push(row);
        }
    }
    let absent = picture.admin.iter().filter(|(name, _)| !present.contains(name.as_str()));
    reply.absent = absent.map(|(name, entry)| (name.clone(), entry.clone())).collect();
    reply
}

/// `tandem stats`.
pub(super) fn stats(gathered: &Gathered) -> Stats {
    let picture = &gathered.picture;
    let figure = |(key, value): (&_, u64)| {
        let (metric, ..): &(Metric, _, _) = key;
        let definition = metric.definition();
        let labels = labels_of(key).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Figure { name: definition.name.into(), labels, value: shown(&definition, value) }
    };
    Stats {
        version: env!("CARGO_PKG_VERSION").into(),
        uptime_seconds: picture.now.saturating_sub(picture.started) / 1_000_000,
        serving: drain::word(picture.serving).into(),
        generation: generation(picture),
        shards: picture.shards,
        silent_shards: gathered.silent.clone(),
        driver: picture.driver.into(),
        figures: gathered.totals.iter().map(figure).collect(),
    }
}

/// `tandem sources --unknown`.
pub(super) fn unknown_sources(gathered: &Gathered) -> UnknownSources {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let unknown = gathered.unknown.iter().map(|source| UnknownSource {
        address: source.address.to_string(),
        count: source.count,
        first: source.first.0,
        last: source.last.0,
        from: text(source.from()),
        to: text(source.to()),
    });
    UnknownSources { unknown: unknown.collect() }
}

/// What the metrics page says of the process.
fn process_of(gathered: &Gathered) -> Process {
    let picture = &gathered.picture;
    #[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 stay below 2^53")]
    let started = picture.started as f64 / 1e6;
    let [reloads, reloads_refused] = picture.reloads;
    Process {
        started,
        generation: generation(picture),
        serving: drain::word(picture.serving),
        reloads,
        reloads_refused,
        silent_shards: u64::try_from(gathered.silent.len()).unwrap_or(u64::MAX),
        log_lines: picture.log_lines,
    }
}

/// The metrics page.
pub fn metrics_page(gathered: &Gathered) -> String {
    let picture = &gathered.picture;
    let mut families = picture.tables.as_ref().and_then(|tables| tables.class4.as_ref()).map(loads).unwrap_or_default();
    families.extend(picture.traffic.iter().flat_map(|traffic| traffic.families()));
    crate::metrics::page(&process_of(gathered), &gathered.totals, &gateways(gathered).gateways, families)
}

/// Calls of customers and vendors that live now, ringing ones included.
fn loads(trunks: &Trunks) -> Vec<MetricFamily> {
    let customers = trunks.customers().map(|one| (&*one.name, one.load.calls()));
    let vendors = trunks.vendors().map(|one| (&*one.name, one.load.calls()));
    vec![concurrent("customer", customers.take(FIGURE_NAMES_MAX)), concurrent("vendor", vendors.take(FIGURE_NAMES_MAX))]
}

fn generation(picture: &Picture) -> u64 {
    picture.tables.as_ref().map_or(0, |tables| tables.generation)
}
