//! Hierarchical timer wheel: arm, disarm and expire in constant time, no allocation once built.
//!
//! Four levels of 256 slots; a tick is 1,024 µs, so the first level spans 262 ms, the second 67 s,
//! all four 50 days. A timer is a node in a slab, linked into the circular list of its slot. When
//! time enters a slot of an upper level, its timers move down, one step of [`Wheel::pop`] each, so
//! that a crowded slot never stretches a turn. Timers never fire early, and less than two ticks
//! late by the wheel's own doing.
//!
//! Handles carry the generation of their node: a stale one is harmless.

use crate::time::Mono;
use std::num::NonZeroU64;

/// Names an armed timer. Once the timer fired or was disarmed, it names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerHandle(NonZeroU64);

impl TimerHandle {
    /// As a number that is never 0, for who keeps handles without knowing the engine.
    pub const fn to_bits(self) -> u64 {
        self.0.get()
    }

    /// Back from [`TimerHandle::to_bits`]; `None` for 0. Any other number is at worst a stale handle.
    pub const fn from_bits(bits: u64) -> Option<Self> {
        match NonZeroU64::new(bits) {
            Some(bits) => Some(TimerHandle(bits)),
            None => None,
        }
    }
}

/// What one step of expiry did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// A timer fired: its token.
    Fired(u64),
    /// A timer moved to a lower level; call again.
    Moved,
    /// Nothing is due.
    Nothing,
}

/// The wheel of one shard.
pub struct Wheel {
    /// `LISTS` list heads, then the timers.
    nodes: Box<[Node]>,
    free: u32,
    armed: usize,
    /// INVARIANT: bit `s` of level `l` is set exactly when that slot's list holds a timer.
    occupied: [[u64; SLOTS / 64]; LEVELS],
    /// INVARIANT: every tick up to and including this one has been moved to `DUE` or `CASCADE`.
    tick: u64,
}

#[derive(Clone, Copy)]
struct Node {
    token: u64,
    tick: u64,
    generation: u32,
    next: u32,
    prev: u32,
    armed: bool,
}

impl Wheel {
    /// A wheel for up to `capacity` timers, starting at `now`. All memory is taken and touched here.
    pub fn new(capacity: usize, now: Mono) -> Self {
        let capacity = u32::try_from(capacity).map_or(CAPACITY_MAX, |c| c.min(CAPACITY_MAX));
        let total = LISTS + capacity;
        let nodes = (0..total)
            .map(|index| {
                let head = index < LISTS;
                Node {
                    token: 0,
                    tick: 0,
                    generation: 1,
                    next: if head { index } else { index + 1 },
                    prev: index,
                    armed: false,
                }
            })
            .collect();
        Wheel { nodes, free: LISTS, armed: 0, occupied: [[0; SLOTS / 64]; LEVELS], tick: now.0 >> TICK_SHIFT }
    }

    /// Arms a timer for `at`. `None` when all are in use. A moment in the past fires at once.
    pub fn arm(&mut self, at: Mono, token: u64) -> Option<TimerHandle> {
        let index = self.free;
        let node = self.nodes.get_mut(index as usize)?;
        self.free = node.next;
        node.token = token;
        node.tick = ceiling_tick(at);
        node.armed = true;
        let handle = handle(index, node.generation);
        self.armed += 1;
        self.place(index);
        Some(handle)
    }

    /// Disarms a timer. `false` when it had fired or been disarmed before.
    pub fn disarm(&mut self, handle: TimerHandle) -> bool {
        let (index, generation) = parts(handle);
        match self.nodes.get(index as usize) {
            Some(node) if node.armed && node.generation == generation => {}
            _ => return false,
        }
        self.unlink(index);
        self.release(index);
        true
    }

