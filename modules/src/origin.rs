//! What the numbers of another process mean here (hand-over).
//!
//! Notes, calls and branches name sets and gateways by number, and a number holds within one process. Whoever hands
//! over says once what its numbers are called ([`write`]); whoever takes over looks the names up in its own tables
//! ([`Origin::read`]). What has no number here is gone: its calls and branches go on with the addresses that they
//! have, charged to nobody.
//!
//! ```text
//! version  listeners: count, addresses  sets: count, (number, name)  gateways: count, (number, name, address)
//!    1               2, 23 each                 2, 4 + text                    2, 4 + text + 1 or 24
//! ```

use crate::encoding::{Decoder, Encoder};
use crate::tables::{Number, Tables};
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    sets: BTreeMap<u32, Number>,
    gateways: BTreeMap<u32, Number>,
}

/// Why names were not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginError {
    /// Another version, cut short, or not what [`write`] writes.
    Damaged,
    /// Its listeners are not ours: messages under way could not be answered from where they were asked.
    OtherListeners,
}

const VERSION: u8 = 1;

/// Appends what the numbers of these tables are called.
pub(crate) fn write(tables: &Tables, out: &mut Vec<u8>) {
    let mut out = Encoder::new(out);
    out.number([VERSION]).count(tables.listeners.len());
    for listener in &tables.listeners {
        out.address(*listener);
    }
    out.count(tables.sets.iter().flatten().count());
    for set in tables.sets.iter().flatten() {
        out.number(set.number.0.to_le_bytes()).text(set.name.as_bytes());
    }
    out.count(tables.gateways.iter().flatten().count());
    for gateway in tables.gateways.iter().flatten() {
        out.number(gateway.number.0.to_le_bytes()).text(gateway.name.as_bytes()).flag(gateway.address.is_some());
        gateway.address.map(|address| out.address(address));
    }
}

impl Origin {
    /// Reads what [`write`] wrote, and finds it in `tables`.
    ///
    /// # Errors
    /// See [`OriginError`].
    pub fn read(bytes: &[u8], tables: &Tables) -> Result<Self, OriginError> {
        let (listeners, sets, gateways) = parse(bytes).ok_or(OriginError::Damaged)?;
        if listeners != tables.listeners {
            return Err(OriginError::OtherListeners);
        }
        let own_sets: BTreeMap<_, _> =
            tables.sets.iter().flatten().map(|set| (set.name.as_bytes(), set.number)).collect();
        let own_gateways: BTreeMap<_, _> = tables
            .gateways
            .iter()
            .flatten()
            .map(|gateway| ((gateway.name.as_bytes(), gateway.address), gateway.number))
            .collect();
        let set = |(number, name)| Some((number, *own_sets.get(name)?));
        let gateway = |(number, name, address)| Some((number, *own_gateways.get(&(name, address))?));
        Ok(Origin {
            sets: sets.into_iter().filter_map(set).collect(),
            gateways: gateways.into_iter().filter_map(gateway).collect(),
        })
    }

    /// Our number of their set; `None`: it is gone.
    pub fn set(&self, theirs: Number) -> Option<Number> {
        self.sets.get(&theirs.0).copied()
    }

    /// Our number of their gateway; `None`: it is gone.
    pub fn gateway(&self, theirs: Number) -> Option<Number> {
        self.gateways.get(&theirs.0).copied()
    }
}

type Names<'b> = (Vec<SocketAddr>, Vec<(u32, &'b [u8])>, Vec<(u32, &'b [u8], Option<SocketAddr>)>);

fn parse<'b>(bytes: &'b [u8]) -> Option<Names<'b>> {
    let mut from = Decoder::new(bytes);
    from.byte().filter(|version| *version == VERSION)?;
    let listeners = (0..from.short()?).map(|_| from.address()).collect::<Option<_>>()?;
    let sets = (0..from.short()?).map(|_| Some((from.word()?, from.text()?))).collect::<Option<_>>()?;
    let gateway = |from: &mut Decoder<'b>| {
        let (number, name, has_address) = (from.word()?, from.text()?, from.flag()?);
        Some((number, name, if has_address { Some(from.address()?) } else { None }))
    };
    let gateways = (0..from.short()?).map(|_| gateway(&mut from)).collect::<Option<_>>()?;
    from.end().map(|()| (listeners, sets, gateways))
}
