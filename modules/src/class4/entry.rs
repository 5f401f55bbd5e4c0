//! Whether a customer's call may begin: it has not come back from another carrier, and caps leave room for it.

use super::call::Understood;
use super::caps::{Full, Load};
use super::destinations::Destination;
use super::loops::{Before, Found, Numbers};
use super::refusal::Why;
use super::trunks::{Customer, Trunks};
use proto::time::{Micros, Mono};

/// Places for a new call, at its customer and at the destination that is bounded for it.
pub(super) fn take(customer: &Customer, destination: Option<&Destination>, now: Mono) -> Result<(), Why> {
    let (load, caps): (&Load, _) = (&customer.load, &customer.caps);
    let taken = match destination {
        None => load.take(caps, now).map_err(|full| (full, false)),
        Some(destination) => load.take_both(caps, (&destination.load, &destination.caps), now),
    };
    taken.map_err(|refused| match refused {
        (Full::Concurrent, false) => Why::Concurrent,
        (Full::Pace, false) => Why::Cps,
        (Full::Concurrent, true) => Why::DestinationConcurrent,
        (Full::Pace, true) => Why::DestinationCps,
    })
}

/// The numbers of a call, to be noted when it is sent on; `None`: nobody looks for loops, or it has no caller.
///
/// # Errors
/// It has come back from another carrier.
pub(super) fn looped(
    trunks: &Trunks,
    customer: &Customer,
    call: &Understood,
    now: Mono,
) -> Result<Option<Numbers>, Found> {
    let question = &call.question;
    let (Some(window), Some(caller)) = (trunks.rules.loop_window, question.caller) else { return Ok(None) };
    let numbers = trunks.loops.numbers(caller, question.dialled);
    let before = trunks.loop_of(numbers, customer, window, now);
    match before {
        Some(before) => Err(Found { customer: customer.number, before, caller, called: question.dialled }),
        None => Ok(Some(numbers)),
    }
}

impl Trunks {
    /// The call with these numbers that another carrier's customer has sent within `window`.
    fn loop_of(&self, numbers: Numbers, customer: &Customer, window: Micros, now: Mono) -> Option<Before> {
        let before = self.loops.before(numbers, window, now)?;
        let first = self.customer(before.customer)?;
        (first.carrier != customer.carrier).then_some(before)
    }

    /// The same of a call that is only asked about.
    pub fn would_loop(&self, customer: &Customer, call: &Understood, now: Mono) -> Option<Before> {
        looped(self, customer, call, now).err().map(|found| found.before)
    }
}
