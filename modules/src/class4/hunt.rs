//! Hunting: a customer's call goes from vendor to vendor until one takes it, or nothing is left.
//!
//! A call that is being set up has a [`Hunt`], in a pool of the shard; its transaction's note has the index. It holds
//! a place at the customer from point 1 on, and at the vendor whose turn it is. A 2xx passes both to the call
//! ([`Charge`]); what is still held is given back at point 6. INVARIANT: each place is held by exactly one of a hunt
//! and a call, so it is given back exactly once.

use super::account::Tariff;
use super::advance::cause;
use super::call::Understood;
use super::decide::Deciding;
use super::destinations::Destination;
use super::dialled::Digits;
use super::dip::Dipped;
use super::entry::{looped, take};
use super::held::Held;
use super::identity::caller;
use super::outbound::{cross, outward};
use super::passed::Passed;
use super::progress::Progress;
use super::quality::{Count, seconds};
use super::refusal::{Why, last};
use super::trunks::{Charge, Customer, HuntRules, Trunks};
use crate::dispatcher::{Dispatcher, UriTooLong};
use crate::note::Note;
use crate::records::Records;
use crate::tables::{Number, Tables};
use deck::Code;
use proto::message::{HeaderName, Message};
use proto::policy::{Choice, Inbound, Outcome, Patience, TargetSet};
use proto::pool::Slab;
use proto::time::{Micros, Mono, Now};
use proto::transaction::Branch;
use std::num::NonZeroU32;

/// A shard's calls that are being set up.
#[derive(Debug)]
pub struct Hunting {
    hunts: Slab<Hunt>,
    deciding: Deciding,
    /// Vendors that were passed over at a cap.
    capped: u64,
    /// 503s of vendors, by destination.
    held: Held,
    /// Dips: ported, not ported, failed.
    dips: [u64; 3],
    /// Emergency calls.
    emergencies: u64,
    /// Calls whose numbers were forgotten too early for finding loops.
    loops_forgotten: u64,
}

/// Which hunt a transaction has: its place and one more.
pub(crate) type HuntIndex = NonZeroU32;

/// A call that is being set up.
#[derive(Clone, Copy, Debug)]
struct Hunt {
    /// The customer, as long as a place is held there.
    customer: Option<Number>,
    /// The vendor whose turn it is, as long as a place is held there.
    vendor: Option<Number>,
    /// The customer's destination, as long as a place is held there.
    destination: Option<Number>,
    /// Vendors in the order of their turns, and how many had theirs.
    vendors: [u32; limits::HUNT_VENDORS_MAX],
    len: u8,
    next: u8,
    /// How far it has come.
    progress: Progress,
    /// Which vendor each attempt of the note went to, as a place of `vendors`.
    turns: [u8; limits::BRANCHES_MAX],
    /// How many attempts that holds for.
    attempts: u8,
    /// A 180 has reached the customer.
    rang: bool,
    /// An 18x with a session description has.
    media: bool,
    /// What came last moves the call on to the next vendor.
    advance: bool,
    /// The vendor whose turn it is has been heard of: an 18x or a 2xx.
    heard: bool,
    /// When its turn began.
    turned: Mono,
    /// What it costs the customer from its answer on, where that is looked at.
    tariff: Tariff,
    fee: i64,
    /// What came of the question for its routing number.
    dipped: Dipped,
    /// Nothing stops it.
    emergency: bool,
    /// The called number.
    called: Digits,
    /// The code of each vendor's deck that the number has: what its 503 is held against.
    codes: [Code; limits::HUNT_VENDORS_MAX],
}

const _: () = assert!(size_of::<Option<Hunt>>() + 8 <= limits::pool::HUNT_BYTES as usize, "as checked against memory");

/// Whose turn it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// Place among the vendors that may take the call.
    pub(crate) place: usize,
    /// The vendor.
    pub(crate) vendor: Number,
    /// The called number.
    pub(crate) called: Digits,
}

