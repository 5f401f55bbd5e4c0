//! Smooth weighted spreading: every gateway gets its share of any stretch of calls.
//!
//! First choices follow Tijdeman's solution of the chairman assignment problem (R. Tijdeman, "The
//! chairman assignment problem", Discrete Mathematics 32, 1980): among the gateways whose share would
//! not be exceeded too far, the one whose next call is due first. After any number of calls, no gateway
//! is a whole call from its share; so each period of the weights is exact. Taking the one that is owed
//! most, as is usual, does not promise that with many gateways.
//!
//! Further choices (failover) are made from what is left for one request, another set each time; they
//! keep accounts of their own and take the one that is owed most.

use super::{Candidate, Choice};

/// What is owed to one gateway, in calls times the sum of weights; negative: it got ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credit {
    /// By first choices.
    pub first: i64,
    /// By failover.
    pub advance: i64,
}

/// Position of the gateway whose turn it is. Those of weight 0 have none.
pub fn choose(choice: &mut Choice<'_, '_>) -> usize {
    let total: i64 = choice.candidates.iter().map(|candidate| i64::from(candidate.weight)).sum();
    if choice.advance {
        return most_owed(choice.candidates, choice.memory.credits, total);
    }
    settle(choice, total);
    let Some(chosen) = due_first(choice.candidates, choice.memory.credits, total) else { return 0 };
    for (at, candidate) in choice.candidates.iter().enumerate() {
        if let Some(credit) = choice.memory.credits.get_mut(candidate.slot) {
            credit.first += i64::from(candidate.weight) - if at == chosen { total } else { 0 };
        }
    }
    chosen
}

/// Tijdeman's rule, with credit c, weight w, total W, n gateways, and o = 2n - 2: eligible is who has
/// (c + w) o >= W; due first is who has the least (W (o - 1) - (c + w) o) / w.
fn due_first(candidates: &[Candidate], credits: &[Credit], total: i64) -> Option<usize> {
    let mut sharing = candidates.iter().enumerate().filter(|(_, candidate)| candidate.weight > 0);
    let count = sharing.clone().count();
    if count <= 1 {
        return sharing.next().map(|(at, _)| at);
    }
    let o = 2 * i64::try_from(count).unwrap_or(i64::from(u16::MAX)) - 2;
    let mut best: Option<(usize, i128, i128)> = None;
    for (at, candidate) in sharing {
        let weight = i64::from(candidate.weight);
        let owed = (credits.get(candidate.slot).map_or(0, |credit| credit.first) + weight) * o;
        if owed < total {
            continue;
        }
        let (due, weight) = (i128::from(total * (o - 1) - owed), i128::from(weight));
        if best.is_none_or(|(_, best_due, best_weight)| due * best_weight < best_due * weight) {
            best = Some((at, due, weight));
        }
    }
    best.map(|(at, _, _)| at)
}

fn most_owed(candidates: &[Candidate], credits: &mut [Credit], total: i64) -> usize {
    let mut chosen = (0, i64::MIN, usize::MAX);
    for (at, candidate) in candidates.iter().enumerate().filter(|(_, candidate)| candidate.weight > 0) {
        let Some(credit) = credits.get_mut(candidate.slot) else { continue };
        // WHY clamped: who is seldom among those left would save up turns and then take them in a row.
        credit.advance = (credit.advance + i64::from(candidate.weight)).clamp(-total, total);
        if credit.advance > chosen.1 {
            chosen = (at, credit.advance, candidate.slot);
        }
    }
    if let Some(credit) = credits.get_mut(chosen.2) {
        credit.advance -= total;
    }
    chosen.0
}

/// When a gateway came or went since the last choice, brings the accounts of those here into the scale
/// of the new sum of weights, and to a sum of zero.
fn settle(choice: &mut Choice<'_, '_>, total: i64) {
    let credits = &mut *choice.memory.credits;
    let before = i64::try_from(*choice.memory.total).unwrap_or(0);
    let of = |candidate: &Candidate, credits: &[Credit]| {
        if candidate.weight == 0 { 0 } else { credits.get(candidate.slot).map_or(0, |credit| credit.first) }
    };
    let sum: i64 = choice.candidates.iter().map(|candidate| of(candidate, credits)).sum();
    if before == total && sum == 0 {
        return;
    }
    *choice.memory.total = u64::try_from(total).unwrap_or(0);
    let mut rest = 0;
    for candidate in choice.candidates.iter().filter(|candidate| candidate.weight > 0) {
        let Some(credit) = credits.get_mut(candidate.slot) else { continue };
        let scaled = if before == 0 { 0 } else { i128::from(credit.first) * i128::from(total) / i128::from(before) };
        credit.first = i64::try_from(scaled).unwrap_or(0).clamp(1 - total, total - 1);
        rest += credit.first;
    }
    // The rest is spread over all by weight; what the division leaves goes to the first few.
    let whole = rest;
    for candidate in choice.candidates.iter().filter(|candidate| candidate.weight > 0) {
        let Some(credit) = credits.get_mut(candidate.slot) else { continue };
        let part = whole * i64::from(candidate.weight) / total.max(1);
        credit.first -= part;
        rest -= part;
    }
    for candidate in choice.candidates.iter().filter(|candidate| candidate.weight > 0) {
        let Some(credit) = credits.get_mut(candidate.slot) else { continue };
        credit.first -= rest.signum();
        rest -= rest.signum();
    }
}
