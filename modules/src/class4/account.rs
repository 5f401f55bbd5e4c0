//! What a customer spends: credit, spend an hour and a day, and what looks like fraud. For all shards together, kept
//! by name from one snapshot of the tables to the next, as caps are.
//!
//! Calls are charged while they run, without anybody looking at them: a call at `p` a minute since `t` has cost
//! `p × (now − t)` so far, so two sums over all of them, of `p` and of `p × t`, say at any moment what all have cost.
//! A call that ends leaves the sums and is charged by its increments instead. Amounts are in thousandths of a
//! millionth of the currency that prices are compared in; records of calls have the exact ones.
//!
//! Nobody waits: who reads while another writes reads again, and after some tries takes what he read last.

use super::decide::Decision;
use super::quality::{Count, Quality, QualityRules, seconds};
use super::refusal::Why;
use super::trunks::Trunks;
use super::worth::Worth;
use deck::billing::{Increments, Rounding, billed_seconds};
use proto::time::{Micros, Mono, Now};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};

/// See the module.
#[derive(Debug, Default)]
pub struct Account {
    /// What was paid in.
    paid: AtomicI64,
    running: Running,
    hour: Period,
    day: Period,
    risk: Risk,
}

/// What all calls have cost, those that run included.
#[derive(Debug, Default)]
struct Running {
    /// Who writes now, and how often somebody has.
    writing: AtomicU32,
    written: AtomicU32,
    /// Of calls that have ended.
    charged: AtomicI64,
    /// Sum of the prices a minute of those that run.
    prices: AtomicI64,
    /// Sum of price × second of the answer.
    since: AtomicI64,
    /// What was read last, undisturbed.
    last: AtomicI64,
}

/// Spend since a clock hour or day began (UTC).
#[derive(Debug, Default)]
struct Period {
    number: AtomicI64,
    /// What had been spent when it began.
    before: AtomicI64,
}

#[derive(Debug, Default)]
struct Risk {
    last_number: AtomicU64,
    in_a_row: AtomicU32,
    ended: Quality,
    /// Seconds since 1970.
    blocked_until: AtomicI64,
    short_alarms: AtomicU64,
    sequence_alarms: AtomicU64,
}

/// What a customer may spend, and what alarms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountRules {
    /// New calls need a balance above 0.
    pub credit: bool,
    /// Running ones, too.
    pub end_calls: bool,
    /// Most that is spent in an hour, in a day.
    pub hour: Option<i64>,
    /// See there.
    pub day: Option<i64>,
    pub(super) short_percent: Option<u64>,
    pub(super) short_min: u64,
    pub(super) sequential: Option<u32>,
    /// Seconds that new calls are refused after an alarm; `None`: they are not.
    pub(super) block: Option<i64>,
}

/// What a call costs its customer: kept with it, so that it can be charged when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tariff {
    /// A minute.
    pub price: i64,
    pub(super) increments: Pace,
    /// Second of the monotonic clock in which it was answered, below 0 where the host has been started since; [`NEVER`]:
    /// it is not charged.
    answered: i32,
}

const NEVER: i32 = i32::MAX;

impl Default for Tariff {
    fn default() -> Self {
        Tariff::NONE
    }
}

/// The increments of a deck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    pub(super) initial: u16,
    pub(super) subsequent: u16,
}

/// How an account stands, for people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// Paid in.
    pub paid: i64,
    /// Spent, running calls included.
    pub spent: i64,
    /// Spent since the hour began.
    pub hour: i64,
    /// Spent since the day began.
    pub day: i64,
    /// What outlives a restart of both.
    pub began: [Began; 2],
    /// What running calls cost a minute.
    pub a_minute: i64,
    /// Alarms for short calls.
    pub short_alarms: u64,
    /// Alarms for numbers dialled one after the other.
    pub sequence_alarms: u64,
    /// Until when new calls are refused, in seconds since 1970; 0: they are not.
    pub blocked_until: i64,
}

/// An hour or a day: its number since 1970, and what had been spent when it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Began {
    /// Its number.
    pub number: i64,
    /// What had been spent.
    pub before: i64,
}

impl Statement {
    /// What is left.
    pub const fn balance(&self) -> i64 {
        self.paid.saturating_sub(self.spent)
    }
}

