//! Figures by customer, vendor and destination, for Prometheus: counted by the record lane from the records themselves.
//!
//! Calls and attempts count when they are over. INVARIANT: a dimension has at most [`FIGURE_NAMES_MAX`] names; what comes
//! later is counted under `other`.
//!
//! | Outcome | What | In ASR | In NER |
//! |---|---|---|---|
//! | `answered` | a 2xx | yes | yes |
//! | `user` | the called side did not want or could not: 480, 486, 487, 600, 603, 607, 608 (ITU-T E.425) | | yes |
//! | `network` | anything else that a gateway said, or silence | | |
//! | `refused` | we refused it: caps, price, margin, route | | |

use limits::records::FIGURE_NAMES_MAX;
use modules::records::field::Listed;
use modules::records::record::RecordKind;
use modules::records::{Field, Record};
use prometheus::proto::MetricFamily;
use prometheus::{
    Counter, CounterVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
};
use std::collections::HashMap;
use std::sync::Mutex;

/// Buckets of post-dial delay, in seconds.
const PDD_BUCKETS: [f64; 12] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0];

/// Under which names beyond the bound are counted.
const OTHER: &str = "other";

/// See the module.
#[derive(Debug)]
pub struct Traffic {
    registry: Registry,
    customers: Dimension,
    vendors: Dimension,
    destinations: Dimension,
}

#[derive(Debug)]
struct Dimension {
    names: Mutex<HashMap<String, Named>>,
    calls: IntCounterVec,
    causes: IntCounterVec,
    talk: CounterVec,
    income: CounterVec,
    cost: CounterVec,
    pdd: HistogramVec,
}

/// The counters of one name, as far as they were needed. WHY kept: to find them by their labels takes longer than all else
/// that is done for a record.
#[derive(Debug, Default)]
struct Named {
    outcomes: HashMap<&'static str, IntCounter>,
    statuses: HashMap<u64, IntCounter>,
    refusals: HashMap<String, IntCounter>,
    answered: Option<Answered>,
    pdd: Option<Histogram>,
}

#[derive(Debug)]
struct Answered {
    talk: Counter,
    income: Counter,
    cost: Counter,
}

impl Traffic {
    /// # Errors
    /// Two figures have one name.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        Ok(Traffic {
            customers: Dimension::new(&registry, "customer", "calls")?,
            vendors: Dimension::new(&registry, "vendor", "attempts")?,
            destinations: Dimension::new(&registry, "destination", "calls")?,
            registry,
        })
    }

    /// Counts a record.
    pub(super) fn count(&self, record: &Record<'_>) {
        if !matches!(record.kind, RecordKind::Call | RecordKind::Attempt) {
            return;
        }
        let fields = Listed::of(record.fields);
        match record.kind {
            RecordKind::Attempt => self.vendors.count(&fields, Field::Vendor, Field::Sent),
            // A further answer to one INVITE is no call of the customer.
            _ if fields.find(Field::Parent).is_some() => {}
            _ => {
                self.customers.count(&fields, Field::Customer, Field::Setup);
                self.destinations.count(&fields, Field::SellDestination, Field::Setup);
            }
        }
    }

    /// For the page.
    pub(crate) fn families(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }
}

impl Dimension {
    fn new(registry: &Registry, by: &str, what: &str) -> prometheus::Result<Self> {
        let name = |rest: &str| format!("tandem_{by}_{rest}");
        let money = |which: &str, help: String| CounterVec::new(Opts::new(name(which), help), &[by]);
        let dimension = Dimension {
            names: Mutex::default(),
            calls: IntCounterVec::new(
                Opts::new(
                    name(&format!("{what}_total")),
                    format!("Customers' {what} that are over, by {by} and outcome."),
                ),
                &[by, "outcome"],
            )?,
            causes: IntCounterVec::new(
                Opts::new(
                    name("causes_total"),
                    format!("SIP codes, or our own causes, with which {what} ended, by {by}."),
                ),
                &[by, "cause"],
            )?,
            talk: CounterVec::new(
                Opts::new(name("talk_seconds_total"), format!("Time from answer to end, by {by}.")),
                &[by],
            )?,
            income: money("income_total", format!("What customers pay, in the currency of the house, by {by}."))?,
            cost: money("cost_total", format!("What vendors get, in the currency of the house, by {by}."))?,
            pdd: HistogramVec::new(
                HistogramOpts::new(
                    name("pdd_seconds"),
                    format!("Post-dial delay: until the first 18x or the answer, by {by}."),
                )
                .buckets(PDD_BUCKETS.to_vec()),
                &[by],
            )?,
        };
        registry.register(Box::new(dimension.calls.clone()))?;
        registry.register(Box::new(dimension.causes.clone()))?;
        for counters in [&dimension.talk, &dimension.income, &dimension.cost] {
            registry.register(Box::new(counters.clone()))?;
        }
        registry.register(Box::new(dimension.pdd.clone()))?;
        Ok(dimension)
    }

