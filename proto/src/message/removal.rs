//! What to cut to take the first values off a header of several (RFC 3261 §16.4: the Routes that name
//! us).

use super::name::HeaderName;
use super::name_addr::NameAddrs;
use super::span::Span;
use super::view::Message;
use core::iter::Peekable;

/// The spans to cut, ascending, one a line.
pub(super) struct Removals<'m> {
    message: Message<'m>,
    values: Peekable<NameAddrs<'m>>,
    left: usize,
}

impl<'m> Removals<'m> {
    pub(super) fn new(message: &Message<'m>, name: HeaderName, count: usize) -> Removals<'m> {
        Removals { message: *message, values: NameAddrs::new(message, name).peekable(), left: count }
    }
}

impl Iterator for Removals<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        self.left = self.left.checked_sub(1)?;
        let first = self.values.next()?.ok()?.place;
        while let Some(Ok(following)) = self.values.peek() {
            let following = following.place;
            if following.field != first.field {
                break;
            }
            if self.left == 0 {
                return Some(Span { start: first.value.start, end: following.value.start });
            }
            self.left -= 1;
            self.values.next();
        }
        // No value of this line stays.
        let field = self.message.fields().get(usize::from(first.field))?;
        Some(field.line)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;
    use crate::message::Arena;
    use std::format;
    use std::vec::Vec;

    fn with<T>(headers: &str, check: impl FnOnce(&Message<'_>) -> T) -> T {
        let text = format!("OPTIONS sip:a@b.example SIP/2.0\r\n{headers}\r\n\r\n");
        let mut arena = Arena::new();
        check(&Message::parse(text.as_bytes(), &mut arena).unwrap())
    }

    #[test]
    fn removals_take_lines_and_parts_of_lines() {
        let routes = "Route: <sip:1>\r\nX: y\r\nRoute: <sip:2> , <sip:3>,<sip:4>\r\nRoute: <sip:5>";
        let after = |count: usize| {
            with(routes, |message| {
                let mut kept = message.bytes().to_vec();
                for span in message.removals(HeaderName::Route, count).collect::<Vec<_>>().into_iter().rev() {
                    kept.drain(usize::from(span.start)..usize::from(span.end));
                }
                let text = std::string::String::from_utf8(kept).unwrap();
                text.strip_prefix("OPTIONS sip:a@b.example SIP/2.0\r\n").unwrap().replace("\r\n", "|")
            })
        };
        assert_eq!(after(0), "Route: <sip:1>|X: y|Route: <sip:2> , <sip:3>,<sip:4>|Route: <sip:5>||");
        assert_eq!(after(1), "X: y|Route: <sip:2> , <sip:3>,<sip:4>|Route: <sip:5>||");
        assert_eq!(after(2), "X: y|Route: <sip:3>,<sip:4>|Route: <sip:5>||");
        assert_eq!(after(3), "X: y|Route: <sip:4>|Route: <sip:5>||");
        assert_eq!(after(4), "X: y|Route: <sip:5>||");
        assert_eq!(after(5), "X: y||");
        assert_eq!(after(9), "X: y||");
    }
}
