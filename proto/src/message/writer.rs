//! [`Writer`]: octets into a buffer that the caller owns. Never allocates, never panics.

use core::net::{IpAddr, SocketAddr};

/// The buffer was too small, or edits came out of order: what was written must not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

/// Writes to the front of a buffer. What does not fit is not written, and that is remembered:
/// [`Writer::finish`] says so, once, at the end.
#[derive(Debug)]
pub struct Writer<'o> {
    out: &'o mut [u8],
    /// INVARIANT: `len <= out.len()`.
    len: usize,
    failed: bool,
}

impl<'o> Writer<'o> {
    /// Over `out`, from its first octet.
    pub fn new(out: &'o mut [u8]) -> Writer<'o> {
        Writer { out, len: 0, failed: false }
    }

    /// Writes `bytes`, whole or not at all.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        match self.out.get_mut(self.len..).and_then(|room| room.get_mut(..bytes.len())) {
            Some(room) if !self.failed => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            _ => self.failed = true,
        }
    }

    /// Writes the first `length` of some octets. WHY all of them are copied where there is room: that is one
    /// instruction, and what comes next is written over the others.
    #[inline(always)]
    fn put_first<const N: usize>(&mut self, text: &[u8; N], length: usize) {
        match self.out.get_mut(self.len..self.len.wrapping_add(N)) {
            Some(room) if !self.failed && length <= N => {
                room.copy_from_slice(text);
                self.len = self.len.wrapping_add(length);
            }
            _ => self.put(text.get(..length).unwrap_or_default()),
        }
    }

    /// Writes one octet.
    #[inline]
    pub fn byte(&mut self, octet: u8) {
        match self.out.get_mut(self.len) {
            Some(room) if !self.failed => {
                *room = octet;
                self.len += 1;
            }
            _ => self.failed = true,
        }
    }

    /// Writes a number in decimal.
    pub fn decimal(&mut self, number: u64) {
        if let Ok(small) = u8::try_from(number) {
            let (text, length) = &DOTTED[usize::from(small)];
            return self.put_first(text, usize::from(length - 1));
        }
        if number < 10_000 {
            return self.port(number as u32);
        }
        const DIGITS_MAX: usize = 20;
        let mut text = [0; DIGITS_MAX];
        let mut rest = number;
        let mut start = DIGITS_MAX;
        for digit in text.iter_mut().rev() {
            // The remainder is below 10.
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            start -= 1;
            if rest == 0 {
                break;
            }
        }
        self.put(text.get(start..).unwrap_or_default());
    }

    /// Writes a number of three or four digits, as ports mostly are.
    #[inline]
    fn port(&mut self, number: u32) {
        let (high, low) = (PAIRS[(number / 100 % 100) as usize], PAIRS[(number % 100) as usize]);
        let [first, second] = high;
        let [third, fourth] = low;
        match number < 1_000 {
            true => self.put_first(&[second, third, fourth, 0], 3),
            false => self.put_first(&[first, second, third, fourth], 4),
        }
    }

    /// Writes the lowest `width` (at most 16) hexadecimal digits of a number, in lower case.
    pub fn hex(&mut self, number: u64, width: usize) {
        let [high, low] = [number >> 32, number & 0xffff_ffff].map(hex_digits);
        let text = u128::from(high) << 64 | u128::from(low);
        self.put(text.to_be_bytes().get(16 - width.min(16)..).unwrap_or_default());
    }

    /// Writes an address, an IPv6 one in brackets: a host of a URI or of a sent-by.
    pub fn ip(&mut self, address: IpAddr) {
        if address.is_ipv6() {
            self.byte(b'[');
            self.ip_bare(address);
            self.byte(b']');
        } else {
            self.ip_bare(address);
        }
    }

    /// Writes an address without brackets, as `received` has it (RFC 5118 §4.5).
    pub fn ip_bare(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => {
                let mut text = [0; 16];
                let mut len = 0;
                for part in address.octets() {
                    let (part, part_len) = DOTTED[usize::from(part)];
                    if let Some(room) = text.get_mut(len..len + part.len()) {
                        room.copy_from_slice(&part);
                    }
                    len += usize::from(part_len);
                }
                // Without the last dot.
                self.put_first(&text, len - 1);
            }
            IpAddr::V6(address) => {
                use core::fmt::Write as _;
                // Failure is remembered in `self`.
                let _ = write!(self, "{address}");
            }
        }
    }

    /// Writes host and port of an address: `192.0.2.1:5060`, `[2001:db8::1]:5060`.
    pub fn sent_by(&mut self, address: SocketAddr) {
        self.ip(address.ip());
        self.byte(b':');
        self.decimal(u64::from(address.port()));
    }

    /// Octets written so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is written yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is written so far.
    pub fn written(&self) -> &[u8] {
        self.out.get(..self.len).unwrap_or_default()
    }

    /// Ends the writing; returns the number of octets.
    ///
    /// # Errors
    /// Something did not fit, or an edit was out of order.
    pub fn finish(self) -> Result<usize, Overflow> {
        if self.failed { Err(Overflow) } else { Ok(self.len) }
    }

    /// Remembers that the output is not what was meant.
    pub(crate) fn fail(&mut self) {
        self.failed = true;
    }
}

