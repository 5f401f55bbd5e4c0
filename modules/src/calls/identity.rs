//! What names a dialog to its sides: Call-ID, names with tags, route sets (RFC 3261 §12.1). Read from the response
//! that opens a customer's call, so that we can send requests within it ([`super::own_request`]).

use super::texts::Part;
use crate::tables::Tables;
use proto::message::{HeaderName, Message, NameAddr, Uri};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub enum Identity<'m> {
    /// It is not kept: nothing is sent within the call by us.
    Unknown,
    /// As this response says.
    Said {
        /// The response that opens the dialog.
        response: &'m Message<'m>,
        /// By which a Record-Route is known to be ours.
        tables: &'m Tables,
        /// The called number with its country code.
        called: &'m [u8],
    },
    /// As another process kept it, in the order of the parts behind the Contacts.
    Kept([&'m [u8]; Part::ALL.len() - CONTACTS]),
}

/// The first parts are the Contacts, which are no part of an identity.
pub(super) const CONTACTS: usize = 2;

impl Identity<'_> {
    /// Appends a part.
    pub(super) fn write(&self, part: Part, out: &mut Vec<u8>) {
        match self {
            Identity::Unknown => {}
            Identity::Said { response, tables, called } => {
                let value = |name| response.value(name).unwrap_or_default();
                match part {
                    Part::InitiatorContact | Part::ResponderContact => {}
                    Part::CallId => out.extend_from_slice(response.call_id()),
                    Part::InitiatorName => out.extend_from_slice(value(HeaderName::From)),
                    Part::ResponderName => out.extend_from_slice(value(HeaderName::To)),
                    Part::InitiatorRoutes => initiator_routes(response, tables, out),
                    Part::ResponderRoutes => responder_routes(response, tables, out),
                    Part::Called => out.extend_from_slice(called),
                }
            }
            Identity::Kept(parts) => {
                let text = (part as usize).checked_sub(CONTACTS).and_then(|place| parts.get(place));
                out.extend_from_slice(text.copied().unwrap_or_default());
            }
        }
    }
}

/// Behind ours in a response: what stood in the INVITE as it came to us, which is the order of the way back.
fn initiator_routes(response: &Message<'_>, tables: &Tables, out: &mut Vec<u8>) {
    let values = routes(response);
    let mut behind = values.skip_while(|value| !is_ours(value, tables)).skip_while(|value| is_ours(value, tables));
    let start = out.len();
    behind.by_ref().for_each(|value| append(response, &value, start, out));
}

/// Before ours: the nearest to us is the last.
fn responder_routes(response: &Message<'_>, tables: &Tables, out: &mut Vec<u8>) {
    let before = routes(response).take_while(|value| !is_ours(value, tables)).count();
    let start = out.len();
    for nth in (0..before).rev() {
        if let Some(value) = routes(response).nth(nth) {
            append(response, &value, start, out);
        }
    }
}

fn routes<'m>(response: &Message<'m>) -> impl Iterator<Item = NameAddr<'m>> + use<'m> {
    response.name_addrs(HeaderName::RecordRoute).map_while(Result::ok)
}

fn is_ours(value: &NameAddr<'_>, tables: &Tables) -> bool {
    Uri::parse(value.uri).is_ok_and(|uri| tables.own.is_us(&uri.host, uri.port))
}

fn append(response: &Message<'_>, value: &NameAddr<'_>, start: usize, out: &mut Vec<u8>) {
    if out.len() > start {
        out.push(b',');
    }
    out.extend_from_slice(value.value.of(response.bytes()));
}
