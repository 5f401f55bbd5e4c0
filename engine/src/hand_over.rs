//! Frames on their way to the shard that owns them: a lock-free single-producer byte ring for each
//! ordered pair of shards.
//!
//! Three classes share a ring. New calls are shed first, when it is more than half full; other
//! datagrams next, when it is nearly full; stream messages only find it full, which tells their
//! connection to stop reading. Control travels by letter and is never shed.
//!
//! A record is a fixed header and the payload. A payload that the ring's end cuts in two is joined in
//! a scratch buffer; all others are read in place.

use crate::frame::{Frame, ShardId};
use crate::time::Mono;
use engine_sys::address::RawAddress;
use rtrb::{Consumer, Producer, RingBuffer};

/// What may be shed, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A request that would begin something new: shed first.
    NewCall,
    /// Any other datagram: its sender will repeat it.
    Other,
    /// What came over a stream: never shed; `false` means "stop reading that connection".
    Stream,
}

/// The sending end.
pub(crate) struct FrameSender {
    ring: Producer<u8>,
    capacity: usize,
}

/// The receiving end.
pub(crate) struct FrameReceiver {
    ring: Consumer<u8>,
    from: ShardId,
    /// Where a payload cut by the ring's end is joined.
    joined: Box<[u8]>,
}

/// A ring of `capacity` bytes; never less than what two of the largest messages need.
pub(crate) fn pair(from: ShardId, capacity: usize) -> (FrameSender, FrameReceiver) {
    let capacity = capacity.max(RING_BYTES_MIN);
    let (mut producer, mut consumer) = RingBuffer::new(capacity);
    touch(&mut producer, &mut consumer);
    let sender = FrameSender { ring: producer, capacity };
    let receiver = FrameReceiver { ring: consumer, from, joined: vec![1; limits::LARGE_SLOT_BYTES].into_boxed_slice() };
    (sender, receiver)
}

/// Writes the whole ring once, so that no page of it is missing later.
fn touch(producer: &mut Producer<u8>, consumer: &mut Consumer<u8>) {
    if let Ok(mut chunk) = producer.write_chunk(consumer.buffer().capacity()) {
        let (first, second) = chunk.as_mut_slices();
        first.fill(1);
        second.fill(1);
        chunk.commit_all();
    }
    if let Ok(chunk) = consumer.read_chunk(consumer.slots()) {
        chunk.commit_all();
    }
}

impl FrameSender {
    /// Copies the frame into the ring; `false` when its class finds no room.
    pub(crate) fn send(&mut self, class: Class, frame: &Frame<'_>) -> bool {
        let Ok(length) = u32::try_from(frame.bytes.len()) else {
            return false;
        };
        let needed = HEADER_BYTES + frame.bytes.len();
        let reserve = match class {
            Class::NewCall => self.capacity / 2,
            Class::Other => self.capacity / 16,
            Class::Stream => 0,
        };
        if self.ring.slots() < needed + reserve {
            return false;
        }
        let header = encode(frame, length);
        // INVARIANT: room for both was just seen, and only this producer takes it.
        self.ring.push_entire_slice(&header).is_ok() && self.ring.push_entire_slice(frame.bytes).is_ok()
    }
}

impl FrameReceiver {
    /// Whose frames these are.
    pub(crate) fn from(&self) -> ShardId {
        self.from
    }

    /// True when nothing is there to read.
    pub(crate) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Lends the next frame to `look`, then gives its space back to the sender. False: there is none.
    pub(crate) fn read(&mut self, look: impl FnOnce(&Frame<'_>)) -> bool {
        let Some((length, fields)) = self.header().as_ref().and_then(decode) else {
            return false;
        };
        let total = HEADER_BYTES + length;
        // The header is published before the payload: a record may still be half there.
        let Ok(chunk) = self.ring.read_chunk(total) else {
            return false;
        };
        let (first, second) = chunk.as_slices();
        if let Some(bytes) = payload(first, second, &mut self.joined) {
            look(&Frame { bytes, ..fields });
        }
        chunk.commit_all();
        true
    }

    fn header(&mut self) -> Option<[u8; HEADER_BYTES]> {
        let chunk = self.ring.read_chunk(HEADER_BYTES).ok()?;
        let (first, second) = chunk.as_slices();
        let mut header = [0; HEADER_BYTES];
        let (a, b) = header.split_at_mut(first.len());
        a.copy_from_slice(first);
        b.copy_from_slice(second);
        Some(header)
    }
}

/// The payload of a record that may be cut in two by the ring's end; only a payload that is cut itself
/// is copied.
fn payload<'a>(first: &'a [u8], second: &'a [u8], joined: &'a mut [u8]) -> Option<&'a [u8]> {
    if second.is_empty() {
        return first.get(HEADER_BYTES..);
    }
    if let Some(rest_of_header) = HEADER_BYTES.checked_sub(first.len()) {
        return second.get(rest_of_header..);
    }
    let head = first.get(HEADER_BYTES..)?;
    let joined = joined.get_mut(..head.len() + second.len())?;
    let (a, b) = joined.split_at_mut(head.len());
    a.copy_from_slice(head);
    b.copy_from_slice(second);
    Some(joined)
}

fn encode(frame: &Frame<'_>, length: u32) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[0..4].copy_from_slice(&length.to_ne_bytes());
    header[4..6].copy_from_slice(&frame.listener.to_ne_bytes());
    header[8..16].copy_from_slice(&frame.flow.to_ne_bytes());
    header[16..24].copy_from_slice(&frame.received.0.to_ne_bytes());
    header[24..52].copy_from_slice(RawAddress::from(frame.local).padded());
    header[52..80].copy_from_slice(RawAddress::from(frame.peer).padded());
    header
}

fn decode(header: &[u8; HEADER_BYTES]) -> Option<(usize, Frame<'static>)> {
    let length = u32::from_ne_bytes(*header.first_chunk()?);
    let frame = Frame {
        listener: u16::from_ne_bytes(*header.get(4..)?.first_chunk()?),
        flow: u64::from_ne_bytes(*header.get(8..)?.first_chunk()?),
        received: Mono(u64::from_ne_bytes(*header.get(16..)?.first_chunk()?)),
        local: RawAddress::decode(header.get(24..52)?)?,
        peer: RawAddress::decode(header.get(52..80)?)?,
        bytes: &[],
    };
    Some((usize::try_from(length).ok()?, frame))
}

const HEADER_BYTES: usize = 80;
const RING_BYTES_MIN: usize = 4 * (limits::LARGE_SLOT_BYTES + HEADER_BYTES);

#[cfg(test)]
mod tests;