/// Why a new call has no target.
pub(crate) enum NoWay {
    /// We refuse it.
    Refused(Why),
    /// The pool of hunts is full: as many calls are being set up as may be.
    NoRoom,
    /// The Request-URI for a vendor is too long.
    UriTooLong,
}

impl From<UriTooLong> for NoWay {
    fn from(_: UriTooLong) -> Self {
        NoWay::UriTooLong
    }
}

impl Hunting {
    /// Room for so many hunts; nothing is allocated later.
    pub fn new(hunts: u32, seed: u64) -> Self {
        // WHY none without hunts: a file without customers pays nothing.
        let held = Held::new(if hunts > 0 { limits::HELD_503_MAX } else { 0 });
        Hunting {
            hunts: Slab::new(hunts),
            deciding: Deciding::new(seed),
            capped: 0,
            held,
            dips: [0; 3],
            emergencies: 0,
            loops_forgotten: 0,
        }
    }

    /// How often a vendor was passed over at a cap.
    pub const fn capped(&self) -> u64 {
        self.capped
    }

    /// 503s of vendors, held against their destinations.
    pub const fn held(&self) -> &Held {
        &self.held
    }

    /// Notes what came of a dip.
    pub(crate) fn dipped(&mut self, dipped: Dipped) -> Dipped {
        let [ported, not_ported, failed] = &mut self.dips;
        match dipped {
            Dipped::No => {}
            Dipped::Ported(_) => *ported += 1,
            Dipped::NotPorted => *not_ported += 1,
            Dipped::Failed => *failed += 1,
        }
        dipped
    }

    /// Dips for ported numbers: ported, not ported, failed.
    pub const fn dips(&self) -> [u64; 3] {
        self.dips
    }

    /// What came of the dip for the call that a transaction sets up.
    pub fn dip_of(&self, note: &Note) -> Dipped {
        let hunt = note.hunt.and_then(|index| self.hunts.get(index.get() - 1));
        hunt.map(|hunt| hunt.dipped).unwrap_or_default()
    }

    /// Emergency calls since the start.
    pub const fn emergencies(&self) -> u64 {
        self.emergencies
    }

    /// Calls whose numbers were forgotten too early for finding loops.
    pub const fn loops_forgotten(&self) -> u64 {
        self.loops_forgotten
    }

    /// Whether the call that a transaction sets up is an emergency.
    pub fn is_emergency(&self, note: &Note) -> bool {
        note.hunt.and_then(|index| self.hunts.get(index.get() - 1)).is_some_and(|hunt| hunt.emergency)
    }

    /// Calls that are being set up.
    pub const fn open(&self) -> u32 {
        self.hunts.len()
    }

