//! Builds the table of codes that `image::code_table` reads.

use crate::code::Code;
use crate::image::code_table::{
    BUCKET_BYTES, BUCKET_CODES, CROWDED_AT, DIRECT_SLOT_BYTES, DIRECT_SLOTS, DIRECT_SYMBOLS, PROBES_MAX, VALUES_AT,
    home,
};

/// Both sections of a table of codes.
#[derive(Debug, Default)]
pub(super) struct BuiltTable {
    pub(super) direct: Vec<u8>,
    pub(super) buckets: Vec<u8>,
}

/// Codes of a bucket when all are spread evenly: three of five, so that few go on to the next.
const BUCKET_CODES_MEAN: usize = 3;

/// How often the buckets may become more, by an eighth each time.
const GROWTHS_MAX: usize = 32;

/// Builds from codes in their order, each once, with what they stand for (not 0). `None` when codes cannot be spread
/// over buckets, which nobody but an enemy brings about. Without codes both sections are empty.
pub(super) fn build(entries: &[(Code, u32)]) -> Option<BuiltTable> {
    if entries.is_empty() {
        return Some(BuiltTable::default());
    }
    let mut slots = vec![(0_u32, 0_u16); DIRECT_SLOTS];
    // INVARIANT: a code stands before those that it begins, so longer ones overwrite shorter ones.
    for (code, value) in entries {
        let slot = (0..DIRECT_SYMBOLS).fold(0, |slot, place| slot * 11 + code.symbol(place));
        match DIRECT_SYMBOLS.checked_sub(code.len()) {
            Some(open) => {
                let covered = 11_usize.pow(u32::try_from(open).ok()?);
                slots.get_mut(slot..slot + covered)?.iter_mut().for_each(|(found, _)| *found = *value);
            }
            None => slots.get_mut(slot)?.1 |= 1 << code.len(),
        }
    }
    let mut direct = Vec::with_capacity(DIRECT_SLOTS * DIRECT_SLOT_BYTES);
    for (value, lengths) in slots {
        direct.extend_from_slice(&value.to_le_bytes());
        direct.extend_from_slice(&u32::from(lengths).to_le_bytes());
    }
    let longer: Vec<_> = entries.iter().copied().filter(|(code, _)| code.len() > DIRECT_SYMBOLS).collect();
    let mut count = longer.len() / BUCKET_CODES_MEAN + 1;
    for _ in 0..GROWTHS_MAX {
        if let Some(buckets) = spread(&longer, count) {
            return Some(BuiltTable { direct, buckets });
        }
        count += count / 8 + 1;
    }
    None
}

/// Puts codes into `count` buckets; `None`: there are too many in one place.
fn spread(entries: &[(Code, u32)], count: usize) -> Option<Vec<u8>> {
    let mut buckets = vec![0; count * BUCKET_BYTES];
    let mut taken = vec![0_u8; count];
    for (code, value) in entries {
        let first = home(*code, count);
        let near = taken.get(first..count.min(first + PROBES_MAX))?;
        let bucket = first + near.iter().position(|taken| usize::from(*taken) < BUCKET_CODES)?;
        for passed in first..bucket {
            *buckets.get_mut(passed * BUCKET_BYTES + CROWDED_AT)? = 1;
        }
        let place = usize::from(*taken.get(bucket)?);
        *taken.get_mut(bucket)? += 1;
        let line = buckets.get_mut(bucket * BUCKET_BYTES..(bucket + 1) * BUCKET_BYTES)?;
        line.get_mut(place * 8..place * 8 + 8)?.copy_from_slice(&code.packed().to_le_bytes());
        let at = VALUES_AT + place * 4;
        line.get_mut(at..at + 4)?.copy_from_slice(&value.to_le_bytes());
    }
    Some(buckets)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::image::code_table::CodeTable;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn code(text: &str) -> Code {
        Code::parse(text.as_bytes()).unwrap()
    }

    proptest! {
        #[test]
        fn finds_the_longest_code(
            codes in proptest::collection::btree_map("[0-3]{1,15}|[0-9]{1,8}", 1_u32..1000, 0..200),
            numbers in proptest::collection::vec("[0-3]{1,15}|[0-9]{1,15}", 1..100),
        ) {
            let entries: BTreeMap<Code, u32> = codes.iter().map(|(text, value)| (code(text), *value)).collect();
            let entries: Vec<_> = entries.into_iter().collect();
            let built = build(&entries).unwrap();
            let table = CodeTable { direct: &built.direct, buckets: &built.buckets };
            // Codes themselves are asked too, and each a digit longer.
            let mut all: Vec<String> = numbers;
            all.extend(codes.keys().cloned());
            all.extend(codes.keys().filter(|text| text.len() < 15).map(|text| format!("{text}2")));
            let asked: Vec<Code> = all.iter().map(|text| code(text)).collect();
            let mut found = vec![7; asked.len()];
            table.find_all(&asked, &mut found);
            for (number, found) in all.iter().zip(found) {
                let longest = (1..=number.len()).rev().find_map(|length| codes.get(&number[..length]));
                prop_assert_eq!(found, longest.copied().unwrap_or(0), "{}", number);
                prop_assert_eq!(table.find(code(number)), found);
            }
        }

        #[test]
        fn any_octets_are_a_table(direct: Vec<u8>, buckets: Vec<u8>, number in "[0-9]{1,15}") {
            let table = CodeTable { direct: &direct, buckets: &buckets };
            let mut found = [0];
            table.find_all(&[code(&number)], &mut found);
            prop_assert_eq!(table.find(code(&number)), found[0]);
        }
    }

    #[test]
    fn many_codes_in_few_buckets_go_on_to_the_next() {
        let entries: Vec<_> =
            (1..=100_000_u32).map(|value| (code(&format!("{:09}", 440_000_000 + value)), value)).collect();
        let built = build(&entries).unwrap();
        let crowded = built.buckets.chunks(BUCKET_BYTES).filter(|bucket| bucket[CROWDED_AT] == 1).count();
        assert!(crowded > 0, "the way on to the next bucket was not gone");
        let table = CodeTable { direct: &built.direct, buckets: &built.buckets };
        assert!(entries.iter().all(|(code, value)| table.find(*code) == *value));
        assert_eq!(table.find(code("440200000")), 0);
    }
}
