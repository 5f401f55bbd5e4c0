//! What the ledger keeps of a call that is being set up, and of its attempts.

use super::choice;
use super::field::{Field, Fields, Read, find, number};
use super::ledger::Place;

/// A call that is being set up.
#[derive(Debug, Default)]
pub(super) struct Setup {
    pub(super) fields: Vec<u8>,
    /// What was chosen among.
    pub(super) chosen: Vec<u8>,
    pub(super) attempts: Vec<Attempt>,
    /// There was a 2xx.
    pub(super) answered: bool,
    /// It is finished: until when attempts that have not ended are waited for.
    pub(super) until: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Attempt {
    pub(super) fields: Vec<u8>,
    pub(super) over: bool,
    /// Where it stands that it has begun.
    pub(super) begun: Option<Place>,
    /// Its gateway has said its last word, or never will: it cannot answer any more.
    pub(super) settled: bool,
}

impl Setup {
    /// A vendor's standing among those that were chosen is another one.
    pub(super) fn pass_over(&mut self, told: &[u8]) {
        let place = number(told, Field::PassedPlace).and_then(|place| usize::try_from(place).ok());
        let (Some(place), Some(why)) = (place, find(told, Field::PassedWhy)) else { return };
        let Some(choice) = find(&self.chosen, Field::Choice).and_then(|choice| choice::restand(choice, place, why))
        else {
            return;
        };
        self.chosen.clear();
        Fields::growing(&mut self.chosen).with(Field::Choice, |out| out.extend_from_slice(&choice));
    }

    /// The attempt that an event is about: by number, else by where it went.
    pub(super) fn attempt(&mut self, fields: &[u8]) -> Option<&mut Attempt> {
        if let Some(wanted) = number(fields, Field::Attempt) {
            return self.attempts.iter_mut().find(|attempt| number(&attempt.fields, Field::Attempt) == Some(wanted));
        }
        let wanted = find(fields, Field::GatewayAddress)?;
        let there =
            |attempt: &&mut Attempt| !attempt.settled && find(&attempt.fields, Field::GatewayAddress) == Some(wanted);
        // One that was given up may answer all the same.
        self.attempts.iter_mut().rev().filter(there).min_by_key(|attempt| attempt.over)
    }
}

/// The explanation apart from what every record of the call says.
pub(super) fn split(fields: &[u8], common: &mut Vec<u8>, chosen: &mut Vec<u8>) {
    for (field, _, whole) in Read(fields) {
        let to = if field == Field::Choice as u8 { &mut *chosen } else { &mut *common };
        to.extend_from_slice(whole);
    }
}
