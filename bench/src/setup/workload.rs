//! The call workloads: what each takes for granted unless flags say otherwise.

use std::time::Duration;

use proto::time::Micros;

use crate::gateway::behaviour::{Behaviour, End, Outcome};

/// Which of the call workloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// `call`
    Call,
    /// `call-stateless`
    CallStateless,
    /// `cancel`
    Cancel,
    /// `failover`
    Failover,
    /// `overload`
    Overload,
    /// `wholesale`
    Wholesale,
}

impl Workload {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Workload::Call => "call",
            Workload::CallStateless => "call-stateless",
            Workload::Cancel => "cancel",
            Workload::Failover => "failover",
            Workload::Overload => "overload",
            Workload::Wholesale => "wholesale",
        }
    }

    /// Final failures that belong to it.
    pub(super) const fn expected(self) -> &'static [u16] {
        match self {
            Workload::Call | Workload::CallStateless | Workload::Failover => &[],
            Workload::Cancel => &[487],
            Workload::Overload => &[503],
            // 500 is what RFC 3261 §16.7 step 6 makes of a last 503.
            Workload::Wholesale => &[404, 486, 487, 500, 503],
        }
    }

    /// What gateways do unless told otherwise; `first`: the first of several.
    pub(super) fn behaviour(self, first: bool) -> Behaviour {
        match self {
            Workload::Call | Workload::CallStateless | Workload::Overload => Behaviour::default(),
            Workload::Failover if first => Behaviour::reject(503),
            Workload::Failover => Behaviour::default(),
            Workload::Cancel => Behaviour {
                outcomes: vec![Outcome {
                    share: 1.0,
                    ring_after: Some(Micros(0)),
                    early_media: false,
                    end: End::RingOut,
                }],
                ..Behaviour::default()
            },
            Workload::Wholesale => Behaviour::wholesale(),
        }
    }

    /// How long callers let it ring.
    pub(super) const fn patience(self) -> Duration {
        match self {
            Workload::Wholesale => WHOLESALE_PATIENCE,
            _ => PATIENCE,
        }
    }

    /// Share of calls that callers cancel while they ring.
    pub(super) const fn cancel_share(self) -> f64 {
        match self {
            Workload::Cancel => 1.0,
            Workload::Wholesale => WHOLESALE_CANCELS,
            _ => 0.0,
        }
    }

    /// Share of INVITEs of 2.5 KB.
    pub(super) const fn large_share(self) -> f64 {
        match self {
            Workload::Wholesale => WHOLESALE_LARGE,
            _ => 0.0,
        }
    }
}

/// How long a call may ring before its caller cancels it.
const PATIENCE: Duration = Duration::from_secs(180);
const WHOLESALE_PATIENCE: Duration = Duration::from_secs(1);
/// Shares of the wholesale mix.
const WHOLESALE_CANCELS: f64 = 0.05;
const WHOLESALE_LARGE: f64 = 0.1;