    /// Point 1: a customer's new call. Its first target is in `targets` on success.
    #[allow(clippy::too_many_arguments, reason = "the parts of a policy, borrowed apart")]
    pub(crate) fn begin(
        &mut self,
        trunks: &Trunks,
        tables: &Tables,
        dispatcher: &mut Dispatcher,
        customer: &Customer,
        dipped: &Dipped,
        request: &Inbound<'_>,
        note: &mut Note,
        targets: &mut TargetSet,
        mut records: Option<&mut Records>,
        now: Now,
    ) -> Result<(), NoWay> {
        let refused = |why| Err(NoWay::Refused(why));
        if let Some(called) = trunks.emergency.number(customer, request.request_uri.user_without_params()) {
            self.emergencies += 1;
            customer.load.force();
            let hunt = Hunt::emergency(trunks, customer, called, now.mono);
            if let Some(records) = &mut records {
                records.emergency(&called, now);
            }
            return self.start(trunks, tables, dispatcher, hunt, request, note, targets, records, now);
        }
        let caller = caller(request.message, customer.boundary.trusted);
        let understood = Understood::of(customer, &request.request_uri, caller, now.wall.0);
        let mut understood = match understood {
            Ok(understood) => understood,
            Err(why) => return refused(why),
        };
        understood.question.routing = dipped.code().unwrap_or(understood.question.routing);
        understood.dip = dipped.label();
        let numbers = match looped(trunks, customer, &understood, now.mono) {
            Ok(numbers) => numbers,
            Err(found) => {
                trunks.loops.tell(&found);
                if let Some(records) = &mut records {
                    let first = trunks.customer(found.before.customer);
                    records.looped(&understood, first.map_or("", |first| &first.name), found.before.ago, now);
                }
                return refused(Why::Loop);
            }
        };
        if customer.spending.watches()
            && let Err(why) = customer.account.admit(&customer.spending, understood.question.dialled.value(), now)
        {
            return refused(why);
        }
        let question = (understood.called.as_bytes(), &understood.question);
        let destination = trunks.destination_of(customer, question, &mut self.deciding);
        if let Err(why) = take(customer, destination, now.mono) {
            if let (Some(records), Some(destination)) = (&mut records, destination) {
                records.bounded(&understood, &destination.name, now);
            }
            return refused(why);
        }
        let hunt = match self.plan(trunks, customer, &understood, destination, records.as_deref_mut(), now) {
            Ok(hunt) => Hunt { dipped: *dipped, ..hunt },
            Err(why) => {
                trunks.release(
                    Charge::new(Some(customer.number), None).to(destination.map(|destination| destination.number)),
                );
                return refused(why);
            }
        };
        self.start(trunks, tables, dispatcher, hunt, request, note, targets, records, now)?;
        if let (Some(numbers), Some(window)) = (numbers, trunks.rules.loop_window) {
            // WHY now: what was refused goes nowhere it could come back from.
            self.loops_forgotten += u64::from(trunks.loops.note(numbers, customer.number, window, now.mono));
        }
        Ok(())
    }

    /// The first vendor's turn. Places are held for the hunt; they are given back if there is none.
    #[allow(clippy::too_many_arguments, reason = "the parts of a policy, borrowed apart")]
    fn start(
        &mut self,
        trunks: &Trunks,
        tables: &Tables,
        dispatcher: &mut Dispatcher,
        hunt: Hunt,
        request: &Inbound<'_>,
        note: &mut Note,
        targets: &mut TargetSet,
        mut records: Option<&mut Records>,
        now: Now,
    ) -> Result<(), NoWay> {
        let Ok(index) = self.hunts.insert(hunt) else {
            trunks.release(hunt.charge());
            return Err(NoWay::NoRoom);
        };
        note.hunt = index.checked_add(1).and_then(NonZeroU32::new);
        if let Some(records) = &mut records {
            records.hunting(index);
        }
        note.customers = true;
        let found = self.next_vendor(trunks, tables, dispatcher, request, note, targets, records, now);
        match found {
            Ok(true) => targets.wait(Patience { overdue: Progress::first_look(&trunks.rules), ..targets.patience() }),
            _ => self.end(trunks, note),
        }
        if found? { Ok(()) } else { Err(NoWay::Refused(Why::NoRoute)) }
    }

    /// The vendors of a call, in their order.
    fn plan(
        &mut self,
        trunks: &Trunks,
        customer: &Customer,
        call: &Understood,
        destination: Option<&Destination>,
        records: Option<&mut Records>,
        now: Now,
    ) -> Result<Hunt, Why> {
        let decision = self.deciding.decide(trunks, customer, call).ok_or(Why::NoRoute)?;
        if let Some(records) = records {
            let bounded = destination.map_or("", |destination| &destination.name);
            records.chosen(trunks, call, &decision, bounded, now);
        }
        if let Some(why) = decision.refusal() {
            return Err(why);
        }
        let mut hunt = Hunt::new(customer, call.called, now.mono);
        hunt.destination = destination.map(|destination| destination.number);
        if customer.spending.watches() {
            (hunt.tariff, hunt.fee) = trunks.tariff(&decision, call.question.at);
        }
        for ((place, code), candidate) in hunt.vendors.iter_mut().zip(&mut hunt.codes).zip(decision.routed()) {
            *place = trunks.vendor_at(candidate.vendor).map_or(u32::MAX, |vendor| vendor.number.0);
            *code = candidate.found.code;
            hunt.len += 1;
        }
        Ok(hunt)
    }

