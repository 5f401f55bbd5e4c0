//! Questions about the host that no file of /proc or /sys answers: the clock's state, and what a network
//! card says of its receive queues. They change nothing; `tandem doctor` asks them.

use std::io;
use std::os::fd::AsRawFd;

/// What the kernel says of its clock (adjtimex(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockState {
    /// Something (NTP, PTP) keeps it.
    pub synchronised: bool,
    /// Estimated error, in microseconds; grows while nothing keeps the clock.
    pub error_micros: u64,
}

/// Receive queues of a network card (ethtool's "channels").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// In use.
    pub now: u32,
    /// That the card could have.
    pub most: u32,
}

/// From the kernel's ethtool.h.
const ETHTOOL_GRXFH: u32 = 0x29;
const ETHTOOL_GCHANNELS: u32 = 0x3c;
const UDP_V4_FLOW: u32 = 0x02;
/// Bits of a flow hash: source and destination address, source and destination port.
const RXH_L4_B_0_1: u64 = 1 << 6;
const RXH_L4_B_2_3: u64 = 1 << 7;

/// The state of the clock.
///
/// # Errors
/// When a seccomp filter forbids asking.
pub fn clock_state() -> io::Result<ClockState> {
    // SAFETY: all-zero is a valid timex, and `modes` 0 means that nothing is set.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `state` is a valid timex to write to.
    let answer = unsafe { libc::adjtimex(&raw mut state) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    let synchronised = answer != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0;
    Ok(ClockState { synchronised, error_micros: u64::try_from(state.esterror).unwrap_or(0) })
}

/// Whether the card spreads UDP over its queues by ports too, not by addresses alone.
///
/// # Errors
/// EOPNOTSUPP when the card does not say; ENODEV when there is no such card in this network namespace.
pub fn hashes_udp_ports(card: &str) -> io::Result<bool> {
    // struct ethtool_rxnfc: command and kind of flow, then the fields; 192 bytes in all.
    let mut question = [0_u64; 24];
    question[0] = words(ETHTOOL_GRXFH, UDP_V4_FLOW);
    ask(card, &mut question)?;
    let both = RXH_L4_B_0_1 | RXH_L4_B_2_3;
    Ok(question[1] & both == both)
}

/// The card's receive queues.
///
/// # Errors
/// As [`hashes_udp_ports`].
pub fn channels(card: &str) -> io::Result<Channels> {
    // struct ethtool_channels, nine words of 32 bits: command; most rx, tx, other, combined; the same now.
    let mut question = [0_u64; 5];
    question[0] = words(ETHTOOL_GCHANNELS, 0);
    ask(card, &mut question)?;
    let word = |index: usize| {
        let bytes = question.get(index / 2).copied().unwrap_or(0).to_ne_bytes();
        let half = if index.is_multiple_of(2) { &bytes[..4] } else { &bytes[4..] };
        half.try_into().map_or(0, u32::from_ne_bytes)
    };
    Ok(Channels { now: word(5).saturating_add(word(8)), most: word(1).max(word(4)) })
}

/// Two words of 32 bits as they stand in memory.
fn words(first: u32, second: u32) -> u64 {
    let (first, second) = (first.to_ne_bytes(), second.to_ne_bytes());
    u64::from_ne_bytes([first[0], first[1], first[2], first[3], second[0], second[1], second[2], second[3]])
}

/// One ethtool question; the answer overwrites it. `question` is at least as large as the command's struct.
fn ask(card: &str, question: &mut [u64]) -> io::Result<()> {
    // SAFETY: all-zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if card.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, byte) in request.ifr_name.iter_mut().zip(card.bytes()) {
        *place = libc::c_char::from_ne_bytes([byte]);
    }
    request.ifr_ifru.ifru_data = question.as_mut_ptr().cast();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    // SAFETY: `request` names `question`, which the kernel reads and writes within the size of the
    // command's struct; both live across the call.
    let answer = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn the_clock_has_a_state() {
        let state = clock_state().unwrap();
        assert!(state.error_micros < 1 << 40);
    }

    #[test]
    fn loopback_has_no_queues_and_no_card_no_answer() {
        assert!(hashes_udp_ports("lo").is_err());
        assert_eq!(channels("no-such-card").unwrap_err().raw_os_error(), Some(libc::ENODEV));
        assert!(channels("a-name-that-is-too-long").is_err());
    }
}
