//! Caps of a customer's calls to a destination, beside those of all its calls, over all shards.
//!
//! A destination is a list of prefixes, or of names as the customer's deck has them. The longest prefix holds; where none
//! does, the name. What is counted is kept by customer and name from one snapshot of the tables to the next.

use super::caps::{Caps, Load};
use super::decide::Deciding;
use super::trunks::{Customer, DeckImage, Trunks};
use crate::tables::Number;
use deck::image::{Asked, Question};
use std::sync::Arc;

/// A destination of a customer.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Its number.
    pub number: Number,
    /// Its name, the customer's own.
    pub name: Box<str>,
    /// What may go there.
    pub caps: Caps,
    /// What does.
    pub load: Arc<Load>,
}

/// Which numbers of a customer belong to which of its destinations.
#[derive(Clone, Debug, Default)]
pub struct Destinations {
    /// The longest first.
    prefixes: Box<[(Box<str>, Number)]>,
    /// Sorted by name.
    names: Box<[(Box<str>, Number)]>,
    /// The customer's deck and its index in the image, where names are looked at.
    asked: Option<(Asked, u16)>,
}

impl Destinations {
    /// Of a customer; `number` gives that of a destination by its name, `deck` is the customer's.
    pub(super) fn new(
        customer: &tuning::Customer,
        number: impl Fn(&str) -> Option<Number>,
        image: &DeckImage,
        deck: usize,
    ) -> Self {
        let all = || customer.destinations.iter().filter_map(|one| Some((one, number(&one.name)?)));
        let mut prefixes: Vec<(Box<str>, Number)> = all()
            .flat_map(|(one, number)| one.prefixes.iter().map(move |prefix| (prefix.as_str().into(), number)))
            .collect();
        prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        let mut names: Vec<(Box<str>, Number)> = all()
            .flat_map(|(one, number)| one.deck_destinations.iter().map(move |name| (name.as_str().into(), number)))
            .collect();
        names.sort();
        let asked =
            (!names.is_empty()).then(|| u16::try_from(deck).ok().map(|index| (Asked::new(image, &[deck]), index)));
        Destinations { prefixes: prefixes.into(), names: names.into(), asked: asked.flatten() }
    }

    fn by_prefix(&self, called: &[u8]) -> Option<Number> {
        self.prefixes.iter().find(|(prefix, _)| called.starts_with(prefix.as_bytes())).map(|(_, number)| *number)
    }

    fn by_name(&self, name: &str) -> Option<Number> {
        let at = self.names.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        self.names.get(at).map(|(_, number)| *number)
    }
}

impl Trunks {
    /// The destination of that number, if it is still there.
    pub fn destination(&self, number: Number) -> Option<&Destination> {
        self.destinations.get(number.slot())?.as_ref().filter(|destination| destination.number == number)
    }

    /// The destination of a customer that bounds calls to this number.
    pub fn destination_of(
        &self,
        customer: &Customer,
        (called, question): (&[u8], &Question),
        deciding: &mut Deciding,
    ) -> Option<&Destination> {
        let destinations = &customer.destinations;
        let by_prefix = destinations.by_prefix(called);
        let number = by_prefix.or_else(|| {
            let (asked, deck) = destinations.asked.as_ref()?;
            let found = deciding.quote(self, question, asked)?;
            destinations.by_name(self.image.detail(usize::from(*deck), &found)?.destination)
        });
        self.destination(number?)
    }

    /// The destination of that name of a customer.
    pub(super) fn destination_named(&self, customer: &Customer, name: &[u8]) -> Option<&Destination> {
        let (prefixes, names) = (&customer.destinations.prefixes, &customer.destinations.names);
        let mut all = prefixes.iter().chain(names).filter_map(|(_, number)| self.destination(*number));
        all.find(|destination| destination.name.as_bytes() == name)
    }
}
