//! The kernel's side of a socket whose rings lie in memory: for tests and measurements, which play the
//! card.

use super::ring::{Consumer, Descriptor, Producer};
use super::umem::{FRAME_BYTES, Memory, RECEIVE_BYTES_MAX, RECEIVE_HEADROOM};

/// The other ends of a socket's four rings.
#[derive(Debug)]
pub struct FarSide {
    receive: Producer<Descriptor>,
    transmit: Consumer<Descriptor>,
    fill: Consumer<u64>,
    completion: Producer<u64>,
}

impl FarSide {
    pub(super) fn new(
        receive: Producer<Descriptor>,
        transmit: Consumer<Descriptor>,
        fill: Consumer<u64>,
        completion: Producer<u64>,
    ) -> Self {
        transmit.set_needs_wakeup(true);
        FarSide { receive, transmit, fill, completion }
    }

    /// Lets a packet arrive, as a copy into a frame of the fill ring. False: it is lost, for there is no
    /// frame, no place in the receive ring, or it is too long.
    pub fn deliver(&mut self, memory: &Memory, packet: &[u8]) -> bool {
        self.deliver_stamped(memory, packet, 0)
    }

    /// The same, with the stamp that an XDP program puts in front.
    pub fn deliver_stamped(&mut self, memory: &Memory, packet: &[u8], stamp: u64) -> bool {
        if packet.len() > RECEIVE_BYTES_MAX || self.receive.room(1) == 0 {
            return false;
        }
        let Some(address) = self.fill.pop() else {
            return false;
        };
        self.fill.publish();
        let address = address + RECEIVE_HEADROOM as u64;
        if let Some(place) = memory.lent(address, packet.len()) {
            // SAFETY: the address came from the fill ring, so the frame is lent to us, the kernel: nobody
            // else touches it until it stands in the receive ring. `lent` has checked that it lies within.
            unsafe { std::ptr::copy_nonoverlapping(packet.as_ptr(), place, packet.len()) };
        }
        if stamp != 0
            && let Some(place) = memory.lent(address - size_of::<u64>() as u64, size_of::<u64>())
        {
            // SAFETY: as above; it lies in front of the packet in the same frame.
            unsafe { place.cast::<u64>().write_unaligned(stamp) };
        }
        let length = u32::try_from(packet.len()).unwrap_or(0);
        self.receive.push(Descriptor { address, length, options: 0 });
        self.receive.publish();
        true
    }

    /// Gives a descriptor that was never lent: what a broken driver would do.
    pub fn deliver_nonsense(&mut self, address: u64) {
        self.receive.push(Descriptor { address, length: 100, options: 0 });
        self.receive.publish();
    }

    /// Takes the next packet that was sent; returns what `look` said and the frame's address, which is to
    /// be given back with [`FarSide::complete`].
    pub fn take_sent<R>(&mut self, memory: &Memory, look: impl FnOnce(&[u8]) -> R) -> Option<(R, u64)> {
        let descriptor = self.transmit.pop()?;
        self.transmit.publish();
        let length = descriptor.length as usize;
        let place = memory.lent(descriptor.address, length)?;
        // SAFETY: the address came from the transmit ring, so the frame is lent to us, the kernel, and
        // nobody writes to it until it stands in the completion ring.
        let packet = unsafe { std::slice::from_raw_parts(place.cast_const(), length) };
        Some((look(packet), descriptor.address))
    }

    /// Gives the frame of a packet that was sent back.
    pub fn complete(&mut self, address: u64) {
        self.completion.push(address - address % FRAME_BYTES as u64);
        self.completion.publish();
    }
}
