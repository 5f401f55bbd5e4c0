//! The wheel against a heap that does the same the obvious way.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn fire_all(wheel: &mut Wheel, now: u64) -> Vec<u64> {
    let mut fired = Vec::new();
    loop {
        match wheel.pop(Mono(now)) {
            Expiry::Fired(token) => fired.push(token),
            Expiry::Moved => {}
            Expiry::Nothing => return fired,
        }
    }
}

#[test]
fn fires_once_never_early_and_within_two_ticks() {
    for delay in [0, 1, 1_023, 1_024, 500_000, 262_143 << 2, 32_000_000, 67_108_864, 86_400_000_000] {
        let start = 123_456_789;
        let mut wheel = Wheel::new(4, Mono(start));
        wheel.arm(Mono(start + delay), 7).unwrap();
        if delay > 0 {
            assert!(fire_all(&mut wheel, start + delay - 1).is_empty(), "{delay} fired early");
        }
        assert_eq!(fire_all(&mut wheel, start + delay + 2 * 1_024), [7], "{delay}");
        assert!(fire_all(&mut wheel, start + 2 * delay + 10_000_000).is_empty());
        assert_eq!((wheel.armed(), wheel.free()), (0, 4));
    }
}

#[test]
fn capacity_is_fixed_and_stale_handles_are_harmless() {
    let mut wheel = Wheel::new(2, Mono(0));
    let first = wheel.arm(Mono(5_000), 1).unwrap();
    wheel.arm(Mono(5_000), 2).unwrap();
    assert!(wheel.arm(Mono(5_000), 3).is_none());
    assert!(wheel.disarm(first));
    assert!(!wheel.disarm(first));
    let third = wheel.arm(Mono(6_000), 3).unwrap();
    assert!(!wheel.disarm(first), "same node, other generation");
    assert!(!wheel.disarm(TimerHandle::NONE));
    assert_eq!(fire_all(&mut wheel, 100_000), [2, 3]);
    assert!(!wheel.disarm(third), "it has fired");
}

#[test]
fn an_idle_wheel_asks_for_few_wake_ups() {
    let mut wheel = Wheel::new(4, Mono(0));
    assert_eq!(wheel.next_deadline(), None);
    wheel.arm(Mono(3_600_000_000), 1).unwrap();
    let mut wakes = 0;
    while let Some(next) = wheel.next_deadline() {
        wakes += 1;
        fire_all(&mut wheel, next.0);
    }
    assert!(wakes <= 4, "an hour away: {wakes} wake-ups");
}

#[derive(Clone, Debug)]
enum Step {
    Arm(u64),
    Disarm(usize),
    Advance(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let delay = prop_oneof![0..5_000u64, 0..1_000_000u64, 0..100_000_000u64, 0..400_000_000_000u64];
    prop_oneof![
        4 => delay.clone().prop_map(Step::Arm),
        2 => any::<usize>().prop_map(Step::Disarm),
        3 => delay.prop_map(Step::Advance),
    ]
}

proptest! {
    #[test]
    fn does_what_a_sorted_map_does(start in 0..u64::MAX / 4, steps in prop::collection::vec(step(), 1..300)) {
        let mut wheel = Wheel::new(64, Mono(start));
        // Token to (tick in which it is due, handle).
        let mut model: BTreeMap<u64, (u64, TimerHandle)> = BTreeMap::new();
        let mut now = start;
        for (token, step) in steps.into_iter().enumerate() {
            let token = token as u64;
            match step {
                Step::Arm(delay) => match wheel.arm(Mono(now + delay), token) {
                    Some(handle) => { model.insert(token, ((now + delay).div_ceil(1_024), handle)); }
                    None => prop_assert_eq!(model.len(), 64),
                },
                Step::Disarm(pick) => {
                    let token = model.keys().nth(pick % model.len().max(1)).copied();
                    if let Some((_, handle)) = token.and_then(|token| model.remove(&token)) {
                        prop_assert!(wheel.disarm(handle));
                    }
                }
                Step::Advance(by) => {
                    now += by;
                    let mut fired = fire_all(&mut wheel, now);
                    fired.sort_unstable();
                    let due: Vec<u64> =
                        model.iter().filter(|(_, (tick, _))| *tick <= now >> 10).map(|(token, _)| *token).collect();
                    model.retain(|token, _| !due.contains(token));
                    prop_assert_eq!(fired, due);
                }
            }
            prop_assert_eq!(wheel.armed(), model.len());
            let earliest = model.values().map(|(tick, _)| *tick).min();
            let next = wheel.next_deadline().map(|at| at.0 >> 10);
            prop_assert_eq!(next.is_some(), earliest.is_some());
            // Never later than the first timer (but not earlier than what has been worked off).
            prop_assert!(next <= earliest.map(|tick| tick.max(now >> 10)));
        }
    }

    #[test]
    fn fires_in_the_order_of_ticks(delays in prop::collection::vec(0..200_000_000u64, 1..64)) {
        let mut wheel = Wheel::new(64, Mono(0));
        for (token, delay) in delays.iter().enumerate() {
            wheel.arm(Mono(*delay), token as u64).unwrap();
        }
        let fired = fire_all(&mut wheel, 300_000_000);
        let ticks: Vec<u64> = fired.iter().map(|token| delays[*token as usize].div_ceil(1_024)).collect();
        prop_assert!(ticks.is_sorted());
        prop_assert_eq!(ticks.len(), delays.len());
    }
}