/// Each part of a dotted quad with a dot behind it, and the length of both.
static DOTTED: [([u8; 4], u8); 256] = {
    let mut table = [([0; 4], 0); 256];
    let mut part = 0;
    while part < table.len() {
        let hundreds = b'0' + (part / 100) as u8;
        let tens = b'0' + (part / 10 % 10) as u8;
        let ones = b'0' + (part % 10) as u8;
        table[part] = match part {
            0..10 => ([ones, b'.', 0, 0], 2),
            10..100 => ([tens, ones, b'.', 0], 3),
            _ => ([hundreds, tens, ones, b'.'], 4),
        };
        part += 1;
    }
    table
};

/// The numbers below a hundred in two digits each.
static PAIRS: [[u8; 2]; 100] = {
    let mut table = [[0; 2]; 100];
    let mut number = 0;
    while number < table.len() {
        table[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    table
};

/// The eight hexadecimal digits of a number below 2^32, the first in the highest byte: one nibble to a
/// byte, and what lies between `9` and `a` added where the nibble is above nine.
const fn hex_digits(number: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let pairs = (number << 16 | number) & 0x0000_ffff_0000_ffff;
    let bytes = (pairs << 8 | pairs) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (bytes << 4 | bytes) & (ONES * 0x0f);
    let letters = ((nibbles + ONES * 6) >> 4) & ONES;
    nibbles + ONES * b'0' as u64 + letters * (b'a' - b'9' - 1) as u64
}

impl core::fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.put(text.as_bytes());
        if self.failed { Err(core::fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use std::format;
    use std::string::String;

    fn written(write: impl FnOnce(&mut Writer<'_>)) -> String {
        let mut room = [0; 128];
        let mut out = Writer::new(&mut room);
        write(&mut out);
        let text = String::from_utf8(out.written().to_vec()).unwrap();
        assert_eq!(out.finish(), Ok(text.len()));
        text
    }

    #[test]
    fn numbers_and_addresses() {
        for part in 0..=255u8 {
            let text = format!("{part}.{}.0.{part}", 255 - part);
            assert_eq!(written(|out| out.ip([part, 255 - part, 0, part].into())), text);
            let number = u64::from(part).wrapping_mul(0x0123_4567_89ab_cdef);
            assert_eq!(written(|out| out.hex(number, 16)), format!("{number:016x}"));
        }
        for number in [0, 9, 10, 256, 999, 1_000, 5_060, 9_999, 10_000, 65_535, 4_294_967_296, u64::MAX] {
            assert_eq!(written(|out| out.decimal(number)), format!("{number}"));
        }
        assert_eq!(written(|out| out.hex(0xfe_dcba, 4)), "dcba");
        assert_eq!(written(|out| out.hex(0xa, 16)), "000000000000000a");
        assert_eq!(written(|out| out.hex(0xa, 0)), "");
        assert_eq!(written(|out| out.ip([192, 0, 2, 255].into())), "192.0.2.255");
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(written(|out| out.ip(v6)), "[2001:db8::1]");
        assert_eq!(written(|out| out.ip_bare(v6)), "2001:db8::1");
        assert_eq!(written(|out| out.sent_by((v6, 5060).into())), "[2001:db8::1]:5060");
        let widest: IpAddr = "1111:2222:3333:4444:5555:6666:7777:8888".parse().unwrap();
        assert_eq!(written(|out| out.sent_by((widest, 65535).into())), format!("[{widest}]:65535"));
    }

    #[test]
    fn what_does_not_fit_is_remembered() {
        let mut room = [0; 3];
        let mut out = Writer::new(&mut room);
        out.put(b"ab");
        out.put(b"cd");
        out.put(b"e");
        assert_eq!(out.written(), b"ab", "nothing is written after a gap");
        assert_eq!(out.finish(), Err(Overflow));
        let mut out = Writer::new(&mut room);
        out.put(b"abc");
        out.put(b"");
        assert_eq!(out.finish(), Ok(3));
    }
}