    /// One step of expiry up to `now`. The caller repeats it within a budget of its own.
    pub fn pop(&mut self, now: Mono) -> Expiry {
        let target = now.0 >> TICK_SHIFT;
        loop {
            let moving = self.at(CASCADE).next;
            if moving != CASCADE {
                self.unlink(moving);
                self.place(moving);
                return Expiry::Moved;
            }
            let due = self.at(DUE).next;
            if due != DUE {
                let token = self.at(due).token;
                self.unlink(due);
                self.release(due);
                return Expiry::Fired(token);
            }
            match self.next_tick() {
                Some(next) if next <= target => self.enter(next),
                _ => {
                    self.tick = self.tick.max(target);
                    return Expiry::Nothing;
                }
            }
        }
    }

    /// When [`Wheel::pop`] next has something to do; `None` when no timer is armed.
    ///
    /// Exact to the tick for timers less than 262 ms away; for later ones it may be the moment when
    /// they move down a level, which happens at most three times in a timer's life.
    pub fn next_deadline(&self) -> Option<Mono> {
        if self.at(DUE).next != DUE || self.at(CASCADE).next != CASCADE {
            return Some(Mono(self.tick << TICK_SHIFT));
        }
        self.next_tick().map(|tick| Mono(tick << TICK_SHIFT))
    }

    /// Timers armed now.
    pub fn armed(&self) -> usize {
        self.armed
    }

    /// Timers that can still be armed.
    pub fn free(&self) -> usize {
        self.nodes.len() - LISTS as usize - self.armed
    }

    /// Enters `tick`, which is the next that has work: upper slots that begin here cascade, and
    /// what is due in this tick becomes so.
    fn enter(&mut self, tick: u64) {
        self.tick = tick;
        for level in (1..LEVELS).rev() {
            let shift = SLOT_BITS * level as u32;
            if tick & ((1 << shift) - 1) == 0 {
                self.splice(list_of(level, tick >> shift), CASCADE);
            }
        }
        self.splice(list_of(0, tick), DUE);
    }

    /// The next tick at which some slot begins that is not empty.
    fn next_tick(&self) -> Option<u64> {
        if self.armed == 0 {
            return None;
        }
        let mut earliest: Option<u64> = None;
        for (level, bits) in self.occupied.iter().enumerate() {
            let shift = SLOT_BITS * level as u32;
            let current = (self.tick >> shift) as usize % SLOTS;
            let Some(ahead) = distance_to_next(bits, current) else {
                continue;
            };
            let start = ((self.tick >> shift) + ahead) << shift;
            earliest = Some(earliest.map_or(start, |e| e.min(start)));
        }
        earliest
    }

    /// Links an unlinked, armed node into the list that its tick belongs to.
    fn place(&mut self, index: u32) {
        let tick = self.at(index).tick;
        let Some(ahead) = tick.checked_sub(self.tick).filter(|ahead| *ahead > 0) else {
            return self.link(DUE, index);
        };
        let ahead = ahead.min(HORIZON);
        let tick = self.tick + ahead;
        let level = ((63 - ahead.leading_zeros()) / SLOT_BITS) as usize;
        self.link(list_of(level, tick >> (SLOT_BITS * level as u32)), index);
    }

    /// Appends `index` to `list`.
    fn link(&mut self, list: u32, index: u32) {
        let last = self.at(list).prev;
        let node = self.at_mut(index);
        node.prev = last;
        node.next = list;
        self.at_mut(last).next = index;
        self.at_mut(list).prev = index;
        self.mark(list, true);
    }

    fn unlink(&mut self, index: u32) {
        let Node { next, prev, .. } = *self.at(index);
        self.at_mut(prev).next = next;
        self.at_mut(next).prev = prev;
        if next == prev && next < LISTS {
            self.mark(next, false);
        }
    }

    /// Moves all of `from` to the end of `to`.
    fn splice(&mut self, from: u32, to: u32) {
        let Node { next, prev, .. } = *self.at(from);
        if next == from {
            return;
        }
        let last = self.at(to).prev;
        self.at_mut(last).next = next;
        self.at_mut(next).prev = last;
        self.at_mut(prev).next = to;
        self.at_mut(to).prev = prev;
        let head = self.at_mut(from);
        head.next = from;
        head.prev = from;
        self.mark(from, false);
    }

