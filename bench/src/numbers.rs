//! Which number the callers of a shard call or register next.

/// Numbers in the order in which they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// The lowest.
    pub first: u64,
    /// So many are used, each once, in mixed order; then they come again. `None`: every number is new.
    pub count: Option<u32>,
    /// Place of this shard's first number among those of all shards.
    pub from: u64,
    /// Added from one to the next.
    pub step: u64,
}

/// A prime: places times this, modulo a count that it does not divide, come in mixed order and each once.
const MIX: u64 = 2_654_435_761;

impl Numbers {
    /// From `first` on, for a single shard.
    pub const fn from(first: u64, count: Option<u32>) -> Self {
        Numbers { first, count, from: 0, step: 1 }
    }

    /// The share of shard `index` of so many.
    #[must_use]
    pub const fn of_shard(self, index: u64, shards: u64) -> Self {
        Numbers { from: index, step: shards, ..self }
    }

    /// The number of the start with this index.
    pub const fn of(&self, index: u64) -> u64 {
        let place = self.from.wrapping_add(index.wrapping_mul(self.step));
        let place = match self.count {
            None | Some(0) => place,
            // Both factors are below 2^32.
            Some(count) => place % count as u64 * MIX % count as u64,
        };
        self.first.wrapping_add(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_number_comes_once_a_round_though_shards_share_them() {
        let all = Numbers::from(100, Some(1_000));
        let shards = [all.of_shard(0, 2), all.of_shard(1, 2)];
        let round = |of: std::ops::Range<u64>| -> Vec<u64> {
            of.flat_map(|index| shards.map(|shard| shard.of(index))).collect()
        };
        let (first, second) = (round(0..500), round(500..1_000));
        assert_eq!(first.iter().copied().collect::<BTreeSet<_>>(), (100..1_100).collect());
        assert_eq!(first, second);
        assert!(first.windows(2).filter(|pair| pair[1] == pair[0] + 1).count() < 10, "mixed");
    }

    #[test]
    fn without_a_count_every_number_is_new() {
        let numbers = Numbers::from(7, None).of_shard(1, 3);
        assert_eq!([0, 1, 2].map(|index| numbers.of(index)), [8, 11, 14]);
    }
}
