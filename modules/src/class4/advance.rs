//! After which failures the next vendor's turn comes.
//!
//! A Q.850 cause in a Reason header (RFC 3326) says more than the code and outranks it, 31 (normal, unspecified)
//! and 127 (interworking, unspecified) aside. 3xx is never followed; 6xx ends the search (RFC 3261 §16.7 step 5).

use proto::message::{HeaderName, Message};
use tuning::StatusCodes;

/// The rule of one vendor.
#[derive(Clone, Copy, Debug)]
pub struct Advance {
    codes: StatusCodes,
    /// One bit a cause.
    causes: u128,
}

/// Causes that say nothing.
const UNSPECIFIED: [u8; 2] = [31, 127];

impl Advance {
    /// After these codes and these causes (1 to 127).
    pub fn new(codes: StatusCodes, causes: &[u16]) -> Self {
        let causes = causes.iter().filter(|cause| **cause < 128).fold(0, |all, cause| all | 1_u128 << cause);
        Advance { codes, causes }
    }

    /// Whether the next vendor is tried after this final response. `ringing`: an 18x came before it.
    pub fn after(&self, status: u16, cause: Option<u8>, ringing: bool) -> bool {
        if (300..400).contains(&status) || status >= 600 {
            return false;
        }
        match cause.filter(|cause| !UNSPECIFIED.contains(cause)) {
            Some(cause) => self.causes & 1_u128.checked_shl(u32::from(cause)).unwrap_or(0) != 0,
            None => self.codes.contains(status) && !(status == 408 && ringing),
        }
    }
}

/// The Q.850 cause of a response. `None`: it has none.
pub fn cause(response: &Message<'_>) -> Option<u8> {
    response.all(HeaderName::Reason).find_map(|field| {
        let values = field.value.of(response.bytes());
        values.split(|byte| *byte == b',').find_map(cause_of)
    })
}

/// Of one value, such as `Q.850;cause=34;text="no circuit"`.
fn cause_of(value: &[u8]) -> Option<u8> {
    let mut parts = value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    parts.next().filter(|protocol| protocol.eq_ignore_ascii_case(b"Q.850"))?;
    parts.find_map(|part| {
        let at = part.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (part.get(..at)?.trim_ascii(), part.get(at + 1..)?.trim_ascii());
        let cause = name.eq_ignore_ascii_case(b"cause").then(|| std::str::from_utf8(value).ok()?.parse().ok());
        cause.flatten().filter(|cause| *cause < 128)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proto::message::Arena;

    fn default() -> Advance {
        let codes = StatusCodes::of_ranges(&[401..=403, 407..=408, 415..=415, 488..=488, 500..=599]);
        Advance::new(codes, &[3, 34, 38, 41, 42, 44])
    }

    #[test]
    fn the_default_table() {
        let advance = |status, cause| default().after(status, cause, false);
        for status in [401, 402, 403, 407, 408, 415, 488, 500, 501, 503, 580, 599] {
            assert!(advance(status, None), "{status}");
        }
        for status in [300, 302, 400, 404, 410, 480, 484, 486, 487, 600, 603, 607, 608] {
            assert!(!advance(status, None), "{status}");
        }
        for cause in [3, 34, 38, 41, 42, 44] {
            assert!(advance(404, Some(cause)) && advance(480, Some(cause)) && advance(486, Some(cause)), "{cause}");
            assert!(!advance(302, Some(cause)) && !advance(603, Some(cause)), "{cause}");
        }
        for cause in [0, 1, 16, 17, 21, 28] {
            assert!(!advance(503, Some(cause)) && !advance(404, Some(cause)), "{cause} outranks the code");
        }
        assert!(advance(503, Some(31)) && advance(500, Some(127)) && !advance(486, Some(31)), "these say nothing");
        assert!(!default().after(408, None, true) && default().after(503, None, true));
    }

    #[test]
    fn causes_are_read_from_reasons() {
        let read = |reason: &str| {
            let text = format!("SIP/2.0 503 X\r\n{reason}Content-Length: 0\r\n\r\n");
            let mut arena = Arena::new();
            cause(&Message::parse(text.as_bytes(), &mut arena).unwrap())
        };
        assert_eq!(read("Reason: Q.850;cause=34;text=\"no circuit\"\r\n"), Some(34));
        assert_eq!(read("Reason: SIP;cause=503;text=\"x\" , q.850 ; text=\"a\" ; Cause = 3\r\n"), Some(3));
        assert_eq!(read("Reason: SIP;cause=486\r\nReason: Q.850;cause=17\r\n"), Some(17));
        for none in [
            "",
            "Reason: Q.850\r\n",
            "Reason: Q.850;cause=x\r\n",
            "Reason: Q.850;cause=300\r\n",
            "Reason: SIP;cause=34\r\n",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
