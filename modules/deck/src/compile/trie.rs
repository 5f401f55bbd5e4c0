//! Builds the trie that `image::trie` reads.

use crate::code::Code;
use crate::image::trie::{BELOW, DIRECT_SLOTS, DIRECT_SYMBOLS, LEAF, LEAF_CODES_MAX, NODE_SLOTS, NODE_SYMBOLS, VALUES};

/// Both sections of a trie.
#[derive(Debug, Default)]
pub(super) struct BuiltTrie {
    pub(super) direct: Vec<u8>,
    pub(super) nodes: Vec<u8>,
}

/// Builds from codes in their order, each once, with what they stand for (not 0, below [`VALUES`]).
/// `None` when there are more nodes than 30 bits count. Without codes both sections are empty.
pub(super) fn build(entries: &[(Code, u32)]) -> Option<BuiltTrie> {
    if entries.is_empty() {
        return Some(BuiltTrie::default());
    }
    let mut nodes = Vec::new();
    let mut direct = vec![0_u32; DIRECT_SLOTS];
    fill(&mut nodes, entries, 0, DIRECT_SYMBOLS, &mut direct)?;
    let direct = direct.iter().flat_map(|value| value.to_le_bytes()).collect();
    Some(BuiltTrie { direct, nodes })
}

/// Fills the slots of a step that takes `symbols` symbols from `depth` on; longer codes become leaves and nodes.
fn fill(nodes: &mut Vec<u8>, entries: &[(Code, u32)], depth: usize, symbols: usize, slots: &mut [u32]) -> Option<()> {
    let end = depth + symbols;
    let slot_of = |code: Code| (depth..end).fold(0, |slot, place| slot * 11 + code.symbol(place));
    let mut rest = entries;
    // INVARIANT: a code stands before those that it begins, so what is pushed down is overwritten in order.
    while let Some(((code, value), after)) = rest.split_first() {
        let slot = slot_of(*code);
        if code.len() <= end {
            let covered = 11_usize.pow(u32::try_from(end - code.len()).ok()?);
            slots.get_mut(slot..slot + covered)?.fill(*value);
            rest = after;
        } else {
            let group = rest.partition_point(|(other, _)| code.first(end).begins(*other));
            let (below, after) = rest.split_at(group);
            let pushed_down = *slots.get(slot)?;
            *slots.get_mut(slot)? = if group <= LEAF_CODES_MAX {
                write_leaf(nodes, below, pushed_down)?
            } else {
                let mut inner = [pushed_down; NODE_SLOTS];
                fill(nodes, below, end, NODE_SYMBOLS, &mut inner)?;
                write_node(nodes, &inner)?
            };
            rest = after;
        }
    }
    Some(())
}

/// Place of what is appended next.
fn next_place(nodes: &[u8]) -> Option<u32> {
    u32::try_from(nodes.len() / 8).ok().filter(|place| *place < VALUES)
}

/// Appends a leaf and returns its value.
fn write_leaf(nodes: &mut Vec<u8>, codes: &[(Code, u32)], shorter: u32) -> Option<u32> {
    let place = next_place(nodes)?;
    nodes.extend_from_slice(&u32::try_from(codes.len()).ok()?.to_le_bytes());
    nodes.extend_from_slice(&shorter.to_le_bytes());
    nodes.extend(codes.iter().flat_map(|(code, _)| code.packed().to_le_bytes()));
    nodes.extend(codes.iter().flat_map(|(_, value)| value.to_le_bytes()));
    nodes.resize(nodes.len().next_multiple_of(8), 0);
    Some(LEAF | place)
}

/// Appends a node and returns its value.
fn write_node(nodes: &mut Vec<u8>, slots: &[u32; NODE_SLOTS]) -> Option<u32> {
    let place = next_place(nodes)?;
    let mut differing = 0_u128;
    let mut values = Vec::with_capacity(NODE_SLOTS);
    for (slot, value) in slots.iter().enumerate() {
        if values.last() != Some(value) {
            differing |= 1 << slot;
            values.push(*value);
        }
    }
    nodes.extend_from_slice(&differing.to_le_bytes());
    nodes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    nodes.resize(nodes.len().next_multiple_of(8), 0);
    Some(BELOW | place)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use crate::image::trie::Trie;
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
            let trie = Trie { direct: &built.direct, nodes: &built.nodes };
            // Codes themselves are asked too, and each a digit longer.
            let mut all: Vec<String> = numbers;
            all.extend(codes.keys().cloned());
            all.extend(codes.keys().filter(|text| text.len() < 15).map(|text| format!("{text}2")));
            let asked: Vec<Code> = all.iter().map(|text| code(text)).collect();
            let mut found = vec![7; asked.len()];
            trie.find_all(&asked, &mut found);
            for (number, found) in all.iter().zip(found) {
                let longest = (1..=number.len()).rev().find_map(|length| codes.get(&number[..length]));
                prop_assert_eq!(found, longest.copied().unwrap_or(0), "{}", number);
                prop_assert_eq!(trie.find(code(number)), found);
            }
        }

        #[test]
        fn any_octets_are_a_trie(direct: Vec<u8>, nodes: Vec<u8>, number in "[0-9]{1,15}") {
            let trie = Trie { direct: &direct, nodes: &nodes };
            let mut found = [0];
            trie.find_all(&[code(&number)], &mut found);
            prop_assert!(found[0] < VALUES);
            prop_assert_eq!(trie.find(code(&number)), found[0]);
        }
    }
}
