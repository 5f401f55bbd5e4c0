//! Known bugs of a hand-over, planted in the bytes on their way from one process to the next. Knows their layout
//! (`shard_hand_over.rs`, `proto`'s `hand_over.rs`), for a test must damage what it wants to be missed.

use crate::faults::Fault;
use crate::network::SECOND;
use proto::hash::{KeyedHash, Purpose, Secret};

const NAMES: u8 = 1;
const CALL: u8 = 2;
const TRANSACTION: u8 = 3;
const END: u8 = 0xff;

/// Where a transaction's checksum ends, its slot stands, and its exporter's monotonic clock.
const CHECKED_FROM: usize = 9;
const SLOT_OF_TRANSACTION: usize = 17;
const CLOCK: usize = 19;

/// Where a call's slot stands.
const SLOT_OF_CALL: usize = 1;

/// What arrives in place of the states that left. `names`: what the numbers of the new process are called.
pub(crate) fn distort(fault: Fault, states: &[Vec<u8>], names: &[u8]) -> Vec<Vec<u8>> {
    states.iter().map(|state| write(read(state).filter_map(|frame| of_frame(fault, frame, names)))).collect()
}

fn of_frame(fault: Fault, (kind, mut bytes): (u8, Vec<u8>), names: &[u8]) -> Option<(u8, Vec<u8>)> {
    match (fault, kind) {
        (Fault::LosesTransactions, TRANSACTION) | (Fault::LosesCalls, CALL) => return None,
        (Fault::TakesNumbersAsTheyAre, NAMES) => bytes = names.to_vec(),
        (Fault::MistakesSlots, CALL) => bytes[SLOT_OF_CALL] ^= 1,
        (Fault::MistakesSlots, TRANSACTION) => {
            bytes[SLOT_OF_TRANSACTION] ^= 1;
            sign(&mut bytes);
        }
        (Fault::StopsTimers, TRANSACTION) => {
            let clock = &mut bytes[CLOCK..CLOCK + 8];
            let earlier = u64::from_le_bytes(clock.try_into().unwrap()).wrapping_sub(100_000 * SECOND);
            clock.copy_from_slice(&earlier.to_le_bytes());
            sign(&mut bytes);
        }
        (Fault::LosesBranches, TRANSACTION) => {
            lose_branches(&mut bytes);
            sign(&mut bytes);
        }
        _ => {}
    }
    Some((kind, bytes))
}

/// Branches whose next hop is a gateway get one that nobody has: what the gateway says belongs to none.
fn lose_branches(bytes: &mut [u8]) {
    // 203.0.113.x as the encoding has it: family, address, and the port behind it.
    let of_gateway = |part: &[u8]| part[0] == 4 && part[2..5] == [113, 0, 203] && part[5..7] == 5_060_u16.to_le_bytes();
    let found: Vec<usize> = (0..bytes.len().saturating_sub(7)).filter(|at| of_gateway(&bytes[*at..*at + 7])).collect();
    for at in found {
        bytes[at + 1] = 99;
    }
}

fn sign(frame: &mut [u8]) {
    let sum = KeyedHash::new(&Secret([0; 16]), Purpose::HandOver).part(&frame[CHECKED_FROM..]).finish();
    frame[1..CHECKED_FROM].copy_from_slice(&sum.to_le_bytes()[..8]);
}

fn read(state: &[u8]) -> impl Iterator<Item = (u8, Vec<u8>)> {
    let mut rest = &state[1..];
    std::iter::from_fn(move || {
        let kind = rest[0];
        if kind == END {
            return None;
        }
        let length = u32::from_le_bytes(rest[1..5].try_into().unwrap());
        let (frame, after) = rest[5..].split_at(usize::try_from(length).unwrap());
        rest = after;
        Some((kind, frame.to_vec()))
    })
}

fn write(frames: impl Iterator<Item = (u8, Vec<u8>)>) -> Vec<u8> {
    let (mut state, mut count) = (vec![1], 0u64);
    for (kind, frame) in frames {
        state.push(kind);
        state.extend(u32::try_from(frame.len()).unwrap().to_le_bytes());
        state.extend(frame);
        count += 1;
    }
    state.push(END);
    state.extend(count.to_le_bytes());
    state
}