    /// `began`: from when post-dial delay counts.
    fn count(&self, fields: &Listed<'_>, name: Field, began: Field) {
        let name = String::from_utf8_lossy(fields.find(name).unwrap_or_default());
        let mut names = self.names.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = names.contains_key(&*name) || names.len() < FIGURE_NAMES_MAX;
        let name = if known { &*name } else { OTHER };
        if !names.contains_key(name) {
            names.insert(name.to_owned(), Named::default());
        }
        let Some(named) = names.get_mut(name) else { return };

        let outcome = outcome(fields);
        named.outcomes.entry(outcome).or_insert_with(|| self.calls.with_label_values(&[name, outcome])).inc();
        self.count_cause(fields, outcome, name, named);
        let seen = [Field::Ringing, Field::Answer].into_iter().filter_map(|field| fields.number(field)).min();
        if let Some(passed) = seen.zip(fields.number(began)).and_then(|(seen, began)| seen.checked_sub(began)) {
            named.pdd.get_or_insert_with(|| self.pdd.with_label_values(&[name])).observe(seconds(passed));
        }
        if outcome == "answered" {
            let [talk, income, cost] = [&self.talk, &self.income, &self.cost];
            let answered = named.answered.get_or_insert_with(|| Answered {
                talk: talk.with_label_values(&[name]),
                income: income.with_label_values(&[name]),
                cost: cost.with_label_values(&[name]),
            });
            answered.talk.inc_by(seconds(fields.number(Field::Duration).unwrap_or(0)));
            let in_house = |amount, rate| Some(money(fields, amount)? * money(fields, rate)?);
            answered.income.inc_by(in_house(Field::SellAmount, Field::SellRate).unwrap_or(0.0));
            answered.cost.inc_by(in_house(Field::BuyAmount, Field::BuyRate).unwrap_or(0.0));
        }
    }

    fn count_cause(&self, fields: &Listed<'_>, outcome: &str, name: &str, named: &mut Named) {
        let counter = |cause: &str| self.causes.with_label_values(&[name, cause]);
        if outcome != "refused" {
            let status = fields.number(Field::Status).unwrap_or(0);
            return named.statuses.entry(status).or_insert_with(|| counter(&status.to_string())).inc();
        }
        let cause = String::from_utf8_lossy(fields.find(Field::Cause).unwrap_or_default());
        match named.refusals.get(&*cause) {
            Some(known) => known.inc(),
            None => named.refusals.entry(cause.to_string()).or_insert_with(|| counter(&cause)).inc(),
        }
    }
}

fn outcome(fields: &Listed<'_>) -> &'static str {
    if fields.find(Field::Answer).is_some() {
        return "answered";
    }
    let status = fields.number(Field::Status).unwrap_or(0);
    match fields.find(Field::Cause).unwrap_or_default() {
        b"cancelled" => "user",
        b"rejected" if matches!(status, 480 | 486 | 487 | 600 | 603 | 607 | 608) => "user",
        b"rejected" | b"no_response" | b"not_ringing" | b"ring_timeout" | b"timeout" | b"unreachable"
        | b"no_final_response" | b"" => "network",
        _ => "refused",
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has floats only; exact up to 2^53")]
fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "a figure to look at; what is billed stands exactly in the record")]
fn money(fields: &Listed<'_>, field: Field) -> Option<f64> {
    let decimal = fields.decimal(field)?;
    Some(decimal.units as f64 / decimal.digits.scale() as f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use modules::records::field::Fields;

    fn told(traffic: &Traffic, kind: RecordKind, tell: impl FnOnce(&mut Fields<'_>)) {
        let mut fields = Vec::new();
        tell(&mut Fields::growing(&mut fields));
        traffic.count(&Record { kind, sequence: 1, at: 0, fields: &fields });
    }

    #[test]
    fn outcomes_seconds_and_money_by_customer() {
        let traffic = Traffic::new().unwrap();
        told(&traffic, RecordKind::Call, |fields| {
            fields.text(Field::Customer, b"acme").time(Field::Setup, 1_000_000).time(Field::Ringing, 1_400_000);
            fields.time(Field::Answer, 2_000_000).number(Field::Duration, 30_500_000).number(Field::Status, 200);
            fields.decimal(Field::SellAmount, deck::money::Decimal::parse("0.5").unwrap());
            fields.decimal(Field::SellRate, deck::money::Decimal::parse("2").unwrap());
        });
        for (status, cause) in [(486, "rejected"), (503, "rejected"), (503, "customer_cps"), (408, "timeout")] {
            told(&traffic, RecordKind::Call, |fields| {
                fields
                    .text(Field::Customer, b"acme")
                    .number(Field::Status, status)
                    .text(Field::Cause, cause.as_bytes());
            });
        }
        let count = |outcome| traffic.customers.calls.with_label_values(&["acme", outcome]).get();
        assert_eq!(["answered", "user", "network", "refused"].map(count), [1, 1, 2, 1]);
        let cause = |cause| traffic.customers.causes.with_label_values(&["acme", cause]).get();
        assert_eq!(["200", "486", "503", "customer_cps", "408"].map(cause), [1, 1, 1, 1, 1]);
        let of = |counters: &CounterVec| counters.with_label_values(&["acme"]).get();
        assert!(
            (of(&traffic.customers.talk) - 30.5).abs() < 1e-9 && (of(&traffic.customers.income) - 1.0).abs() < 1e-9
        );
        let pdd = traffic.customers.pdd.with_label_values(&["acme"]);
        assert!(pdd.get_sample_count() == 1 && (pdd.get_sample_sum() - 0.4).abs() < 1e-9);
    }

    #[test]
    fn names_are_bounded() {
        let traffic = Traffic::new().unwrap();
        for vendor in 0..FIGURE_NAMES_MAX + 50 {
            told(&traffic, RecordKind::Attempt, |fields| {
                fields.text(Field::Vendor, format!("v{vendor}").as_bytes());
            });
        }
        assert_eq!(traffic.vendors.calls.with_label_values(&[OTHER, "network"]).get(), 50);
        let families = traffic.families();
        let calls = families.iter().find(|family| family.name() == "tandem_vendor_attempts_total").unwrap();
        assert_eq!(calls.get_metric().len(), FIGURE_NAMES_MAX + 1);
    }
}
