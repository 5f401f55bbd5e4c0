//! Emergency numbers: carried whatever caps, credit, prices, bars, draining or overload say, by vendors of their own.

use super::dialled::Digits;
use super::sources::Sender;
use super::trunks::{Customer, Trunks};
use crate::tables::Number;
use proto::message::{Message, Uri};
use std::net::SocketAddr;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Emergency {
    numbers: Box<[Box<str>]>,
    /// In the order of their turns.
    pub(super) vendors: Box<[Number]>,
}

impl Emergency {
    /// `number` gives that of a vendor by its name.
    pub(super) fn new(emergency: &tuning::Emergency, number: impl Fn(&String) -> Option<Number>) -> Self {
        Emergency {
            numbers: emergency.numbers.iter().map(|number| number.as_str().into()).collect(),
            vendors: emergency.vendors.iter().filter_map(number).collect(),
        }
    }

    /// Names of the vendors, in the order of their turns.
    pub fn vendors<'t>(&'t self, trunks: &'t Trunks) -> impl Iterator<Item = &'t str> {
        self.vendors.iter().filter_map(|number| trunks.vendor(*number)).map(|vendor| &*vendor.name)
    }

    /// The number that vendors are sent, if a customer's call to `user` (without parameters) is an emergency: as it
    /// was dialled, or with its country code.
    pub fn number(&self, customer: &Customer, user: &[u8]) -> Option<Digits> {
        if self.numbers.is_empty() {
            return None;
        }
        let is_one = |digits: &Digits| self.numbers.iter().any(|number| number.as_bytes() == digits.as_bytes());
        let inward = &customer.inward;
        let dialled = inward.as_dialled(user, &customer.tech_prefix).filter(is_one);
        dialled.or_else(|| inward.called(user, &customer.tech_prefix).filter(is_one))
    }
}

impl Trunks {
    /// Whether an INVITE from `peer` is for an emergency number: asked before it is turned away for overload.
    pub fn is_emergency(&self, message: &Message<'_>, peer: SocketAddr) -> bool {
        if self.emergency.numbers.is_empty() {
            return false;
        }
        let Ok(uri) = Uri::parse(message.request_uri()) else { return false };
        let user = uri.user_without_params();
        match self.sender(peer, user) {
            Sender::Customer(slot) => {
                self.customer_at(slot).is_some_and(|customer| self.emergency.number(customer, user).is_some())
            }
            Sender::Nobody | Sender::Elsewhere => false,
        }
    }
}
