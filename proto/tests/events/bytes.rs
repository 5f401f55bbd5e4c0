//! Events as bytes, for the fuzzer: small changes of the bytes are small changes of what happens.

use super::{Event, LITTLE, ROOM, STATUSES};
use proto::proxy::Capacity;

/// Most events that are read.
const EVENTS_MAX: usize = 400;

/// The first byte says how large the pools are; then each event is a byte for what and one or two for which.
pub fn events_of(bytes: &[u8]) -> (Capacity, Vec<Event>) {
    let (room, mut rest) = bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest));
    let mut events = Vec::new();
    while let Some(event) = next(&mut rest).filter(|_| events.len() < EVENTS_MAX) {
        events.push(event);
    }
    (if room.is_multiple_of(2) { ROOM } else { LITTLE }, events)
}

fn next(rest: &mut &[u8]) -> Option<Event> {
    let what = byte(rest)?;
    Some(match what % 16 {
        0 | 1 => Event::Request,
        2 => Event::Repeat(which(rest)?),
        3 => Event::Cancel(which(rest)?),
        4 => Event::Ack(which(rest)?),
        5..=9 => {
            let status = usize::from(byte(rest)?);
            // One in sixteen comes from elsewhere.
            Event::Respond(which(rest)?, status % STATUSES.len(), status / STATUSES.len() == 15)
        }
        10 => Event::Answer(which(rest)?),
        11 => Event::Unreachable(which(rest)?),
        12 => Event::Pass(1 + 2 * u64::from(byte(rest)?)),
        13 => Event::Pass(20 * u64::from(byte(rest)?)),
        14 => Event::Pass(160 * u64::from(byte(rest)?)),
        _ => Event::HandOver,
    })
}

fn which(rest: &mut &[u8]) -> Option<usize> {
    byte(rest).map(usize::from)
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, others) = rest.split_first()?;
    *rest = others;
    Some(*first)
}
