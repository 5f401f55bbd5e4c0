//! No frame is lost, doubled, or reached by two.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
use super::*;

fn lend_one(umem: &mut Umem, to: u8) -> u64 {
    umem.lend_free(to, 1).next().unwrap()
}

/// The lengths of the packets that come of these descriptors.
fn receive(umem: &mut Umem, socket: u8, descriptors: &[(u64, u32, bool)]) -> Vec<usize> {
    let mut received = Received::new(Arc::clone(umem.memory()), 4);
    let count = umem.reclaim_received(&mut received, socket, descriptors.iter().copied());
    let lengths = (0..count).map(|at| received.get(at).unwrap().len()).collect();
    umem.free_received(&mut received, usize::MAX);
    lengths
}

#[test]
fn every_frame_is_somewhere_and_only_there() {
    let mut umem = Umem::new(4, 4).unwrap();
    let frame = umem.take().unwrap();
    let second = umem.take().unwrap();
    umem.free(frame);
    let address = lend_one(&mut umem, 0);
    assert_eq!(umem.account(), Account { frames: 8, free: 6, held: 1, filling: 1, ..Account::default() });
    assert_eq!(umem.reclaim_sent(0, [address].into_iter()), 0, "another ring");
    assert!(receive(&mut umem, 1, &[(address, 60, false)]).is_empty(), "another socket");
    assert!(receive(&mut umem, 0, &[(1 << 50, 60, false)]).is_empty(), "no such frame");
    let twice = [(address + 256, 60, false), (address, 60, false)];
    assert_eq!(receive(&mut umem, 0, &twice), [60], "twice");
    let address = umem.lend(second, 3);
    assert_eq!(umem.account(), Account { frames: 8, free: 7, sending: 1, refused: 4, ..Account::default() });
    assert_eq!(umem.reclaim_sent(3, [address, address].into_iter()), 1);
    assert_eq!(umem.account(), Account { frames: 8, free: 8, refused: 5, ..Account::default() });
    assert_eq!(umem.audit(), Ok(umem.account()));
}

#[test]
fn a_packet_never_reaches_beyond_its_frame() {
    let mut umem = Umem::new(4, 4).unwrap();
    for (offset, length, partial, read) in [
        (256, 1_792, false, 1_792),
        (256, 1_793, false, 0),
        (0, 2_048, false, 2_048),
        (2_047, 1, false, 1),
        (2_047, u32::MAX, false, 0),
        (256, 60, true, 0),
    ] {
        let address = lend_one(&mut umem, 0) + offset;
        assert_eq!(receive(&mut umem, 0, &[(address, length, partial)]), [read], "{offset} {length}");
    }
}

#[test]
fn a_closed_sockets_frames_come_back() {
    let mut umem = Umem::new(4, 4).unwrap();
    lend_one(&mut umem, 0);
    lend_one(&mut umem, 1);
    let frame = umem.take().unwrap();
    umem.lend(frame, 0);
    umem.reclaim_all(0);
    assert_eq!(umem.audit(), Ok(Account { frames: 8, free: 7, filling: 1, ..Account::default() }));
    assert_eq!(umem.audit(), Ok(umem.account()));
}

#[test]
fn frames_do_not_overlap() {
    let mut umem = Umem::new(1, 1).unwrap();
    let (mut first, mut second) = (umem.take().unwrap(), umem.take().unwrap());
    let memory = Arc::clone(umem.memory());
    memory.bytes_mut(&mut first).fill(1);
    memory.bytes_mut(&mut second).fill(2);
    assert!(memory.bytes(&first).iter().all(|byte| *byte == 1));
    assert_eq!(memory.bytes(&second).len(), FRAME_BYTES);
}

#[test]
#[should_panic(expected = "another memory")]
fn a_frame_is_good_in_its_own_memory_only() {
    let (mut one, other) = (Umem::new(1, 1).unwrap(), Umem::new(1, 1).unwrap());
    let frame = one.take().unwrap();
    other.memory().bytes(&frame);
}

#[test]
#[should_panic(expected = "another memory")]
fn packets_go_back_to_their_own_memory_only() {
    let (mut one, other) = (Umem::new(1, 1).unwrap(), Umem::new(1, 1).unwrap());
    one.free_received(&mut Received::new(Arc::clone(other.memory()), 1), 1);
}
