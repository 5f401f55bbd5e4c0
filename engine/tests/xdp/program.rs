//! What the XDP program decides, packet by packet, run by the kernel. Needs the rights to load BPF
//! programs; says so and passes over it without them.

use crate::scene::{local, packet};
use engine::device::xdp::attachment::{Attachment, VERDICTS};
use engine::device::xdp::packet::{HEADROOM, Headers, Summing, Tag};
use engine_sys::xdp::run::run;
use std::collections::HashSet;
use std::net::SocketAddr;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PASS: u32 = 2;

/// A datagram to us by `tags`, over IPv4 or IPv6.
fn tagged(tags: &[Tag], v6: bool) -> Vec<u8> {
    let (from, to) =
        if v6 { ("[2001:db8::7]:5060", "[2001:db8::1]:5060") } else { ("192.0.2.7:5060", "192.0.2.1:5060") };
    let headers = Headers::new(MAC, [2, 0, 0, 0, 0, 7], tags, from.parse().unwrap(), to.parse().unwrap()).unwrap();
    let mut frame = vec![0x41; HEADROOM + 300];
    headers.write(&mut frame, 300, 1, Summing::best()).unwrap();
    frame.split_off(headers.start())
}

fn changed(at: usize, value: u8) -> Vec<u8> {
    let mut packet = packet(&[0x41; 300]);
    packet[at] = value;
    packet
}

/// Packets and the counter that each must raise. `no_socket` stands for ours: nobody has opened one.
fn cases() -> Vec<(&'static str, Vec<u8>)> {
    let vlan = |id| Tag { protocol: 0x8100, id };
    let outer = Tag { protocol: 0x88a8, id: 200 };
    vec![
        ("no_socket", tagged(&[], false)),
        ("no_socket", tagged(&[], true)),
        ("no_socket", tagged(&[vlan(100)], false)),
        ("no_socket", tagged(&[outer, vlan(7)], true)),
        ("unknown_vlan", tagged(&[vlan(101)], false)),
        ("unknown_vlan", tagged(&[outer, vlan(8)], false)),
        ("unknown_vlan", tagged(&[vlan(7)], false)),
        ("not_ip", changed(13, 0x06)),
        ("not_udp", changed(23, 6)),
        ("not_udp", changed(23, 1)),
        ("ip_options", changed(14, 0x46)),
        ("fragment", changed(20, 0x20)),
        ("fragment", changed(21, 0x01)),
        ("not_served", changed(33, 2)),
        ("not_served", changed(37, 0xc5)),
        ("not_for_this_mac", changed(5, 9)),
        ("too_long", packet(&[0x41; 1_800])),
        ("cut_short", packet(b"hello")[..38].to_vec()),
        ("cut_short", tagged(&[], true)[..50].to_vec()),
    ]
}

#[test]
fn every_packet_but_ours_passes_on_and_is_counted_by_its_reason() {
    let mut attachment = match Attachment::load() {
        Ok(attachment) => attachment,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let served = [local(), "[2001:db8::1]:5060".parse::<SocketAddr>().unwrap()];
    let vlans = HashSet::from([100 << 16, 200 << 16 | 7]);
    attachment.serve(MAC, vlans, served.into_iter()).unwrap();
    for (number, (reason, packet)) in cases().into_iter().enumerate() {
        let before = attachment.counters();
        let decided = run(attachment.descriptor().unwrap(), &packet, 1).unwrap();
        assert_eq!(decided.action, PASS, "{reason}, case {number}");
        let after = attachment.counters();
        let raised: Vec<&str> = VERDICTS
            .iter()
            .zip(before.iter().zip(after))
            .filter(|(_, (before, after))| **before != *after)
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(raised, [reason], "case {number}");
    }
}

#[test]
fn an_address_that_is_ours_no_longer_is_left_to_the_kernel() {
    let mut attachment = match Attachment::load() {
        Ok(attachment) => attachment,
        Err(why) => return eprintln!("skipped: {why}"),
    };
    let count = |attachment: &mut Attachment, reason: &str| {
        let place = VERDICTS.iter().position(|name| *name == reason).unwrap();
        attachment.counters()[place]
    };
    for (served, reason) in [(vec![local()], "no_socket"), (vec![], "not_served"), (vec![local()], "no_socket")] {
        attachment.serve(MAC, HashSet::new(), served.into_iter()).unwrap();
        let before = count(&mut attachment, reason);
        run(attachment.descriptor().unwrap(), &tagged(&[], false), 1).unwrap();
        assert_eq!(count(&mut attachment, reason), before + 1, "{reason}");
    }
}
