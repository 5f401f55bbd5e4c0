//! Balances of customers on the control lane: restored from the state directory, written back as they change, changed
//! by operators; alarms are written to the log.

use super::inbox::CreditChanged;
use super::lane::Control;
use super::rpc::{RpcError, code};
use crate::disk::{CreditBook, CreditEntry, DiskLane, Job, Saved};
use crate::log::{Level, Log, Record};
use crate::reply::CreditRow;
use modules::Tables;
use modules::class4::Customer;
use modules::class4::account::{Began, Statement};
use proto::time::{Mono, Now, Wall};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

/// How often it is looked whether anything has changed.
const REGULARLY: Duration = Duration::from_secs(2);

/// What an operator wants of a balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreditChange {
    /// So much more (or less).
    Add(i64),
    /// This much.
    Set(i64),
    /// New calls are taken again after an alarm.
    Unblock,
}

/// See the module.
#[derive(Debug)]
pub(super) struct CreditKeeper {
    /// As the disk lane was told last, entries of customers that the file does not have any more included.
    book: CreditBook,
    /// Customers whose accounts have what the book says.
    restored: BTreeSet<String>,
    /// Alarms that were logged.
    alarms: BTreeMap<String, (u64, u64)>,
    next_look: Instant,
}

/// The clocks that shards read, too.
pub(crate) fn now() -> Now {
    let now = engine::Now::read();
    Now { mono: Mono(now.mono.0), wall: Wall(now.wall.0) }
}

/// Customers of which something is watched.
fn watched(tables: &Tables) -> impl Iterator<Item = &Customer> {
    tables.class4.iter().flat_map(|trunks| trunks.customers()).filter(|customer| customer.spending.watches())
}

impl CreditKeeper {
    pub(super) fn new(book: CreditBook, tables: &Tables) -> Self {
        let (restored, alarms) = Default::default();
        let mut keeper = CreditKeeper { book, restored, alarms, next_look: Instant::now() + REGULARLY };
        keeper.restore(tables);
        keeper
    }

    /// Other tables hold: accounts that came with them get what the book says of them.
    pub(super) fn restore(&mut self, tables: &Tables) {
        let names: BTreeSet<String> = watched(tables).map(|customer| customer.name.to_string()).collect();
        self.restored.retain(|name| names.contains(name));
        for customer in watched(tables).filter(|customer| !self.restored.contains(&*customer.name)) {
            if let Some(entry) = self.book.get(&*customer.name) {
                let began = |(number, before)| Began { number, before };
                customer.account.restore(entry.paid, entry.spent, [began(entry.hour), began(entry.day)]);
            }
        }
        self.restored.extend(names);
    }

    pub(super) const fn deadline(&self) -> Instant {
        self.next_look
    }

    /// Takes what accounts say into the book. News of it being on the disk, if anything has changed.
    pub(super) fn keep(&mut self, tables: &Tables, disk: &DiskLane, log: &Log) -> Option<Receiver<Saved>> {
        self.next_look = Instant::now() + REGULARLY;
        let mut changed = false;
        for customer in watched(tables) {
            let statement = customer.account.statement(now());
            let [hour, day] = statement.began.map(|began| (began.number, began.before));
            let entry = CreditEntry { paid: statement.paid, spent: statement.spent, hour, day };
            let before = self.book.get(&*customer.name).copied().unwrap_or_default();
            if before != entry {
                self.book.insert(customer.name.to_string(), entry);
                changed = true;
            }
            self.say(customer, &statement, log);
        }
        changed.then(|| disk.submit(Job::Credit(self.book.clone())))
    }

    fn say(&mut self, customer: &Customer, statement: &Statement, log: &Log) {
        let now = (statement.short_alarms, statement.sequence_alarms);
        let before = self.alarms.insert(customer.name.to_string(), now).unwrap_or_default();
        for (what, before, now) in [("short calls", before.0, now.0), ("numbers in sequence", before.1, now.1)] {
            if now > before {
                log.send(
                    Record::new(Level::Warn, "customer-alarm")
                        .with("customer", customer.name.as_ref())
                        .with("why", what)
                        .with("alarms", now)
                        .with("blocked", if statement.blocked_until > 0 { "yes" } else { "no" })
                        .always(),
                );
            }
        }
    }
}

/// An account as it is shown.
pub(crate) fn row(customer: &Customer, currency: &str) -> CreditRow {
    let statement = customer.account.statement(now());
    let spending = &customer.spending;
    CreditRow {
        customer: customer.name.to_string(),
        currency: currency.to_owned(),
        credit: spending.credit,
        balance: money(statement.balance()),
        spent: money(statement.spent),
        a_minute: money(statement.a_minute),
        hour: money(statement.hour),
        hour_most: spending.hour.map(money),
        day: money(statement.day),
        day_most: spending.day.map(money),
        alarms: statement.short_alarms + statement.sequence_alarms,
        blocked_until: u64::try_from(statement.blocked_until).unwrap_or(0),
    }
}

/// Thousandths of a millionth as a decimal number.
pub(super) fn money(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let text = format!("{:010}", nanos.unsigned_abs());
    let (whole, fraction) = text.split_at(text.len() - 9);
    match fraction.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    }
}

impl Control {
    /// An operator changes a balance. How the account stands then, and news of it being on the disk.
    pub(super) fn change_credit(
        &mut self,
        name: &str,
        change: CreditChange,
        who: &str,
    ) -> Result<CreditChanged, RpcError> {
        let tables = std::sync::Arc::clone(&self.tables);
        let customer = watched(&tables).find(|customer| &*customer.name == name).ok_or_else(|| {
            let message = format!("no customer {name:?} has credit, a bound of spend or alarms");
            RpcError::new(code::INVALID_PARAMS, message)
        })?;
        let (what, amount) = match change {
            CreditChange::Add(amount) => {
                customer.account.pay(amount);
                ("add", amount)
            }
            CreditChange::Set(balance) => {
                customer.account.set_balance(balance, now().mono);
                ("set", balance)
            }
            CreditChange::Unblock => {
                customer.account.unblock();
                ("unblock", 0)
            }
        };
        let record = Record::new(Level::Info, "credit").with("user", who).with("customer", name).with("what", what);
        self.log.send(record.with("amount", money(amount)).always());
        let saved = self.keep_credit();
        let currency = tables.class4.as_ref().map_or("", |trunks| &trunks.currency);
        Ok((row(customer, currency), saved))
    }

    /// Takes what accounts say to the disk, if it has changed.
    pub fn keep_credit(&mut self) -> Option<Receiver<Saved>> {
        self.credit.keep(&self.tables, &self.disk, &self.log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shown_exactly() {
        for (nanos, shown) in [(0, "0"), (1, "0.000000001"), (-1_500_000_000, "-1.5"), (250_000_000_000, "250")] {
            assert_eq!(money(nanos), shown);
        }
        assert_eq!(money(i64::MIN), "-9223372036.854775808");
    }
}