    fn release(&mut self, index: u32) {
        let free = self.free;
        let node = self.at_mut(index);
        node.armed = false;
        node.generation = node.generation.checked_add(1).unwrap_or(1);
        node.next = free;
        self.free = index;
        self.armed -= 1;
    }

    fn mark(&mut self, list: u32, occupied: bool) {
        let (level, slot) = (list as usize / SLOTS, list as usize % SLOTS);
        // `DUE` and `CASCADE` lie beyond the last level and have no bit.
        if let Some(word) = self.occupied.get_mut(level).and_then(|l| l.get_mut(slot / 64)) {
            if occupied {
                *word |= 1 << (slot % 64);
            } else {
                *word &= !(1 << (slot % 64));
            }
        }
    }

    /// INVARIANT: every index that is asked for is a list head, or comes from a link or a handle
    /// that `disarm` has checked, so it lies within the slab.
    fn at(&self, index: u32) -> &Node {
        &self.nodes[index as usize]
    }

    fn at_mut(&mut self, index: u32) -> &mut Node {
        &mut self.nodes[index as usize]
    }
}

fn ceiling_tick(at: Mono) -> u64 {
    at.0.div_ceil(1 << TICK_SHIFT)
}

/// The list of the slot of `level` that holds slot number `slot` (counted from the clock's start).
fn list_of(level: usize, slot: u64) -> u32 {
    (level * SLOTS) as u32 + (slot % SLOTS as u64) as u32
}

/// How many slots after `current` the next set bit lies: 1 to 256, where 256 is `current` itself.
fn distance_to_next(bits: &[u64; SLOTS / 64], current: usize) -> Option<u64> {
    let start = current + 1;
    for step in 0..=SLOTS / 64 {
        let word_index = (start / 64 + step) % (SLOTS / 64);
        let mut word = bits[word_index];
        if step == 0 {
            word &= u64::MAX << (start % 64);
        } else if step == SLOTS / 64 {
            word &= !(u64::MAX << (start % 64));
        }
        if word != 0 {
            let slot = word_index * 64 + word.trailing_zeros() as usize;
            return Some(((slot + SLOTS - start) % SLOTS) as u64 + 1);
        }
    }
    None
}

fn handle(index: u32, generation: u32) -> TimerHandle {
    let packed = u64::from(generation) << 32 | u64::from(index);
    // INVARIANT: an index of a timer is at least `LISTS`, so the packed value is never zero.
    TimerHandle(NonZeroU64::new(packed).unwrap_or(NonZeroU64::MAX))
}

fn parts(handle: TimerHandle) -> (u32, u32) {
    let packed = handle.0.get();
    (packed as u32, (packed >> 32) as u32)
}

impl TimerHandle {
    /// A handle that names no timer.
    pub const NONE: TimerHandle = TimerHandle(NonZeroU64::MAX);
}

const TICK_SHIFT: u32 = 10;
const SLOT_BITS: u32 = 8;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 4;
/// Timers whose tick has come.
const DUE: u32 = (LEVELS * SLOTS) as u32;
/// Timers on their way from an upper level to a lower one.
const CASCADE: u32 = DUE + 1;
const LISTS: u32 = CASCADE + 1;
/// Farthest that a timer is placed ahead, in ticks; what lies beyond is placed again from there.
const HORIZON: u64 = (1 << (SLOT_BITS * LEVELS as u32)) - 1;
const CAPACITY_MAX: u32 = u32::MAX - LISTS - 1;

// WHY: a configuration is held against the host's memory by this.
const _: () = assert!(size_of::<Node>() <= limits::pool::TIMER_BYTES as usize);

#[cfg(test)]
mod tests;
