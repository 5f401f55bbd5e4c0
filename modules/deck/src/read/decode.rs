//! Octets of any encoding to UTF-8: UTF-16 by its mark or its zero octets, everything else as it stands
//! (a field that is not UTF-8 is read as Windows-1252, which Latin-1 is a part of).

use encoding_rs::{Decoder, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::borrow::Cow;

/// Decides by the first octets, then decodes what follows.
#[derive(Default)]
pub(crate) struct Decode {
    decoder: Option<Decoder>,
}

impl Decode {
    /// By the first octets of a file; at least four, unless the file has fewer.
    pub(crate) fn of(head: &[u8]) -> Self {
        let encoding = match head {
            [0xFF, 0xFE, ..] => UTF_16LE,
            [0xFE, 0xFF, ..] => UTF_16BE,
            [0xEF, 0xBB, 0xBF, ..] => UTF_8,
            [a, 0, b, 0, ..] if *a != 0 && *b != 0 => UTF_16LE,
            [0, a, 0, b, ..] if *a != 0 && *b != 0 => UTF_16BE,
            _ => return Decode { decoder: None },
        };
        Decode { decoder: Some(encoding.new_decoder_with_bom_removal()) }
    }

    /// The next octets as UTF-8, or as they are.
    pub(crate) fn push<'i>(&mut self, input: &'i [u8], last: bool) -> Cow<'i, [u8]> {
        let Some(decoder) = &mut self.decoder else {
            return Cow::Borrowed(input);
        };
        // WHY at most: the need is at most three times the input and some octets that were held back.
        let room = decoder.max_utf8_buffer_length(input.len()).unwrap_or(input.len());
        let mut text = String::with_capacity(room);
        let _ = decoder.decode_to_string(input, &mut text, last);
        Cow::Owned(text.into_bytes())
    }
}

/// A field as text, and whether it was UTF-8.
pub(crate) fn text(field: &[u8]) -> (Cow<'_, str>, bool) {
    match std::str::from_utf8(field) {
        Ok(text) => (Cow::Borrowed(text), true),
        Err(_) => (WINDOWS_1252.decode_without_bom_handling(field).0, false),
    }
}
