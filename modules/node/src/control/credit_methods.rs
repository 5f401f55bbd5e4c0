//! The methods `credit`, `credit.add`, `credit.set` and `credit.unblock`: balances of customers, read and changed.

use super::credit::{CreditChange, row};
use super::inbox::Ask;
use super::methods::{DEADLINE, Methods, late, params};
use super::permission::Peer;
use super::rpc::{Outcome, RpcError, code};
use crate::reply::{Credit, to_value};
use deck::money::{Decimal, Digits};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// Longest wait for the disk, once a change holds.
const DISK_DEADLINE: Duration = Duration::from_secs(4);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whose {
    #[serde(default)]
    customer: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    customer: String,
    #[serde(default)]
    amount: Option<String>,
}

/// Accounts as they stand.
pub(super) fn show(methods: &Methods, _: &Peer, given: Value) -> Outcome {
    let Whose { customer } = params(given)?;
    let gathered = methods.gather(false)?;
    let trunks = gathered.picture.tables.iter().filter_map(|tables| tables.class4.as_ref());
    let rows = trunks.flat_map(|trunks| {
        let watched = trunks.customers().filter(|one| one.spending.watches());
        watched.map(|one| row(one, &trunks.currency))
    });
    let accounts = rows.filter(|row| customer.as_ref().is_none_or(|name| *name == row.customer)).collect();
    Ok(to_value(&Credit { accounts }))
}

pub(super) fn add(methods: &Methods, peer: &Peer, given: Value) -> Outcome {
    change(methods, peer, given, |amount| Ok(CreditChange::Add(nanos(amount)?)))
}

pub(super) fn set(methods: &Methods, peer: &Peer, given: Value) -> Outcome {
    change(methods, peer, given, |amount| Ok(CreditChange::Set(nanos(amount)?)))
}

pub(super) fn unblock(methods: &Methods, peer: &Peer, given: Value) -> Outcome {
    change(methods, peer, given, |_| Ok(CreditChange::Unblock))
}

fn change(
    methods: &Methods,
    peer: &Peer,
    given: Value,
    what: impl FnOnce(Option<&str>) -> Result<CreditChange, RpcError>,
) -> Outcome {
    let Change { customer, amount } = params(given)?;
    let (change, who) = (what(amount.as_deref())?, peer.name.clone());
    let asked = methods.inbox.ask(|reply| Ask::Credit { customer, change, who, reply }, DEADLINE);
    let (row, saved) = asked.ok_or_else(late)??;
    let lost = match saved.map(|saved| saved.recv_timeout(DISK_DEADLINE)) {
        None | Some(Ok(Ok(()))) => return Ok(to_value(&Credit { accounts: vec![row] })),
        Some(Ok(Err(error))) => error.to_string(),
        Some(Err(_)) => "the disk has not confirmed it yet".to_owned(),
    };
    Err(RpcError::new(code::INTERNAL, format!("it holds, but would not outlive a restart: {lost}")))
}

/// An amount of money, with a sign if it is taken away.
fn nanos(amount: Option<&str>) -> Result<i64, RpcError> {
    let wrong = || RpcError::new(code::INVALID_PARAMS, "write an exact amount, such as \"250\" or \"-99.50\"");
    let decimal = Decimal::parse(amount.ok_or_else(wrong)?).map_err(|_| wrong())?;
    Digits::new(9).and_then(|digits| decimal.exactly(digits)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        let read = |text| nanos(Some(text)).ok();
        assert_eq!(read("250"), Some(250_000_000_000));
        assert_eq!(read("-99.50"), Some(-99_500_000_000));
        assert_eq!([read("1e"), read(""), read("0.0000000001"), nanos(None).ok()], [None; 4]);
    }
}
