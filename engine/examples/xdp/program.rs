//! X3: the XDP program on one packet, run by the kernel (BPF_PROG_TEST_RUN), against a program that does
//! nothing.

use crate::scene::{local, packet};
use engine::device::xdp::attachment::Attachment;
use engine_sys::xdp::run::{Run, run};
use engine_sys::xdp::{Bind, Sizes, Umem, XdpSocket};
use std::collections::HashSet;

/// Nanoseconds beyond those of a program that does nothing.
#[derive(Debug)]
pub(crate) struct Nanoseconds {
    /// On a packet that is somebody else's: TCP to the same address.
    pub(crate) foreign: i64,
    /// On UDP to the same address that is somebody else's, too.
    pub(crate) foreign_udp: i64,
    /// On one of ours.
    pub(crate) ours: i64,
    /// The floor itself.
    pub(crate) floor: i64,
}

/// Runs each `times` a round.
///
/// # Errors
/// In words: no rights, mostly; or the program does not decide as it should.
pub(crate) fn nanoseconds(times: u32) -> Result<Nanoseconds, String> {
    let text = |error: std::io::Error| error.to_string();
    let (floor, mut attachment) = (Attachment::load_floor()?, Attachment::load()?);
    attachment.serve([2, 0, 0, 0, 0, 1], HashSet::new(), std::iter::once(local()))?;
    // The made-up packets come from queue 0 of the loopback interface.
    let umem = Umem::new(64, 64).map_err(text)?;
    let sizes = Sizes { receive: 64, transmit: 64 };
    let socket = XdpSocket::open(0, umem.memory(), LOOPBACK, 0, sizes, Bind::Copy).map_err(text)?;
    attachment.set_socket(0, socket.fd().ok_or("no descriptor")?)?;

    let ours = packet(&[0x41; 800]);
    let (mut tcp, mut udp) = (ours.clone(), ours.clone());
    tcp[PROTOCOL_AT] = 6;
    udp[PORT_AT] ^= 0xff;
    let cases =
        [(&floor, &ours, PASS), (&attachment, &tcp, PASS), (&attachment, &udp, PASS), (&attachment, &ours, REDIRECT)];
    // The least of several: what disturbs only adds.
    let mut least = [i64::MAX; 4];
    for _ in 0..ROUNDS {
        for (least, (program, packet, action)) in least.iter_mut().zip(&cases) {
            let Run { action: decided, nanoseconds } = run(program.descriptor()?, packet, times).map_err(text)?;
            if decided != *action {
                return Err(format!("decided {decided} where {action} is right"));
            }
            *least = (*least).min(i64::from(nanoseconds));
        }
    }
    let [floor, foreign, foreign_udp, ours] = least;
    Ok(Nanoseconds { foreign: foreign - floor, foreign_udp: foreign_udp - floor, ours: ours - floor, floor })
}

const ROUNDS: usize = 9;
const LOOPBACK: u32 = 1;
const PROTOCOL_AT: usize = 23;
const PORT_AT: usize = 36;
/// XDP_PASS and XDP_REDIRECT.
const PASS: u32 = 2;
const REDIRECT: u32 = 4;
