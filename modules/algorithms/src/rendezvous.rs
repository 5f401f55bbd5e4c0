//! Weighted rendezvous hashing (highest random weight): the same subject goes to the same gateway.
//!
//! Every gateway draws a number from the hash of its own key with the subject; the best draw wins. When
//! a gateway goes, its subjects go where their second-best draw was, evenly over all others, and no
//! other subject moves. With draw `u` uniform in (0, 1), the score `-ln(u) / weight` is the waiting time
//! of a Poisson process of that rate: the first to come is `i` with probability `weight_i / sum`.

use super::{Candidate, Choice, mix};

/// Position of the best gateway whose load is within the bound.
pub fn choose(choice: &mut Choice<'_, '_>) -> usize {
    let (weights, loads) = choice.candidates.iter().fold((0u64, 0u64), |(weights, loads), candidate| {
        (weights + u64::from(candidate.weight), loads + u64::from(candidate.load))
    });
    let mut best = (0, f64::INFINITY);
    for (at, candidate) in choice.candidates.iter().enumerate() {
        if choice.bounded > 0 && is_full(candidate, choice.bounded, loads, weights) {
            continue;
        }
        let score = score(candidate, choice.hash);
        if score < best.1 {
            best = (at, score);
        }
    }
    best.0
}

/// Whether one more call would be more than `bounded` thousandths of its share of all calls, rounded up.
/// WHY somebody is always below: with a bound of at least 1,000 the caps add up to more than all calls.
fn is_full(candidate: &Candidate, bounded: u32, loads: u64, weights: u64) -> bool {
    let share = u128::from(loads + 1) * u128::from(candidate.weight) * u128::from(bounded);
    let cap = share.div_ceil(u128::from(weights.max(1)) * 1_000);
    u128::from(candidate.load) + 1 > cap
}

fn score(candidate: &Candidate, hash: u64) -> f64 {
    // 53 bits fill the mantissa; half a step up keeps zero out.
    let draw = mix(candidate.key ^ hash) >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact in an f64")]
    let uniform = (draw as f64 + 0.5) / (1u64 << 53) as f64;
    -uniform.ln() / f64::from(candidate.weight.max(1))
}
