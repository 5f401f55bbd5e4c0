//! Frames through a ring: intact, in order, shed by class.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use proptest::prelude::*;
use std::net::SocketAddr;

fn frame(bytes: &[u8]) -> Frame<'_> {
    Frame {
        listener: 3,
        local: SocketAddr::from(([192, 0, 2, 1], 5060)),
        peer: "[2001:db8::7]:5070".parse().unwrap(),
        flow: 9,
        received: Mono(77),
        bytes,
    }
}

#[test]
fn carries_all_that_a_frame_says() {
    let (mut sender, mut receiver) = pair(ShardId(4), 0);
    assert!(receiver.is_empty());
    assert!(sender.send(Class::Other, &frame(b"OPTIONS")));
    assert!(!receiver.is_empty());
    assert_eq!(receiver.from(), ShardId(4));
    let read = receiver.read(|got| {
        let sent = frame(b"OPTIONS");
        assert_eq!((got.listener, got.local, got.peer), (sent.listener, sent.local, sent.peer));
        assert_eq!((got.flow, got.received, got.bytes), (sent.flow, sent.received, sent.bytes));
    });
    assert!(read && receiver.is_empty());
    assert!(!receiver.read(|_| panic!("there is no other")));
}

#[test]
fn sheds_new_calls_first_then_datagrams_and_streams_only_when_full() {
    let (mut sender, mut receiver) = pair(ShardId(0), 0);
    let message = vec![1; 1_000];
    let mut accepted = [0, 0, 0];
    for (index, class) in [Class::NewCall, Class::Other, Class::Stream].into_iter().enumerate() {
        while sender.send(class, &frame(&message)) {
            accepted[index] += 1;
        }
    }
    let total = accepted.iter().sum::<usize>();
    assert_eq!(total, RING_BYTES_MIN / 1_080, "stream messages fill the ring");
    assert!((total / 2 - 2..=total / 2 + 2).contains(&accepted[0]), "{accepted:?}");
    assert!(accepted[1] > total / 3 && accepted[2] > total / 20, "{accepted:?}");
    let mut read = 0;
    while receiver.read(|_| {}) {
        read += 1;
    }
    assert_eq!(read, total);
    assert!(sender.send(Class::NewCall, &frame(&message)));
}

proptest! {
    #[test]
    fn comes_out_as_it_went_in(lengths in prop::collection::vec(0..65_507usize, 1..200), seed in any::<u8>()) {
        let (mut sender, mut receiver) = pair(ShardId(1), 0);
        let content = |index: usize, length: usize| -> Vec<u8> {
            (0..length).map(|byte| (byte as u8) ^ (index as u8) ^ seed).collect()
        };
        let mut read = 0;
        for (index, length) in lengths.iter().enumerate() {
            let bytes = content(index, *length);
            while !sender.send(Class::Stream, &frame(&bytes)) {
                let expected = content(read, lengths[read]);
                prop_assert!(receiver.read(|got| assert_eq!(got.bytes, expected)));
                read += 1;
            }
        }
        while let Some(length) = lengths.get(read) {
            let expected = content(read, *length);
            prop_assert!(receiver.read(|got| assert_eq!(got.bytes, expected)));
            read += 1;
        }
        prop_assert!(receiver.is_empty());
    }
}
