//! Route lists of a customer: for numbers that begin so, these vendors in this order. The longest prefix holds.

use crate::tables::Number;

/// The lists of a customer, the longest prefix first.
#[derive(Clone, Debug, Default)]
pub struct Pins(Box<[(Box<str>, Pin)]>);

/// A list.
#[derive(Clone, Debug)]
pub struct Pin {
    vendors: Box<[Number]>,
    /// No other vendor gets these calls.
    pub only: bool,
}

impl Pins {
    /// `number` gives that of a vendor by its name.
    pub(super) fn new(pins: &[tuning::Pin], number: impl Fn(&String) -> Option<Number>) -> Self {
        let mut lists: Vec<(Box<str>, Pin)> = Vec::new();
        for pin in pins {
            let vendors: Box<[Number]> = pin.vendors.iter().filter_map(&number).collect();
            let list = |prefix: &tuning::NumberPrefix| {
                (prefix.as_str().into(), Pin { vendors: vendors.clone(), only: pin.only })
            };
            lists.extend(pin.prefixes.iter().map(list));
        }
        lists.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Pins(lists.into())
    }

    /// The list for a number.
    pub fn of(&self, called: &[u8]) -> Option<&Pin> {
        self.0.iter().find(|(prefix, _)| called.starts_with(prefix.as_bytes())).map(|(_, pin)| pin)
    }
}

impl Pin {
    /// Which turn a vendor has in it; `None`: none.
    pub fn place(&self, vendor: Number) -> Option<u8> {
        // INVARIANT: far shorter than 255 (`limits::PIN_VENDORS_MAX`), so that `u8::MAX` means "in none".
        self.vendors.iter().position(|pinned| *pinned == vendor).and_then(|place| u8::try_from(place).ok())
    }
}