const READS_MAX: usize = 8;
const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;
/// Numbers this near one another are dialled one after the other.
const NEAR: u64 = 16;

impl AccountRules {
    pub(super) fn new(customer: &tuning::Customer) -> Self {
        let alarms = &customer.alarms;
        let block = i64::try_from(alarms.block.as_secs()).unwrap_or(i64::MAX);
        AccountRules {
            credit: customer.credit,
            end_calls: customer.end_calls,
            hour: customer.spend_hour.map(tuning::Amount::nanos),
            day: customer.spend_day.map(tuning::Amount::nanos),
            short_percent: alarms.short_calls_percent.on().map(|percent| u64::from(*percent)),
            short_min: u64::from(alarms.short_calls_min),
            sequential: alarms.sequential.on().copied(),
            block: (alarms.action == tuning::AlarmAction::Block).then_some(block),
        }
    }

    /// Whether anything is looked at.
    pub fn watches(&self) -> bool {
        *self != AccountRules { short_min: self.short_min, block: self.block, ..AccountRules::default() }
    }
}

impl Account {
    /// Whether a new call to `called` may begin. Notes the number.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn admit(&self, rules: &AccountRules, called: u64, now: Now) -> Result<(), Why> {
        let at = seconds(now.wall);
        if self.risk.blocked_until.load(Relaxed) > at {
            return Err(Why::Alarm);
        }
        if let Some(most) = rules.sequential
            && self.risk.is_sequence(called, most)
        {
            self.risk.sequence_alarms.fetch_add(1, Relaxed);
            self.alarm(rules, at)?;
        }
        if !rules.credit && rules.hour.is_none() && rules.day.is_none() {
            return Ok(());
        }
        let spent = self.running.spent(now.mono);
        if rules.credit && self.paid.load(Relaxed).saturating_sub(spent) <= 0 {
            return Err(Why::Credit);
        }
        let over = |period: &Period, length, most: Option<i64>| {
            let within = period.spent(at.div_euclid(length), spent);
            most.is_some_and(|most| within >= most)
        };
        // WHY both are asked: a period begins when it is first asked.
        let (hour, day) = (over(&self.hour, HOUR, rules.hour), over(&self.day, DAY, rules.day));
        if hour || day { Err(Why::Spend) } else { Ok(()) }
    }

    fn alarm(&self, rules: &AccountRules, at: i64) -> Result<(), Why> {
        let Some(block) = rules.block else { return Ok(()) };
        self.risk.blocked_until.store(at.saturating_add(block), Relaxed);
        Err(Why::Alarm)
    }

    /// A call was answered: it costs from now on.
    pub(super) fn begin(&self, tariff: Tariff, fee: i64, now: Mono) -> Tariff {
        let tariff = Tariff { answered: second(now), ..tariff };
        self.running.write(fee, tariff.price, tariff.price.wrapping_mul(tariff.second()));
        tariff
    }

    /// It was answered in a process before, and goes on: its fee is among what was charged then.
    pub(super) fn resume(&self, tariff: &Tariff) {
        self.running.write(0, tariff.price, tariff.price.wrapping_mul(tariff.second()));
    }

    /// What was charged for calls that have ended, and for the connection of those that run.
    pub(super) fn charged(&self) -> i64 {
        self.running.charged.load(SeqCst)
    }

    /// How long the balance lasts if no call begins or ends. `None`: for ever, as nothing runs.
    pub(super) fn lasts(&self, now: Mono) -> Option<Micros> {
        let balance = self.paid.load(Relaxed).saturating_sub(self.running.spent(now));
        let a_minute = self.running.prices.load(Relaxed);
        if balance <= 0 {
            return Some(Micros(0));
        }
        let seconds = balance.saturating_mul(60).checked_div(a_minute).filter(|_| a_minute > 0)?;
        Some(Micros::from_secs(u64::try_from(seconds).unwrap_or(0)))
    }

    /// It has ended. `opened`: when its dialog began, which is its answer's moment unless that came later.
    pub(super) fn end(&self, rules: &AccountRules, quality: &QualityRules, tariff: &Tariff, opened: Mono, now: Now) {
        if tariff.answered == NEVER {
            return;
        }
        let answered = Mono(opened.0.max(u64::try_from(tariff.answered).unwrap_or(0) * 1_000_000));
        let lasted = now.mono.since(answered).0;
        self.running.write(tariff.cost(lasted), -tariff.price, -tariff.price.wrapping_mul(tariff.second()));
        let Some(percent) = rules.short_percent else { return };
        let at = seconds(now.wall);
        let ended = &self.risk.ended;
        ended.count(quality, at, Count::End, 1);
        if u128::from(lasted) >= quality.short_call.as_micros() {
            return;
        }
        ended.count(quality, at, Count::Short, 1);
        let figures = ended.figures(quality, at);
        let short = figures.short().is_some_and(|short| short >= percent * 10);
        if short && figures.of(Count::End) >= rules.short_min && self.risk.blocked_until.load(Relaxed) <= at {
            self.risk.short_alarms.fetch_add(1, Relaxed);
            // It ends no call that runs.
            let _ = self.alarm(rules, at);
        }
    }

    /// Pays in, or out.
    pub fn pay(&self, amount: i64) {
        let _ = self.paid.fetch_update(Relaxed, Relaxed, |paid| Some(paid.saturating_add(amount)));
    }

    /// Makes the balance this much.
    pub fn set_balance(&self, balance: i64, now: Mono) {
        self.paid.store(balance.saturating_add(self.running.spent(now)), Relaxed);
    }

    /// What was paid in and spent in a process before, and what had been when its last hour and day began.
    pub fn restore(&self, paid: i64, charged: i64, began: [Began; 2]) {
        self.paid.store(paid, Relaxed);
        for (period, began) in [&self.hour, &self.day].into_iter().zip(began) {
            period.number.store(began.number, Relaxed);
            period.before.store(began.before, Relaxed);
        }
        self.running.write(charged, 0, 0);
    }

    /// New calls are taken again, whatever alarmed.
    pub fn unblock(&self) {
        self.risk.blocked_until.store(0, Relaxed);
        self.risk.in_a_row.store(0, Relaxed);
    }

    /// How it stands.
    pub fn statement(&self, now: Now) -> Statement {
        let (at, spent) = (seconds(now.wall), self.running.spent(now.mono));
        let (hour, day) = (self.hour.spent(at.div_euclid(HOUR), spent), self.day.spent(at.div_euclid(DAY), spent));
        Statement {
            paid: self.paid.load(Relaxed),
            spent,
            hour,
            day,
            began: [self.hour.began(), self.day.began()],
            a_minute: self.running.prices.load(Relaxed),
            short_alarms: self.risk.short_alarms.load(Relaxed),
            sequence_alarms: self.risk.sequence_alarms.load(Relaxed),
            blocked_until: Some(self.risk.blocked_until.load(Relaxed)).filter(|until| *until > at).unwrap_or(0),
        }
    }
}