    /// The next vendor whose caps and gateways let the call pass. False: there is none.
    #[allow(clippy::too_many_arguments, reason = "the parts of a policy, borrowed apart")]
    fn next_vendor(
        &mut self,
        trunks: &Trunks,
        tables: &Tables,
        dispatcher: &mut Dispatcher,
        request: &Inbound<'_>,
        note: &mut Note,
        targets: &mut TargetSet,
        mut records: Option<&mut Records>,
        now: Now,
    ) -> Result<bool, UriTooLong> {
        let Some(hunt) = note.hunt.and_then(|index| self.hunts.get_mut(index.get() - 1)) else { return Ok(false) };
        while hunt.next < hunt.len {
            let number = hunt.vendors.get(usize::from(hunt.next)).copied().map(Number);
            let code = hunt.codes.get(usize::from(hunt.next)).copied().unwrap_or_default();
            let place = hunt.next;
            hunt.next += 1;
            let Some(vendor) = number.and_then(|number| trunks.vendor(number)) else { continue };
            hunt.leave_vendor(trunks);
            let mut pass_over = |why: Passed| {
                records.as_deref_mut().into_iter().for_each(|records| records.passed_over(note, place, why, now));
            };
            if hunt.emergency {
                vendor.load.force();
            } else if self.held.stands(vendor.number, code, now.mono) {
                pass_over(Passed::Held503);
                continue;
            } else if let Err(full) = vendor.load.take(&vendor.caps, now.mono) {
                self.capped += 1;
                pass_over(full.into());
                continue;
            }
            hunt.vendor = Some(vendor.number);
            hunt.advance = true;
            note.next_set();
            cross(hunt.customer.and_then(|number| trunks.customer(number)), vendor, request, targets)?;
            let placed = outward(vendor, (&hunt.called, &hunt.dipped), request, |request| {
                dispatcher.place(tables, vendor.set, request, note, targets, now)
            });
            if placed? {
                (hunt.turned, hunt.heard) = (now.mono, false);
                vendor.quality.count(&trunks.quality, seconds(now.wall), Count::Attempt, 1);
                hunt.placed(&trunks.rules, note, targets, now.mono);
                return Ok(true);
            }
            if let Some(records) = &mut records {
                records.passed_over(note, place, Passed::NoGateway, now);
            }
        }
        hunt.leave_vendor(trunks);
        Ok(false)
    }

    /// Whose turn it is in the hunt of a note.
    pub(crate) fn turn(&self, note: &Note) -> Option<Turn> {
        let hunt = note.hunt.and_then(|index| self.hunts.get(index.get() - 1))?;
        let place = usize::from(hunt.next).checked_sub(1)?;
        Some(Turn { place, vendor: hunt.vendor?, called: hunt.called })
    }

    /// Point 3: a response of the vendor whose turn it is. A cause that stops the hunt stops the search among its
    /// gateways too.
    pub(crate) fn response(&mut self, trunks: &Trunks, response: &Message<'_>, note: &mut Note, now: Now) {
        let Some(hunt) = note.hunt.and_then(|index| self.hunts.get_mut(index.get() - 1)) else { return };
        let status = response.status();
        if (180..190).contains(&status) {
            let with_media = !response.body().is_empty() && response.field(HeaderName::ContentType).is_some();
            hunt.rang |= status == 180;
            hunt.media |= with_media;
            hunt.progress.heard(with_media, now.mono);
        }
        let vendor = hunt.vendor.and_then(|number| trunks.vendor(number));
        let count = |count, amount| {
            let quality = vendor.map(|vendor| &vendor.quality);
            quality.into_iter().for_each(|quality| quality.count(&trunks.quality, seconds(now.wall), count, amount));
        };
        if (180..300).contains(&status) && !std::mem::replace(&mut hunt.heard, true) {
            count(Count::Heard, 1);
            count(Count::HeardAfter, now.mono.since(hunt.turned).0 / 1_000);
        }
        if (200..300).contains(&status) {
            count(Count::Answer, 1);
            count(Count::Effective, 1);
        }
        if status < 300 {
            return;
        }
        let cause = cause(response);
        if let (Some(vendor), Some(hold)) = (vendor, trunks.rules.hold_503.filter(|_| !hunt.emergency)) {
            let code = hunt.codes.get(usize::from(hunt.next).saturating_sub(1)).copied().unwrap_or_default();
            match status {
                503 => self.held.note(vendor.number, code, hold, now.mono),
                _ => self.held.forget(vendor.number, code),
            }
        }
        hunt.advance = vendor.is_some_and(|vendor| vendor.advance.after(status, cause, note.ringing));
        if !hunt.advance && status >= 400 {
            count(Count::Effective, 1);
        }
        note.settled |= cause.is_some() && !hunt.advance;
    }

