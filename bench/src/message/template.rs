//! Messages that are rendered once, with holes for what differs from call to call.
//!
//! A template is written as the message reads, with `{name}` for a hole. Names known when it is made
//! (addresses, lengths) are filled in then; the others become holes of type `H` that are spliced in
//! while the message is written into the driver's buffer. Nothing is allocated per message.

use proto::message::Writer;

/// A message with holes.
#[derive(Debug)]
pub struct Template<H> {
    /// Each piece of fixed text and the hole that follows it.
    pieces: Vec<(Vec<u8>, H)>,
    tail: Vec<u8>,
}

impl<H: Copy> Template<H> {
    /// Reads `text` (lines end in `\n`, written as CRLF). `fixed` fills names now, `hole` names the
    /// rest.
    ///
    /// # Panics
    /// If a name is unknown: the texts are constants of this program.
    pub fn new(text: &str, fixed: &[(&str, &str)], hole: impl Fn(&str) -> Option<H>) -> Self {
        let mut pieces = Vec::new();
        let mut current = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            put_text(&mut current, before);
            let Some((name, after)) = after.split_once('}') else {
                panic!("a hole without an end in {text}");
            };
            rest = after;
            if let Some((_, value)) = fixed.iter().find(|(known, _)| *known == name) {
                put_text(&mut current, value);
            } else if let Some(hole) = hole(name) {
                pieces.push((std::mem::take(&mut current), hole));
            } else {
                panic!("{{{name}}} is neither given nor a hole");
            }
        }
        put_text(&mut current, rest);
        Template { pieces, tail: current }
    }

    /// Writes the message; `fill` writes what belongs into each hole.
    pub fn render<'o>(&self, out: &mut Writer<'o>, mut fill: impl FnMut(H, &mut Writer<'o>)) {
        for (text, hole) in &self.pieces {
            out.put(text);
            fill(*hole, out);
        }
        out.put(&self.tail);
    }
}

/// Appends with `\n` as CRLF.
fn put_text(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        if byte == b'\n' {
            out.push(b'\r');
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn fixed_names_are_filled_early_and_holes_late() {
        let template =
            Template::new("BYE {uri} SIP/2.0\nTo: {to}\n\n", &[("uri", "sip:x")], |n| (n == "to").then_some(7u8));
        let mut room = [0; 64];
        let mut out = Writer::new(&mut room);
        template.render(&mut out, |hole, out| out.decimal(u64::from(hole)));
        let length = out.finish().unwrap();
        assert_eq!(&room[..length], b"BYE sip:x SIP/2.0\r\nTo: 7\r\n\r\n");
    }

    #[test]
    #[should_panic(expected = "{what} is neither")]
    fn an_unknown_name_is_a_mistake() {
        let _: Template<()> = Template::new("{what}", &[], |_| None);
    }
}