fn second(now: Mono) -> i32 {
    i32::try_from(now.0 / 1_000_000).unwrap_or(NEVER - 1)
}

impl Tariff {
    /// Of a call that is not charged.
    pub const NONE: Tariff = Tariff { price: 0, increments: Pace { initial: 0, subsequent: 0 }, answered: NEVER };

    /// Whether it is charged.
    pub const fn is_charged(&self) -> bool {
        self.answered != NEVER
    }

    /// Of a call that was answered `ago` in a process before, at such a price.
    pub(crate) fn resumed(price: i64, [initial, subsequent]: [u16; 2], ago: Micros, now: Mono) -> Self {
        let at = i64::try_from(now.0).unwrap_or(i64::MAX).saturating_sub_unsigned(ago.0);
        // INVARIANT: never later than its answer, or the end would charge less than its length.
        let answered = i32::try_from(at.div_euclid(1_000_000)).unwrap_or(0);
        Tariff { price, increments: Pace { initial, subsequent }, answered }
    }

    /// Initial and subsequent increment, in seconds.
    pub(crate) const fn increments(&self) -> [u16; 2] {
        [self.increments.initial, self.increments.subsequent]
    }

    fn second(&self) -> i64 {
        i64::from(self.answered)
    }

    /// What a call of this length costs, its fee aside: charged when it was answered.
    fn cost(&self, lasted_us: u64) -> i64 {
        let increments = Increments { initial: self.increments.initial, subsequent: self.increments.subsequent };
        let billed = i128::from(billed_seconds(lasted_us, increments, Rounding::Up));
        i64::try_from((i128::from(self.price) * billed + 30).div_euclid(60)).unwrap_or(i64::MAX)
    }
}

