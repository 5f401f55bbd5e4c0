//! Header rules of trunks: what is taken out of requests, put in, or copied, on the way in and on the way out.

use crate::read::{Node, Reader, Value, suggestion};
use crate::schema::Kind;

section! {
    /// One change to the header of a request. `remove` alone, `set` with `value`, or `copy` with `to`.
    HeaderRule {
        /// Every field of this name is taken out.
        live remove: Option<HeaderField> = None;
        /// A field of this name stands in place of all that came under it.
        live set: Option<HeaderField> = None;
        /// What `set` writes: text, and `{called}`, `{caller}`, `{dialled}`, `{routing}`, `{customer}`, `{vendor}`, `{call_id}`.
        live value: Option<HeaderText> = None;
        /// The first field of this name, as the rules before left it, is written under the name of `to`.
        live copy: Option<HeaderField> = None;
        /// The name that `copy` writes; all that came under it goes.
        live to: Option<HeaderField> = None;
    }
}

choice! {
    /// What a text of a header rule may name. Empty where a call has none.
    HeaderVariable {
        /// The called number with its country code.
        Called = "called",
        /// The caller's number with its country code.
        Caller = "caller",
        /// The user part of the Request-URI as it came.
        Dialled = "dialled",
        /// The routing number (RFC 4694 `rn`), else the called one.
        Routing = "routing",
        /// Name of the customer.
        Customer = "customer",
        /// Name of the vendor.
        Vendor = "vendor",
        /// The Call-ID.
        CallId = "call_id",
    }
}

choice! {
    /// Where a vendor is told the caller's number as it wants it written.
    CallerIn {
        /// Nowhere: what came leaves as it came, within the bounds of trust.
        Keep = "keep",
        /// In P-Asserted-Identity (RFC 3325), written anew.
        Asserted = "p-asserted-identity",
    }
}

/// The name of a header field: a token of RFC 3261 §25.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderField(String);

impl HeaderField {
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~')
}

impl Value for HeaderField {
    fn kind() -> Kind {
        Kind::Text("the name of a header field")
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let text = String::read(node, reader, None)?;
        if text.bytes().all(is_token) && text.len() <= limits::HEADER_RULE_NAME_MAX {
            return Some(HeaderField(text));
        }
        // WHY: a rule that lost a part would be called no rule at all, too.
        reader.lost = true;
        reader.malformed(node, "not the name of a header field", "write it without colon, such as \"X-Trunk\"");
        None
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.0.clone()))
    }
}

/// A text with variables in braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderText(Vec<HeaderPiece>);

/// A part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderPiece {
    /// Written as it is.
    Text(String),
    /// Written as the call has it.
    Variable(HeaderVariable),
}

impl HeaderText {
    /// Its parts in order.
    pub fn pieces(&self) -> &[HeaderPiece] {
        &self.0
    }

    /// `Err`: the name in braces that is none, or the text with a brace that has no partner.
    fn parse(text: &str) -> Result<Self, &str> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let (plain, variable) = rest.split_once('{').map_or((rest, None), |(plain, after)| (plain, Some(after)));
            if plain.contains('}') {
                return Err(text);
            }
            if !plain.is_empty() {
                pieces.push(HeaderPiece::Text(plain.to_owned()));
            }
            let Some(after) = variable else { break };
            let (name, after) = after.split_once('}').ok_or(text)?;
            let known = VARIABLES.iter().find(|variable| variable.word() == name).ok_or(name)?;
            pieces.push(HeaderPiece::Variable(*known));
            rest = after;
        }
        Ok(HeaderText(pieces))
    }
}

const VARIABLES: [HeaderVariable; 7] = [
    HeaderVariable::Called,
    HeaderVariable::Caller,
    HeaderVariable::Dialled,
    HeaderVariable::Routing,
    HeaderVariable::Customer,
    HeaderVariable::Vendor,
    HeaderVariable::CallId,
];

impl Value for HeaderText {
    fn kind() -> Kind {
        Kind::Text("a text, with variables in braces")
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let text = String::read(node, reader, None)?;
        reader.lost |= text.len() > limits::HEADER_RULE_TEXT_MAX || HeaderText::parse(&text).is_err();
        if text.len() > limits::HEADER_RULE_TEXT_MAX {
            let most = limits::HEADER_RULE_TEXT_MAX;
            reader.malformed(node, "too long", format!("write at most {most} characters"));
            return None;
        }
        let unknown = match HeaderText::parse(&text) {
            Ok(parsed) => return Some(parsed),
            Err(unknown) => unknown,
        };
        let likely = suggestion(unknown, VARIABLES.iter().map(|variable| variable.word()));
        let all = VARIABLES.map(|variable| format!("{{{}}}", variable.word())).join(", ");
        let why = likely.map_or("not a variable".to_owned(), |likely| format!("did you mean {{{likely}}}?"));
        reader.malformed(node, why, format!("write one of {all}"));
        None
    }
    fn print(&self) -> Option<toml::Value> {
        let pieces = self.0.iter().map(|piece| match piece {
            HeaderPiece::Text(text) => text.clone(),
            HeaderPiece::Variable(variable) => format!("{{{}}}", variable.word()),
        });
        Some(toml::Value::String(pieces.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_with_variables() {
        for good in ["plain", "{called}", "a{customer}b{vendor}", "tgrp={vendor};call={call_id}"] {
            let printed = HeaderText::parse(good).ok().and_then(|text| text.print());
            assert_eq!(printed, Some(toml::Value::String(good.to_owned())));
        }
        assert_eq!(HeaderText::parse("{caled}"), Err("caled"));
        for bad in ["a}b", "{called", "{", "{a{b}}"] {
            assert!(HeaderText::parse(bad).is_err(), "{bad}");
        }
    }
}
