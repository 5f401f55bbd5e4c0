//! Numbers of domains as the registrar keeps them: they outlive a reload, which may give a domain another index.

use crate::tables::Domains;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: Vec<Box<[u8]>>,
    /// By index of the tables.
    numbers: Vec<u16>,
}

impl Names {
    /// The tables have changed. A domain that is gone keeps its number, and its bindings, until they end.
    pub(super) fn install(&mut self, domains: &Domains) {
        self.numbers.clear();
        for domain in domains.iter() {
            let known = self.names.iter().position(|name| *name == domain.name);
            let place = known.unwrap_or_else(|| {
                self.names.push(domain.name.clone());
                self.names.len() - 1
            });
            self.numbers.push(u16::try_from(place).unwrap_or(u16::MAX));
        }
    }

    /// The number of the domain with this index.
    pub(super) fn number(&self, index: u16) -> u16 {
        self.numbers.get(usize::from(index)).copied().unwrap_or(u16::MAX)
    }

    /// The number of the domain of that name.
    pub(super) fn of_name(&self, name: &[u8]) -> Option<u16> {
        u16::try_from(self.names.iter().position(|known| **known == *name)?).ok()
    }

    /// The name of a number.
    pub(super) fn name(&self, number: u16) -> &[u8] {
        self.names.get(usize::from(number)).map_or(&[], |name| name)
    }
}