impl Trunks {
    /// What a call costs its customer: a minute with its increments, and what an answer costs.
    pub(super) fn tariff(&self, decision: &Decision<'_>, at: i64) -> (Tariff, i64) {
        let (deck, found) = decision.sell;
        let nanos = |price| self.worth_of(deck, price, at).map_or(0, Worth::nanos);
        let increments = self.image.detail(usize::from(deck), &found).map(|detail| detail.increments);
        let increments = increments.unwrap_or(Increments::SECOND);
        let pace = Pace { initial: increments.initial, subsequent: increments.subsequent };
        (Tariff { price: nanos(found.price), increments: pace, ..Tariff::NONE }, nanos(self.image.fee(&found)))
    }
}

impl Running {
    fn write(&self, charged: i64, price: i64, since: i64) {
        self.writing.fetch_add(1, SeqCst);
        self.charged.fetch_add(charged, SeqCst);
        self.prices.fetch_add(price, SeqCst);
        self.since.fetch_add(since, SeqCst);
        self.written.fetch_add(1, SeqCst);
        self.writing.fetch_sub(1, SeqCst);
    }

    fn spent(&self, now: Mono) -> i64 {
        let second = i64::from(second(now));
        for _ in 0..READS_MAX {
            let before = self.written.load(SeqCst);
            let (charged, prices, since) =
                (self.charged.load(SeqCst), self.prices.load(SeqCst), self.since.load(SeqCst));
            if self.writing.load(SeqCst) == 0 && self.written.load(SeqCst) == before {
                // WHY wrapping: only the difference of the two has a meaning.
                let running = prices.wrapping_mul(second).wrapping_sub(since) / 60;
                let spent = charged.saturating_add(running);
                self.last.store(spent, Relaxed);
                return spent;
            }
        }
        self.last.load(Relaxed)
    }
}

impl Period {
    fn began(&self) -> Began {
        Began { number: self.number.load(Relaxed), before: self.before.load(Relaxed) }
    }

    /// What was spent since the period of that number began, of all that was.
    fn spent(&self, number: i64, spent: i64) -> i64 {
        let known = self.number.load(Relaxed);
        if known != number && self.number.compare_exchange(known, number, Relaxed, Relaxed).is_ok() {
            self.before.store(spent, Relaxed);
        }
        spent.saturating_sub(self.before.load(Relaxed)).max(0)
    }
}

