//! The dip for a ported number (RFC 4694), when a customer's call comes without `rn`: a question to a lane, for which
//! the call waits parked. What fails, or takes too long, routes by the dialled number, and is counted.

use super::call::Understood;
use super::dialled::Digits;
use super::trunks::Customer;
use crate::question::{Asked, Subject};
use crate::reason::Reason;
use deck::Code;
use proto::message::{Uri, Writer};
use proto::policy::{Answer, TargetSet, Verdict};
use proto::time::Micros;

/// Whether and how long it is asked.
#[derive(Clone, Debug)]
pub struct DipRules {
    pub(super) wait: Micros,
    pub(super) prefixes: Box<[Box<str>]>,
}

/// What came of it for a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dipped {
    /// It was not asked.
    #[default]
    No,
    /// Nobody answered in time: the dialled number holds.
    Failed,
    /// The number is not ported.
    NotPorted,
    /// Its routing number.
    Ported(Digits),
}

/// Answers in short.
pub mod answer {
    /// The source could not say.
    pub const FAILED: u64 = 0;
    /// It did; the bytes are the routing number's digits, or none.
    pub const FOUND: u64 = 1;
}

impl DipRules {
    pub(super) fn new(lnp: &tuning::Lnp) -> Self {
        DipRules {
            wait: Micros(u64::try_from(lnp.timeout.as_micros()).unwrap_or(u64::MAX)),
            prefixes: lnp.prefixes.iter().map(|prefix| prefix.as_str().into()).collect(),
        }
    }

    /// Whether a call's routing number is asked for.
    pub fn wants(&self, customer: &Customer, uri: &Uri<'_>) -> bool {
        self.called(customer, uri).is_some()
    }

    /// The number that is asked for; `None`: none is.
    fn called(&self, customer: &Customer, uri: &Uri<'_>) -> Option<Digits> {
        let called = Understood::of(customer, uri, None, 0).ok()?.called;
        let begins = |prefix: &str| called.as_bytes().starts_with(prefix.as_bytes());
        let wanted = self.prefixes.is_empty() || self.prefixes.iter().any(|prefix| begins(prefix));
        (wanted && !Understood::has_routing_number(uri)).then_some(called)
    }

    /// The verdict that asks for a call's routing number; `None`: the call has one, or it is not asked for.
    pub(crate) fn ask(&self, customer: &Customer, uri: &Uri<'_>, targets: &mut TargetSet) -> Option<Verdict<Reason>> {
        let called = self.called(customer, uri)?;
        if !targets.attach(|out| out.put(called.as_bytes())) {
            return None;
        }
        Some(Asked { subject: Subject::RoutingNumber, shard: None }.verdict(self.wait))
    }
}

impl Dipped {
    /// What an answer says; `bytes` came with it.
    pub(crate) fn of(given: Option<Answer>, bytes: &[u8]) -> Self {
        match given {
            Some(Answer::Module(answer::FOUND)) if bytes.is_empty() => Dipped::NotPorted,
            Some(Answer::Module(answer::FOUND)) => Digits::of_digits(bytes).map_or(Dipped::Failed, Dipped::Ported),
            _ => Dipped::Failed,
        }
    }

    /// For records.
    pub const fn label(&self) -> &'static str {
        match self {
            Dipped::No => "",
            Dipped::Failed => "failed",
            Dipped::NotPorted => "not_ported",
            Dipped::Ported(_) => "ported",
        }
    }

    /// The routing number, as decks look it up.
    pub(super) fn code(&self) -> Option<Code> {
        match self {
            Dipped::Ported(digits) => digits.code(),
            _ => None,
        }
    }

    /// What a vendor is told: who has asked need not be asked again (RFC 4694 §3).
    pub(super) fn parameters(&self, out: &mut Writer<'_>) {
        if let Dipped::Ported(digits) = self {
            out.put(b";rn=+");
            out.put(digits.as_bytes());
        }
        if matches!(self, Dipped::Ported(_) | Dipped::NotPorted) {
            out.put(b";npdi");
        }
    }
}
