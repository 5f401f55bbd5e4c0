//! After a crash: calls that were answered and not over live again in the shard that owns them.
//!
//! What is known of them is what stood in their record: a Contact or a session timer that a re-INVITE has changed
//! since is not. Their places at caps are taken again, whatever the caps say by now.

use super::field::{self, Field};
use crate::calls::{Identity, Key, Opening, hand_over};
use crate::class4::account::Tariff;
use crate::encoding::Decoder;
use crate::policy::TandemPolicy;
use crate::tables::{Gateway, Tables};
use proto::policy::{BySource, Endpoint};
use proto::time::{Micros, Mono, Now};
use std::net::{Ipv4Addr, SocketAddr};

/// A call to be restored: the fields of its open record, and the number that the ledger knows it by.
#[derive(Clone, Debug)]
pub struct Restored {
    /// Number of the ledger.
    pub call: u64,
    /// Fields of its record.
    pub fields: Vec<u8>,
}

impl Restored {
    /// Its Call-ID, by which its shard is found.
    pub fn call_id(&self) -> &[u8] {
        self.text(Field::CallId)
    }

    /// When it was answered, in microseconds since 1970.
    pub fn answered(&self) -> u64 {
        field::number(&self.fields, Field::Answer).unwrap_or(0)
    }

    /// What it costs its customer; `None`: that is not looked at, or another release has recorded it.
    pub fn tariff(&self, now: Now) -> Option<Tariff> {
        let mut from = Decoder::new(self.text(Field::Charged));
        from.long()?;
        let (price, initial, subsequent) = (from.long()?.cast_signed(), from.short()?, from.short()?);
        let ago = Micros(now.wall.0.saturating_sub(self.answered()));
        Some(Tariff::resumed(price, [initial, subsequent], ago, now.mono))
    }

    fn text(&self, field: Field) -> &[u8] {
        field::find(&self.fields, field).unwrap_or_default()
    }

    fn address(&self, field: Field) -> Option<SocketAddr> {
        field::find(&self.fields, field).and_then(field::as_address)
    }

    /// What it is opened with when its state cannot be read: another release's.
    fn plainly(&self, tables: &Tables, key: Key, slot: u16) -> Option<Opening<'_>> {
        let listener = |field| {
            let local = self.address(field)?;
            let index = tables.listeners.iter().position(|listener| *listener == local)?;
            u16::try_from(index).ok()
        };
        let (caller, gateway) = (self.address(Field::CustomerAddress)?, self.address(Field::GatewayAddress)?);
        let local = self.address(Field::CustomerLocal).unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into());
        Some(Opening {
            key,
            slot,
            early: false,
            gateway: None,
            initiator: Endpoint { listener: listener(Field::CustomerLocal)?, local, peer: caller, flow: 0 },
            initiator_contact: &[],
            by_source: BySource::Neither,
            responder: gateway,
            responder_listener: listener(Field::GatewayLocal)?,
            responder_flow: 0,
            responder_contact: &[],
            identity: Identity::Unknown,
            cseq: 0,
        })
    }
}

impl TandemPolicy {
    /// Opens a call again. `slot`: of its Call-ID. False: there is no room, or it cannot be read.
    ///
    /// INVARIANT: the oldest comes first, for in this order calls expire.
    pub fn restore_call(&mut self, restored: &Restored, slot: u16, now: Now) -> bool {
        let (from, to) = (restored.text(Field::FromTag), restored.text(Field::ToTag));
        let Some(key) = self.calls.key_of(restored.call_id(), from, to) else { return false };
        let age = Micros(now.wall.0.saturating_sub(restored.answered()));
        let opened = Mono(now.mono.0.saturating_sub(age.0));
        let read = hand_over::read_state(restored.text(Field::State), key, slot);
        let resumed = read.map(|(_, resumed)| resumed);
        let opening = read.map(|(opening, _)| opening).or_else(|| restored.plainly(&self.tables, key, slot));
        let Some(mut opening) = opening else { return false };
        opening.gateway = gateway(&self.tables, restored).map(|gateway| gateway.number);
        let Some(id) = self.calls.open(&opening, opened) else { return false };
        self.calls.recorded(id, restored.call);
        if let Some(gateway) = opening.gateway {
            self.dispatcher.call_taken_over(gateway);
        }
        if let Some(trunks) = &self.tables.class4 {
            let names = [Field::Customer, Field::Vendor, Field::BoundDestination].map(|field| restored.text(field));
            let charge = trunks.take_over(names, restored.tariff(now));
            self.calls.charge(id, charge);
            if let Some(resumed) = resumed {
                self.calls.resume(id, &resumed, &trunks.lifetimes, now.mono);
            }
        }
        true
    }
}

/// The gateway of that name and address, if it is still there.
fn gateway<'t>(tables: &'t Tables, restored: &Restored) -> Option<&'t Gateway> {
    let address = restored.address(Field::GatewayAddress);
    let name = restored.text(Field::Gateway);
    tables.gateways.iter().flatten().find(|gateway| gateway.address == address && gateway.name.as_bytes() == name)
}