impl Risk {
    /// Whether this many calls in a row went to numbers near the one before.
    fn is_sequence(&self, called: u64, most: u32) -> bool {
        let last = self.last_number.swap(called, Relaxed);
        if last == called || last.abs_diff(called) > NEAR {
            self.in_a_row.store(0, Relaxed);
            return false;
        }
        // The first number of the row had none before it.
        let row = self.in_a_row.fetch_add(1, Relaxed) + 2;
        if row >= most {
            self.in_a_row.store(0, Relaxed);
        }
        row >= most
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;
    use proto::time::Wall;

    const ONE: i64 = 1_000_000_000;

    fn at(second: u64) -> Now {
        Now { mono: Mono(second * 1_000_000), wall: Wall((1_700_000_000 + second) * 1_000_000) }
    }

    fn tariff(price: i64, initial: u16, subsequent: u16) -> Tariff {
        Tariff { price, increments: Pace { initial, subsequent }, ..Tariff::default() }
    }

    fn credit() -> AccountRules {
        AccountRules { credit: true, ..AccountRules::default() }
    }

    fn quality() -> QualityRules {
        let text = "[listen]\nudp = [\"127.0.0.1:5060\"]\n[[set]]\nname = \"s\"\ngateways = [\"sip:127.0.0.2\"]\n";
        let loaded = tuning::parse(text, "t.toml", &tuning::Environment::unknown()).unwrap();
        QualityRules::new(&loaded.config.class4.quality)
    }

    #[test]
    fn calls_are_charged_while_they_run() {
        let (account, quality) = (Account::default(), quality());
        assert_eq!(account.admit(&credit(), 1, at(0)), Err(Why::Credit), "nothing was paid in");
        account.pay(10 * ONE);
        assert_eq!(account.admit(&credit(), 1, at(0)), Ok(()));
        // 6 a minute, and 1 for the connection.
        let running = account.begin(tariff(6 * ONE, 1, 1), ONE, at(100).mono);
        assert_eq!(account.statement(at(100)).balance(), 9 * ONE);
        assert_eq!(account.statement(at(160)).balance(), 3 * ONE);
        assert_eq!(account.admit(&credit(), 1, at(189)), Ok(()));
        assert_eq!(account.admit(&credit(), 1, at(190)), Err(Why::Credit), "used up while it runs");
        account.end(&credit(), &quality, &running, at(100).mono, at(190));
        let statement = account.statement(at(5_000));
        assert_eq!((statement.balance(), statement.spent, statement.a_minute), (0, 10 * ONE, 0));
        account.set_balance(ONE, at(5_000).mono);
        assert_eq!(account.admit(&credit(), 1, at(5_000)), Ok(()));
    }

    #[test]
    fn a_balance_lasts_as_long_as_running_calls_let_it() {
        let account = Account::default();
        assert_eq!(account.lasts(at(0).mono), Some(Micros(0)), "nothing was paid in");
        account.pay(10 * ONE);
        assert_eq!(account.lasts(at(0).mono), None);
        let _ = account.begin(tariff(6 * ONE, 1, 1), ONE, at(100).mono);
        assert_eq!((account.lasts(at(100).mono), account.charged()), (Some(Micros::from_secs(90)), ONE));
        assert_eq!(account.lasts(at(189).mono), Some(Micros::from_secs(1)));
        assert_eq!(account.lasts(at(190).mono), Some(Micros(0)));
    }

    #[test]
    fn calls_of_the_process_before_are_charged_whole() {
        let (account, quality) = (Account::default(), quality());
        account.pay(100 * ONE);
        // What the records say was charged: another call, and the fee of this one.
        account.restore(100 * ONE, 3 * ONE, [Began::default(); 2]);
        // The host has been started since: this one is older than its clock.
        let clock = Now { mono: Mono(20 * 1_000_000), wall: at(0).wall };
        let running = Tariff::resumed(6 * ONE, [1, 1], Micros::from_secs(80), clock.mono);
        account.resume(&running);
        assert_eq!(account.statement(clock).balance(), 89 * ONE, "80 s at 6 a minute");
        let later = Now { mono: Mono(40 * 1_000_000), ..clock };
        account.end(&credit(), &quality, &running, Mono(0), later);
        assert_eq!(account.charged(), 3 * ONE + 4 * ONE, "as long as the clock knows of it");
        let young = Tariff::resumed(6 * ONE, [1, 1], Micros::from_secs(80), at(500).mono);
        account.resume(&young);
        account.end(&credit(), &quality, &young, at(420).mono, at(510));
        assert_eq!((account.charged(), account.statement(at(510)).a_minute), (16 * ONE, 0));
    }

    #[test]
    fn spend_is_bounded_by_the_hour_and_the_day() {
        let (account, quality) = (Account::default(), quality());
        let rules = AccountRules { hour: Some(5 * ONE), day: Some(8 * ONE), ..AccountRules::default() };
        let spend = |amount: i64, second: u64| {
            let tariff = account.begin(tariff(0, 0, 1), amount, at(second).mono);
            account.end(&rules, &quality, &tariff, at(second).mono, at(second));
        };
        // 22:13:20 on the clock.
        assert_eq!(account.admit(&rules, 1, at(0)), Ok(()));
        spend(4 * ONE, 1);
        assert_eq!(account.admit(&rules, 1, at(2)), Ok(()));
        spend(ONE, 3);
        assert_eq!(account.admit(&rules, 1, at(4)), Err(Why::Spend));
        assert_eq!(account.admit(&rules, 1, at(2_799)), Err(Why::Spend));
        assert_eq!(account.admit(&rules, 1, at(2_800)), Ok(()), "23:00");
        spend(3 * ONE, 2_801);
        assert_eq!(account.admit(&rules, 1, at(2_802)), Err(Why::Spend), "the day's");
        let statement = account.statement(at(2_803));
        let again = Account::default();
        again.restore(statement.paid, statement.spent, statement.began);
        assert_eq!(again.admit(&rules, 1, at(2_804)), Err(Why::Spend), "in another process, too");
        assert_eq!((again.statement(at(2_804)).hour, again.statement(at(2_804)).day), (3 * ONE, 8 * ONE));
        assert_eq!(account.admit(&rules, 1, at(6_400)), Ok(()), "midnight");
    }

    #[test]
    fn numbers_dialled_through_alarm_and_block() {
        let account = Account::default();
        let rules = AccountRules { sequential: Some(4), block: Some(60), ..AccountRules::default() };
        let call = |number, second| account.admit(&rules, number, at(second)).is_ok();
        assert!(call(100, 0) && call(101, 0) && call(110, 0) && call(500, 0), "the row was broken");
        assert!(call(501, 0) && call(501, 0), "the same number again is no row");
        assert!(call(502, 0) && call(503, 0) && !call(504, 0));
        assert!(!call(9_999, 59) && call(9_999, 60));
        assert_eq!(account.statement(at(60)).sequence_alarms, 1);
        let told = AccountRules { block: None, ..rules };
        assert!((1..=12).all(|number| account.admit(&told, number, at(100)).is_ok()), "alarms alone");
        assert_eq!(account.statement(at(100)).sequence_alarms, 4);
    }

    #[test]
    fn short_calls_alarm() {
        let (account, quality) = (Account::default(), quality());
        let rules = AccountRules { short_percent: Some(50), short_min: 4, block: Some(60), ..AccountRules::default() };
        let call = |from: u64, seconds: u64| {
            let tariff = account.begin(tariff(0, 0, 1), 0, at(from).mono);
            account.end(&rules, &quality, &tariff, at(from).mono, at(from + seconds));
        };
        [60, 60, 2].iter().for_each(|seconds| call(0, *seconds));
        assert_eq!(account.admit(&rules, 1, at(70)), Ok(()));
        call(70, 2);
        assert_eq!(account.admit(&rules, 1, at(73)), Err(Why::Alarm));
        account.unblock();
        assert_eq!((account.admit(&rules, 1, at(73)), account.statement(at(73)).short_alarms), (Ok(()), 1));
    }

    proptest! {
        /// Against every call looked at by itself.
        #[test]
        fn the_balance_is_that_of_all_calls(
            calls in prop::collection::vec((0_u64..5_000, 0_u64..3_000, 0_i64..2 * ONE, 0_i64..ONE, 0_u16..61, 1_u16..61), 0..20),
            look in 0_u64..9_000,
        ) {
            let (account, quality) = (Account::default(), quality());
            let mut events: Vec<(u64, bool, usize)> = Vec::new();
            for (index, (from, seconds, ..)) in calls.iter().enumerate() {
                events.push((*from, false, index));
                events.push((from + seconds, true, index));
            }
            events.sort_unstable();
            let mut running = vec![Tariff::default(); calls.len()];
            for (when, ends, index) in events.into_iter().filter(|(when, ..)| *when <= look) {
                let (from, _, price, fee, initial, subsequent) = calls[index];
                if ends {
                    account.end(&credit(), &quality, &running[index], at(from).mono, at(when));
                } else {
                    running[index] = account.begin(tariff(price, initial, subsequent), fee, at(when).mono);
                }
            }
            let mut spent = 0_i128;
            let mut minutes = 0_i128;
            for (from, seconds, price, fee, initial, subsequent) in &calls {
                let (price, step, initial) = (i128::from(*price), u64::from(*subsequent), u64::from(*initial));
                if from + seconds <= look {
                    let mut billed = initial;
                    while billed < *seconds {
                        billed += step;
                    }
                    spent += i128::from(*fee) + (price * i128::from(billed) * 2 + 60) / 120;
                } else if *from <= look {
                    spent += i128::from(*fee);
                    minutes += price * i128::from(look - from);
                }
            }
            let difference = i128::from(account.statement(at(look)).spent) - (spent + minutes / 60);
            prop_assert!(difference == 0, "{difference}");
        }
    }
}
