//! A shard's outbox, as callers, gateways and echoes see the world.

use std::net::SocketAddr;

use engine::{Egress, Now, Outbox, TimerHandle};
use proto::{message::Writer, time::Mono};

use crate::{
    reporter::Letter,
    wire::{Token, Wire},
};

/// Lent for one event.
pub struct Outlet<'a, 'b> {
    now: Mono,
    out: &'a mut Outbox<'b, Letter>,
    /// Datagrams sent through it.
    pub sent: u64,
}

impl<'a, 'b> Outlet<'a, 'b> {
    /// For an event at `now`.
    pub fn new(now: Now, out: &'a mut Outbox<'b, Letter>) -> Self {
        Outlet { now: Mono(now.mono.0), out, sent: 0 }
    }
}

impl Wire for Outlet<'_, '_> {
    type Alarm = TimerHandle;

    fn now(&self) -> Mono {
        self.now
    }

    fn send(&mut self, listener: u16, peer: SocketAddr, mut write: impl FnMut(&mut Writer<'_>)) -> bool {
        let egress = Egress { listener, local: None, peer, flow: 0 };
        let sent = self.out.transmit(&egress, |slot| {
            let mut writer = Writer::new(slot);
            write(&mut writer);
            // Too large for this slot: ask for the large one.
            writer.finish().unwrap_or(usize::MAX)
        });
        self.sent += u64::from(sent);
        sent
    }

    fn arm(&mut self, at: Mono, token: Token) -> TimerHandle {
        self.out.arm(engine_mono(at), token.pack())
    }

    fn disarm(&mut self, alarm: TimerHandle) {
        self.out.disarm(alarm);
    }
}

/// The same moment, as the engine names it.
pub const fn engine_mono(at: Mono) -> engine::Mono {
    engine::Mono(at.0)
}
