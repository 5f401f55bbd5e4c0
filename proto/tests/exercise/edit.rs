//! Edits a message as a script of octets says, and checks that what no edit touched is as it came.
//!
//! Used by the property tests of this folder and by the fuzz target `edit`.

use proto::message::{Arena, HeaderName, Message, Overflow, Span, Splice, Via, Writer, replace_body};

/// An edit: what it covers, and what stands there afterwards.
type Edit = (Span, Vec<u8>);

/// Parses `datagram` and, if it is a message, edits it in every way that the proxy does.
pub(crate) fn message(datagram: &[u8], script: &[u8]) {
    let mut arena = Arena::new();
    let Ok(message) = Message::parse(datagram, &mut arena) else {
        return;
    };
    let script = if script.is_empty() { &[3] } else { script };
    fields(&message, script);
    body(&message, script);
    top_via(&message);
    routes(&message, usize::from(script.first().copied().unwrap_or(1)) % 4);
}

/// The same bytes by [`Splice`] and by the plainest way there is.
pub(crate) fn spliced(source: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut room = vec![0; source.len() + edits.iter().map(|(_, text)| text.len()).sum::<usize>()];
    let mut out = Writer::new(&mut room);
    let mut splice = Splice::new(source, &mut out);
    for (span, text) in edits {
        if span.is_empty() {
            splice.insert(span.start, |out| out.put(text));
        } else if text.is_empty() {
            splice.cut(*span);
        } else {
            splice.replace(*span, |out| out.put(text));
        }
    }
    splice.finish();
    let length = out.finish().unwrap();
    room.truncate(length);
    assert_eq!(room, naive(source, edits));
    if let Some(too_small) = length.checked_sub(1) {
        let mut room = vec![0; too_small];
        let mut out = Writer::new(&mut room);
        let mut splice = Splice::new(source, &mut out);
        edits.iter().for_each(|(span, text)| splice.replace(*span, |out| out.put(text)));
        splice.finish();
        assert_eq!(out.finish(), Err(Overflow));
    }
    room
}

/// From the last edit to the first, so that offsets stay right.
fn naive(source: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = source.to_vec();
    for (span, text) in edits.iter().rev() {
        bytes.splice(usize::from(span.start)..usize::from(span.end), text.iter().copied());
    }
    bytes
}

/// Parses what an edit made; `None` if it became too long for a message.
fn parsed_again(bytes: &[u8], check: impl FnOnce(&Message<'_>)) {
    let mut arena = Arena::new();
    match Message::parse(bytes, &mut arena) {
        Ok(message) => check(&message),
        Err(error) => assert!(is_a_limit(error.why), "{:?}: {}", error.why, bytes.escape_ascii()),
    }
}

fn is_a_limit(why: proto::message::Malformation) -> bool {
    use proto::message::Malformation::{HeaderLineTooLong, MessageTooLong, TooManyHeaders};
    matches!(why, HeaderLineTooLong | MessageTooLong | TooManyHeaders)
}

/// Cuts, replaces and inserts header fields; the others must come out octet for octet, in their order.
fn fields(message: &Message<'_>, script: &[u8]) {
    let mut edits: Vec<Edit> = Vec::new();
    let mut lines: Vec<Vec<u8>> = Vec::new();
    if message.is_request() && script.first().is_some_and(|octet| octet & 1 == 1) {
        edits.push((message.request_uri_span(), b"sip:edited@example.org".to_vec()));
    }
    for (field, step) in message.fields().iter().zip(script.iter().cycle()) {
        let line = field.line.of(message.bytes());
        match step % 8 {
            0 if field.name != HeaderName::ContentLength => edits.push((field.line, Vec::new())),
            1 if field.name != HeaderName::ContentLength && !field.value.is_empty() => {
                edits.push((field.value, b"edited".to_vec()));
                let before = usize::from(field.value.start - field.line.start);
                let after = usize::from(field.value.end - field.line.start);
                lines.push([&line[..before], b"edited", &line[after..]].concat());
            }
            2 => {
                let added = b"Inserted: text\r\n".to_vec();
                edits.push((Span::at(field.line.start), added.clone()));
                lines.push(added);
                lines.push(line.to_vec());
            }
            _ => lines.push(line.to_vec()),
        }
    }
    let edited = spliced(message.bytes(), &edits);
    parsed_again(&edited, |again| {
        let read: Vec<_> = again.fields().iter().map(|field| field.line.of(again.bytes()).to_vec()).collect();
        assert_eq!(read, lines);
        assert_eq!(again.body(), message.body());
        assert_eq!(again.is_request(), message.is_request());
    });
}

fn body(message: &Message<'_>, text: &[u8]) {
    let mut room = vec![0; message.bytes().len() + text.len() + 64];
    let mut out = Writer::new(&mut room);
    replace_body(message, text, &mut out);
    let length = out.finish().unwrap();
    parsed_again(&room[..length], |again| {
        assert_eq!(again.body(), text);
        assert_eq!(again.content_length(), u32::try_from(text.len()).ok());
        let names = |message: &Message<'_>| -> Vec<Vec<u8>> {
            let other = message.fields().iter().filter(|field| field.name != HeaderName::ContentLength);
            other.map(|field| field.line.of(message.bytes()).to_vec()).collect()
        };
        assert_eq!(names(again), names(message));
        if let (Some(field), Some(before)) =
            (again.field(HeaderName::ContentLength), message.field(HeaderName::ContentLength))
        {
            assert_eq!(again.name_bytes(field), message.name_bytes(before), "the form is kept");
        }
    });
}

/// What of a Via value must not change when `received` and `rport` do.
fn steady<'m>(via: &Via<'m>) -> (&'m [u8], Option<u16>, &'m [u8], bool) {
    (via.host_bytes, via.port, via.branch, via.alone)
}

/// `received` and `rport` are filled in (RFC 3581 §4), and the topmost value is taken off (§16.7 step 3).
fn top_via(message: &Message<'_>) {
    let Ok(via) = message.top_via() else { return };
    let mut edits =
        vec![(via.rport_span, b";rport=5066".to_vec()), (via.received_span, b";received=192.0.2.66".to_vec())];
    edits.sort_by_key(|(span, _)| (span.start, span.end));
    parsed_again(&spliced(message.bytes(), &edits), |again| {
        let filled = again.top_via().unwrap();
        assert_eq!(filled.rport, proto::message::Rport::Port(5066));
        assert_eq!(filled.received.unwrap().ip(), Some([192, 0, 2, 66].into()));
        assert_eq!(steady(&filled), steady(&via));
        assert_eq!(again.vias().count(), message.vias().count());
    });

    let branches = |message: &Message<'_>| -> Vec<Option<Vec<u8>>> {
        message.vias().map(|via| via.ok().map(|via| via.branch.to_vec())).collect()
    };
    parsed_again(&spliced(message.bytes(), &[(via.removal, Vec::new())]), |again| {
        assert_eq!(branches(again), branches(message)[1..]);
    });
}

/// The first Routes are taken off (RFC 3261 §16.4).
fn routes(message: &Message<'_>, count: usize) {
    let uris = |message: &Message<'_>| -> Vec<Option<Vec<u8>>> {
        message.name_addrs(HeaderName::Route).map(|route| route.ok().map(|route| route.uri.to_vec())).collect()
    };
    let all = uris(message);
    if all.contains(&None) {
        return;
    }
    let edits: Vec<Edit> = message.removals(HeaderName::Route, count).map(|span| (span, Vec::new())).collect();
    parsed_again(&spliced(message.bytes(), &edits), |again| {
        assert_eq!(uris(again), all[count.min(all.len())..]);
    });
}