    /// Point 3: a gateway ended without a final response.
    pub(crate) fn silence(&mut self, outcome: Outcome, note: &Note) {
        if let Some(hunt) = note.hunt.and_then(|index| self.hunts.get_mut(index.get() - 1)) {
            hunt.advance = !matches!(outcome, Outcome::TimedOut { ringing: true });
        }
    }

    /// Point 4: another gateway of this vendor, the next vendor, or the end.
    #[allow(clippy::too_many_arguments, reason = "the parts of a policy, borrowed apart")]
    pub(crate) fn best_response(
        &mut self,
        trunks: &Trunks,
        tables: &Tables,
        dispatcher: &mut Dispatcher,
        request: &Inbound<'_>,
        best: Outcome,
        note: &mut Note,
        targets: &mut TargetSet,
        records: Option<&mut Records>,
        now: Now,
    ) -> Choice {
        let rules = &trunks.rules;
        let hunt = note.hunt.and_then(|index| self.hunts.get(index.get() - 1)).copied();
        let Some(hunt) = hunt.filter(|hunt| {
            let heard = hunt.rang && !rules.after_ringing || hunt.media && !rules.after_media;
            !heard && note.attempts.len() < rules.attempts_max
        }) else {
            return last(trunks, best, targets);
        };
        let has_time = now.mono.since(hunt.turned) < rules.vendor_ring;
        if let Some(vendor) = hunt.vendor.and_then(|number| trunks.vendor(number)).filter(|_| has_time)
            && cross(hunt.customer.and_then(|number| trunks.customer(number)), vendor, request, targets).is_ok()
        {
            let choice = outward(vendor, (&hunt.called, &hunt.dipped), request, |request| {
                Ok(dispatcher.best_response(tables, request, best, note, targets, now))
            });
            if choice == Ok(Choice::Advance) {
                if let Some(hunt) = note.hunt.and_then(|index| self.hunts.get_mut(index.get() - 1)) {
                    hunt.placed(rules, note, targets, now.mono);
                }
                return Choice::Advance;
            }
        }
        let moves_on = hunt.advance;
        match moves_on.then(|| self.next_vendor(trunks, tables, dispatcher, request, note, targets, records, now)) {
            Some(Ok(true)) => Choice::Advance,
            _ => last(trunks, best, targets),
        }
    }

    /// The INVITE has taken as long as it was allowed for now.
    pub(crate) fn overdue(&mut self, trunks: &Trunks, note: &Note, now: Now) -> Result<Mono, Why> {
        let hunt = note.hunt.and_then(|index| self.hunts.get(index.get() - 1));
        let hunt = hunt.filter(|hunt| !hunt.emergency);
        hunt.map_or(Ok(Branch::NEVER), |hunt| hunt.progress.until(&trunks.rules, now.mono))
    }

    /// The called number of a customer's call that is being set up.
    pub(crate) fn called(&self, note: &Note) -> Option<Digits> {
        note.hunt.and_then(|index| self.hunts.get(index.get() - 1)).map(|hunt| hunt.called)
    }

