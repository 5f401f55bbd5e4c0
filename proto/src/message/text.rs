//! Long runs of ordinary text, sixteen octets at a time: URIs, parameter values, Call-IDs.
//!
//! A run ends before white space, a control character or one of a few octets that end that kind of text. Used by
//! the value parsers of this folder through [`super::lex::Cursor`].
//!
//! The compiler turns the marks of sixteen octets into vector instructions by itself; no `unsafe` is needed.

/// A kind of text, by what ends it besides the octets up to the space.
#[derive(Clone, Copy)]
pub(super) struct Text {
    /// Octets that end it; filled up by repetition.
    ends: [u8; 7],
    /// Whether octets from 0x80 on belong to it.
    wide: bool,
}

/// What may stand between `<` and `>` before the URI is looked at more closely.
pub(super) const URI_TEXT: Text = Text { ends: *b"\x7f<>\"\"\"\"", wide: true };
/// [`URI_TEXT`] without what would belong to the header round it.
pub(super) const ADDR_SPEC_TEXT: Text = Text { ends: *b"\x7f<>\";,?", wide: true };
/// The unquoted value of a header parameter: more than `token / host`, because values with `/`, `=` and `@` are in
/// use; never what would end the parameter.
pub(super) const PARAMETER_TEXT: Text = Text { ends: *b"\x7f<>\";,,", wide: true };
/// The unquoted value of a parameter of credentials, which commas part: a URI may stand there without its marks.
pub(super) const CREDENTIAL_TEXT: Text = Text { ends: *b"\x7f\",,,,,", wide: true };
/// Visible ASCII: a Call-ID.
pub(super) const VISIBLE_TEXT: Text = Text { ends: *b"\x7f\x7f\x7f\x7f\x7f\x7f\x7f", wide: false };

impl Text {
    /// Whether `octet` ends it.
    #[inline(always)]
    fn is_ended_by(self, octet: u8) -> bool {
        octet <= b' ' || (octet >= 0x80 && !self.wide) || self.ends.contains(&octet)
    }

    /// How many octets at the start of `octets` belong to it.
    #[inline(always)]
    pub(super) fn run_length(self, octets: &[u8]) -> usize {
        let mut rest = octets;
        while let Some((sixteen, after)) = rest.split_first_chunk::<16>() {
            let marks = self.marks(sixteen);
            if marks != 0 {
                return (octets.len() - rest.len()).wrapping_add(marks.trailing_zeros() as usize / 8);
            }
            rest = after;
        }
        self.run_of_last(octets, rest.len())
    }

    /// The same for the last octets, fewer than sixteen.
    #[inline(never)]
    fn run_of_last(self, octets: &[u8], last: usize) -> usize {
        let start = octets.len() - last;
        let rest = octets.get(start..).unwrap_or_default();
        rest.iter().position(|&octet| self.is_ended_by(octet)).map_or(octets.len(), |place| start + place)
    }

    /// Marks each octet that ends it with 0xff.
    #[inline(always)]
    fn marks(self, octets: &[u8; 16]) -> u128 {
        let mut marks = [0u8; 16];
        for (mark, &octet) in marks.iter_mut().zip(octets) {
            let mut ends = (octet <= b' ') | ((octet >= 0x80) & !self.wide);
            for end in self.ends {
                ends |= octet == end;
            }
            *mark = if ends { 0xff } else { 0 };
        }
        u128::from_le_bytes(marks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_at_every_place() {
        for text in [URI_TEXT, ADDR_SPEC_TEXT, PARAMETER_TEXT, CREDENTIAL_TEXT, VISIBLE_TEXT] {
            for octet in 0..=255u8 {
                for place in 0..40 {
                    let mut octets = [b'a'; 40];
                    octets[place] = octet;
                    let expected = if text.is_ended_by(octet) { place } else { octets.len() };
                    assert_eq!(text.run_length(&octets), expected, "{octet} at {place}");
                }
            }
        }
    }
}
