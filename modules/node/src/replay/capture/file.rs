//! The container: packets with their link type and time. Read as a stream; a file of any length takes the same memory.

use pcap_parser::traits::PcapNGPacketBlock as _;
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// First octets of pcap, in both orders and precisions, and of pcapng.
const MAGICS: [[u8; 4]; 5] = [
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0x0a, 0x0d, 0x0d, 0x0a],
];

/// What is read at once, and the longest block of a file that is believed (pcapng blocks hold a packet each).
const BUFFER_BYTES: usize = 1 << 20;
const BLOCK_BYTES_MAX: usize = 16 << 20;

/// Whether a file begins as a capture does.
pub(in crate::replay) fn is_capture(path: &Path) -> io::Result<bool> {
    let mut magic = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut magic)?;
    Ok(MAGICS.iter().any(|known| magic == known))
}

/// One packet.
pub(super) struct Packet<'p> {
    pub(super) link: Linktype,
    /// Microseconds since 1970; `None`: its block has no time.
    pub(super) at_us: Option<u64>,
    pub(super) octets: &'p [u8],
}

/// An interface of pcapng.
struct Interface {
    link: Linktype,
    /// Units a second, and seconds to be added.
    resolution: u64,
    offset: i64,
}

/// Calls `each` with every packet.
///
/// # Errors
/// The file cannot be read, or is damaged: how far it was read is said.
pub(super) fn read(path: &Path, each: &mut dyn FnMut(&Packet<'_>)) -> io::Result<()> {
    let mut reader = create_reader(BUFFER_BYTES, File::open(path)?).map_err(|error| odd(&error, 0))?;
    let mut kinds = Kinds { legacy: None, interfaces: Vec::new() };
    let (mut packets, mut room) = (0_u64, BUFFER_BYTES);
    loop {
        let grows = match reader.next() {
            Ok((length, block)) => {
                kinds.block(&block, &mut |packet| {
                    packets += 1;
                    each(packet);
                });
                reader.consume(length);
                continue;
            }
            // WHY no error: a capture that was cut while it ran ends so.
            Err(PcapError::Eof | PcapError::UnexpectedEof) => return Ok(()),
            Err(PcapError::Incomplete(_)) => false,
            Err(PcapError::BufferTooSmall) => true,
            Err(error) => return Err(odd(&error, packets)),
        };
        room *= if grows { 2 } else { 1 };
        if room > BLOCK_BYTES_MAX || grows && !reader.grow(room) {
            return Err(io::Error::other(format!("after packet {packets}: a block longer than any packet")));
        }
        reader.refill().map_err(|error| odd(&error, packets))?;
    }
}

fn odd<I: std::fmt::Debug>(error: &PcapError<I>, packets: u64) -> io::Error {
    let why = match error {
        PcapError::Eof => "it is empty".to_owned(),
        PcapError::ReadError => "it cannot be read".to_owned(),
        PcapError::HeaderNotRecognized => "it is no capture".to_owned(),
        _ => "it is damaged; what came before can be cut out with `editcap`".to_owned(),
    };
    io::Error::other(format!("after packet {packets}: {why}"))
}

/// How packets are to be read.
struct Kinds {
    /// Of pcap: link type, and whether its fractions are nanoseconds.
    legacy: Option<(Linktype, bool)>,
    /// Of pcapng, by number.
    interfaces: Vec<Interface>,
}

/// Most interfaces of a section that are kept.
const INTERFACES_MAX: usize = 1_024;

impl Kinds {
    fn block(&mut self, block: &PcapBlockOwned<'_>, each: &mut dyn FnMut(&Packet<'_>)) {
        match block {
            PcapBlockOwned::LegacyHeader(header) => {
                self.legacy = Some((header.network, header.is_nanosecond_precision()));
            }
            PcapBlockOwned::Legacy(packet) => {
                let Some((link, nanoseconds)) = self.legacy else { return };
                let fraction = u64::from(packet.ts_usec) / if nanoseconds { 1_000 } else { 1 };
                let at_us = Some(u64::from(packet.ts_sec) * 1_000_000 + fraction);
                each(&Packet { link, at_us, octets: packet.data });
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => self.interfaces.clear(),
            PcapBlockOwned::NG(Block::InterfaceDescription(about)) if self.interfaces.len() < INTERFACES_MAX => {
                let resolution = about.ts_resolution().filter(|resolution| *resolution > 0).unwrap_or(1_000_000);
                self.interfaces.push(Interface { link: about.linktype, resolution, offset: about.ts_offset() });
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let interface = usize::try_from(packet.if_id).ok().and_then(|index| self.interfaces.get(index));
                let Some(interface) = interface else { return };
                let time = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                let at_us = interface.micros(time);
                each(&Packet { link: interface.link, at_us, octets: packet.packet_data() });
            }
            PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                let Some(interface) = self.interfaces.first() else { return };
                each(&Packet { link: interface.link, at_us: None, octets: packet.packet_data() });
            }
            PcapBlockOwned::NG(_) => {}
        }
    }
}

impl Interface {
    fn micros(&self, time: u64) -> Option<u64> {
        let whole = i64::try_from(time / self.resolution).ok()?.checked_add(self.offset)?;
        let part = u128::from(time % self.resolution) * 1_000_000 / u128::from(self.resolution);
        u64::try_from(whole).ok()?.checked_mul(1_000_000)?.checked_add(u64::try_from(part).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_resolution() {
        let interface = |resolution, offset| Interface { link: Linktype(1), resolution, offset };
        assert_eq!(interface(1_000_000, 0).micros(1_700_000_000_000_007), Some(1_700_000_000_000_007));
        assert_eq!(interface(1_000_000_000, 10).micros(5_000_001_999), Some(15_000_001));
        assert_eq!(interface(1 << 10, 0).micros(1 << 9), Some(500_000));
        assert_eq!(interface(1, -7).micros(3), None);
    }
}