    /// A 2xx of this gateway has opened a call: it holds the places from now on.
    pub(crate) fn answered(&mut self, trunks: &Trunks, gateway: Number, note: &Note, now: Now) -> Charge {
        let hunt = note.hunt.and_then(|index| self.hunts.get_mut(index.get() - 1));
        let Some(hunt) = hunt.filter(|hunt| hunt.customer.is_some()) else { return Charge::NOBODY };
        let by = hunt.vendor_of(gateway, note);
        if let Some(vendor) = by.filter(|by| hunt.vendor != Some(*by)).and_then(|number| trunks.vendor(number)) {
            // It was left, and answers before the one whose turn came after it.
            hunt.leave_vendor(trunks);
            vendor.load.force();
            hunt.vendor = by;
        }
        let destination = hunt.destination.take();
        let number = hunt.customer.take();
        let customer = number.and_then(|number| trunks.customer(number)).filter(|one| one.spending.watches());
        let tariff = customer.map(|one| one.account.begin(hunt.tariff, hunt.fee, now.mono)).unwrap_or_default();
        Charge::new(number, hunt.vendor.take()).to(destination).at(tariff)
    }

    /// Point 6: what is still held is given back.
    pub(crate) fn end(&mut self, trunks: &Trunks, note: &mut Note) {
        let Some(hunt) = note.hunt.take().and_then(|index| self.hunts.remove(index.get() - 1)) else { return };
        trunks.release(hunt.charge());
    }

    /// The file has no customers any more: a hunt that ends gives nothing back, for nobody counts.
    pub(crate) fn forget(&mut self, note: &mut Note) {
        let _ = note.hunt.take().and_then(|index| self.hunts.remove(index.get() - 1));
    }
}

impl Hunt {
    fn new(customer: &Customer, called: Digits, now: Mono) -> Self {
        Hunt {
            customer: Some(customer.number),
            vendor: None,
            destination: None,
            vendors: [u32::MAX; limits::HUNT_VENDORS_MAX],
            len: 0,
            next: 0,
            progress: Progress::begun(now),
            turns: [0; limits::BRANCHES_MAX],
            attempts: 0,
            rang: false,
            media: false,
            advance: true,
            heard: false,
            dipped: Dipped::No,
            tariff: Tariff::NONE,
            fee: 0,
            turned: Mono(0),
            emergency: false,
            called,
            codes: [Code::EMPTY; limits::HUNT_VENDORS_MAX],
        }
    }

    /// To the vendors of emergency calls, in their order.
    fn emergency(trunks: &Trunks, customer: &Customer, called: Digits, now: Mono) -> Self {
        let mut hunt = Hunt { emergency: true, ..Hunt::new(customer, called, now) };
        for (place, vendor) in hunt.vendors.iter_mut().zip(&trunks.emergency.vendors) {
            *place = vendor.0;
            hunt.len += 1;
        }
        hunt
    }

    /// Targets of the vendor whose turn it is were chosen: they have what is left of its time.
    fn placed(&mut self, rules: &HuntRules, note: &Note, targets: &mut TargetSet, now: Mono) {
        let tried = note.attempts.len();
        let turn = self.next.saturating_sub(1);
        self.turns.iter_mut().take(tried).skip(usize::from(self.attempts)).for_each(|place| *place = turn);
        self.attempts = u8::try_from(tried).unwrap_or(u8::MAX);
        if self.emergency && self.next == self.len {
            // Better a vendor that is slow than none.
            return;
        }
        let left = rules.vendor_ring.0.saturating_sub(now.since(self.turned).0).max(1);
        targets.wait(Patience { ringing: Micros(left), ..targets.patience() });
    }

    /// The vendor that an attempt at a gateway was for.
    fn vendor_of(&self, gateway: Number, note: &Note) -> Option<Number> {
        let turn = self.turns.get(note.attempts.place_of(gateway)?)?;
        self.vendors.get(usize::from(*turn)).copied().map(Number)
    }

    /// The places that it holds.
    fn charge(&self) -> Charge {
        Charge::new(self.customer, self.vendor).to(self.destination)
    }

    fn leave_vendor(&mut self, trunks: &Trunks) {
        trunks.release(Charge::new(None, self.vendor.take()));
    }
}
