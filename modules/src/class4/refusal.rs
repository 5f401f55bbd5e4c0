//! What a customer gets when we refuse his call ourselves: one table, from `[class4.refusals]`.

use super::trunks::Trunks;
use crate::reason::Reason;
use proto::policy::{Choice, Outcome, TargetSet, Verdict};
use tuning::Answer;

/// Why we refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No customer has this source and tech prefix.
    UnknownCustomer,
    /// The called number has no digits that a deck could have.
    MalformedNumber,
    /// The number is blocked for the customer.
    Blocked,
    /// The customer's deck has no price.
    NoPrice,
    /// No vendor takes it, or none can now.
    NoRoute,
    /// None leaves the least margin.
    Margin,
    /// The number is a high-risk one, not open for the customer.
    HighRisk,
    /// The customer's balance.
    Credit,
    /// What the customer may spend in an hour or a day.
    Spend,
    /// It looked like fraud.
    Alarm,
    /// The customer's calls at the same time.
    Concurrent,
    /// The customer's calls a second.
    Cps,
    /// The customer's calls to this destination at the same time.
    DestinationConcurrent,
    /// The customer's calls to this destination a second.
    DestinationCps,
    /// It has come back from another carrier.
    Loop,
    /// No 18x in the time for it.
    PostDial,
    /// It rang too long.
    RangTooLong,
    /// It had early media for too long.
    EarlyMedia,
    /// What vendors said is no customer's business.
    Vendor,
}

/// The table.
#[derive(Clone, Debug)]
pub struct Refusals(tuning::Refusals);

impl Refusals {
    pub(super) fn new(table: &tuning::Refusals) -> Self {
        Refusals(table.clone())
    }

    /// What is said.
    pub fn answer(&self, why: Why) -> &Answer {
        let table = &self.0;
        match why {
            Why::UnknownCustomer => &table.unknown_customer,
            Why::MalformedNumber => &table.malformed_number,
            Why::Blocked => &table.blocked,
            Why::NoPrice => &table.no_price,
            Why::NoRoute => &table.no_route,
            Why::Margin => &table.margin,
            Why::HighRisk => &table.high_risk,
            Why::Credit => &table.credit,
            Why::Spend => &table.spend,
            Why::Alarm => &table.alarm,
            Why::Concurrent => &table.concurrent,
            Why::Cps => &table.cps,
            Why::DestinationConcurrent => &table.destination_concurrent,
            Why::DestinationCps => &table.destination_cps,
            Why::Loop => &table.loop_found,
            Why::PostDial => &table.post_dial,
            Why::RangTooLong | Why::EarlyMedia => &table.unanswered,
            Why::Vendor => &table.vendor,
        }
    }

    /// Attaches the Reason header (RFC 3326); the status to be sent.
    pub(crate) fn attach(&self, why: Why, targets: &mut TargetSet) -> u16 {
        let answer = self.answer(why);
        if answer.cause > 0 {
            // INVARIANT: some thirty octets fit an empty attachment.
            targets.attach(|out| {
                out.put(b"Reason: Q.850;cause=");
                out.decimal(u64::from(answer.cause));
                out.put(b"\r\n");
            });
        }
        answer.status
    }

    /// The verdict on a new call.
    pub(crate) fn verdict(&self, why: Why, targets: &mut TargetSet) -> Verdict<Reason> {
        Verdict::Reply { status: self.attach(why, targets), reason: why.reason() }
    }
}

impl Why {
    /// Under which it is counted.
    pub const fn reason(self) -> Reason {
        match self {
            Why::UnknownCustomer => Reason::CustomerUnknown,
            Why::MalformedNumber => Reason::NumberMalformed,
            Why::Blocked => Reason::NumberBlocked,
            Why::NoPrice => Reason::NoPrice,
            Why::NoRoute => Reason::NoVendor,
            Why::Margin => Reason::NoMargin,
            Why::HighRisk => Reason::NumberHighRisk,
            Why::Credit => Reason::CustomerCredit,
            Why::Spend => Reason::CustomerSpend,
            Why::Alarm => Reason::CustomerAlarm,
            Why::Concurrent => Reason::CustomerConcurrent,
            Why::Cps => Reason::CustomerCps,
            Why::DestinationConcurrent => Reason::DestinationConcurrent,
            Why::DestinationCps => Reason::DestinationCps,
            Why::Loop => Reason::CarrierLoop,
            Why::PostDial => Reason::PostDial,
            Why::RangTooLong => Reason::RangTooLong,
            Why::EarlyMedia => Reason::EarlyMedia,
            Why::Vendor => Reason::VendorOnly,
        }
    }
}

/// What the customer gets in the end: the best response, unless it is a redirection or a challenge.
pub(super) fn last(trunks: &Trunks, best: Outcome, targets: &mut TargetSet) -> Choice {
    match best {
        Outcome::Response(300..=399 | 401 | 407) => {
            Choice::Answer { status: trunks.refusals.attach(Why::Vendor, targets) }
        }
        _ => Choice::Send { status: None },
    }
}
