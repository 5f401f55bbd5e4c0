//! Where a session description wants its media, and with which codecs (RFC 4566): its first stream, as it stands.
//!
//! On the path, so that nothing is joined there: formats as the media line lists them, then the `rtpmap`s, each with
//! a semicolon before it: `0 101;0 PCMU/8000;101 telephone-event/8000`.

use super::field::{Field, Fields};

/// Longest list of codecs that is recorded.
const CODECS_BYTES_MAX: usize = 512;

/// Records what the body of a message says of its media, if it is a session description.
pub(super) fn record(body: &[u8], media: Field, codecs: Field, fields: &mut Fields<'_>) {
    if !body.starts_with(b"v=") {
        return;
    }
    let stream = Stream::of(body);
    let Some((port, formats)) = stream.port.zip(stream.formats) else { return };
    if let Some(address) = stream.address {
        fields.with(media, |out| {
            out.extend_from_slice(address);
            out.push(b':');
            out.extend_from_slice(port);
        });
    }
    fields.with(codecs, |out| {
        let from = out.len();
        out.extend_from_slice(formats.get(..CODECS_BYTES_MAX).unwrap_or(formats));
        for map in stream.lines().filter_map(|line| line.strip_prefix(b"a=rtpmap:")) {
            if out.len() - from + map.len() < CODECS_BYTES_MAX {
                out.push(b';');
                out.extend_from_slice(map);
            }
        }
    });
}

/// The first stream.
#[derive(Default)]
struct Stream<'b> {
    address: Option<&'b [u8]>,
    port: Option<&'b [u8]>,
    formats: Option<&'b [u8]>,
    /// From its media line to the next one.
    section: &'b [u8],
}

impl<'b> Stream<'b> {
    fn of(body: &'b [u8]) -> Self {
        let mut stream = Stream::default();
        let (mut at, mut began) = (0, 0);
        for line in body.split_inclusive(|byte| *byte == b'\n') {
            let text = line.trim_ascii_end();
            match text.get(..2) {
                Some(b"m=") if stream.port.is_some() => break,
                Some(b"m=") => {
                    let mut words = text.splitn(4, |byte| *byte == b' ');
                    stream.port = words.nth(1);
                    stream.formats = words.nth(1);
                    began = at;
                }
                // WHY the last one: the stream's own stands after the session's.
                Some(b"c=") => stream.address = text.splitn(3, |byte| *byte == b' ').nth(2),
                _ => {}
            }
            at += line.len();
        }
        stream.section = body.get(began..at).unwrap_or_default();
        // A multicast address has its scope behind it.
        stream.address = stream.address.and_then(|address| address.split(|byte| *byte == b'/').next());
        stream
    }

    fn lines(&self) -> impl Iterator<Item = &'b [u8]> {
        self.section.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end)
    }
}

/// Codecs as people read them: `PCMU/8000`, or the format where nothing names it.
pub fn codecs(recorded: &[u8]) -> impl Iterator<Item = String> {
    let mut parts = recorded.split(|byte| *byte == b';').map(<[u8]>::to_vec);
    let formats = parts.next().unwrap_or_default();
    let maps: Vec<Vec<u8>> = parts.collect();
    let named = move |format: &[u8]| {
        let name = |map: &Vec<u8>| map.strip_prefix(format)?.strip_prefix(b" ").map(<[u8]>::to_vec);
        let found = maps.iter().find_map(name).or_else(|| well_known(format).map(Into::into));
        String::from_utf8_lossy(&found.unwrap_or_else(|| format.to_vec())).into_owned()
    };
    let formats: Vec<String> =
        formats.split(|byte| *byte == b' ').filter(|format| !format.is_empty()).map(named).collect();
    formats.into_iter()
}

/// Formats that need no `rtpmap` (RFC 3551 §6).
fn well_known(format: &[u8]) -> Option<&'static str> {
    Some(match format {
        b"0" => "PCMU/8000",
        b"3" => "GSM/8000",
        b"4" => "G723/8000",
        b"8" => "PCMA/8000",
        b"9" => "G722/8000",
        b"13" => "CN/8000",
        b"18" => "G729/8000",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::super::field::find;
    use super::*;

    fn recorded(body: &str) -> (Option<String>, Vec<String>) {
        let mut bytes = Vec::with_capacity(2_000);
        record(body.as_bytes(), Field::CallerMedia, Field::CallerCodecs, &mut Fields::within(&mut bytes));
        let media = find(&bytes, Field::CallerMedia).map(|media| String::from_utf8(media.to_vec()).unwrap());
        (media, find(&bytes, Field::CallerCodecs).map(|list| codecs(list).collect()).unwrap_or_default())
    }

    #[test]
    fn the_first_stream_with_its_own_address() {
        let body = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8 101\r\n\
                    c=IN IP4 192.0.2.9\r\na=rtpmap:101 telephone-event/8000\r\nm=video 5 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n";
        let (media, list) = recorded(body);
        assert_eq!(media.as_deref(), Some("192.0.2.9:40000"));
        assert_eq!(list, ["PCMA/8000", "telephone-event/8000"]);
    }

    #[test]
    fn what_is_no_description_or_half_of_one_says_nothing() {
        for body in ["", "<xml/>", "v=0\r\n", "v=0\r\nm=audio\r\n"] {
            assert_eq!(recorded(body), (None, vec![]), "{body}");
        }
        let (media, list) = recorded("v=0\nm=audio 7 RTP/AVP 96\n");
        assert_eq!((media, list), (None, vec!["96".to_owned()]));
    }
}
