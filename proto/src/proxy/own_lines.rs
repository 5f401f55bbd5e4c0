//! What stands in our Via and Record-Route lines before the token, written once a listener: so that a line is written
//! in one copy, and one that comes back is recognised by one comparison instead of being read.
//!
//! A wildcard listener, which gives out whatever address it was asked at, has none of these.

use super::settings::{Advertised, Settings, uri_transport};
use crate::message::{HeaderName, KnownVia, Message, Uri, Writer};
use crate::steer::ROUTE_PARAMETER;
use crate::token::ROUTE_TOKEN_CHARS;
use alloc::vec::Vec;
use core::ops::Deref;

/// Longest line start that is prepared: two host names' length.
const LINE_BYTES_MAX: usize = 512;

/// Settings, and what follows from them.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    settings: Settings,
    lines: Vec<Option<OwnLines>>,
}

/// Of one listener.
#[derive(Clone, Debug)]
pub(super) struct OwnLines {
    /// `Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK`
    pub(super) via: Vec<u8>,
    /// The value of it, to recognise it by.
    pub(super) known_via: Option<KnownVia>,
    /// `: <sip:192.0.2.1:5060;lr;tt=`, behind the name of the header.
    pub(super) route: Vec<u8>,
    /// Of these octets what is not yet the URI.
    before_uri: usize,
    /// The listener that the URI names.
    names: Option<u16>,
}

/// A Route or Record-Route URI that starts and ends as ours do.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnUri<'m> {
    /// Where the token stands in it.
    pub(super) token: &'m [u8],
    /// The listener that it names.
    pub(super) listener: Option<u16>,
}

impl Deref for Prepared {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl Prepared {
    pub(super) fn new(settings: Settings) -> Prepared {
        let indices = 0..u16::try_from(settings.listeners.len()).unwrap_or(u16::MAX);
        let lines = indices.map(|index| OwnLines::of(&settings, index)).collect();
        Prepared { settings, lines }
    }

    /// Of that listener.
    #[inline]
    pub(super) fn lines(&self, listener: u16) -> Option<&OwnLines> {
        self.lines.get(usize::from(listener))?.as_ref()
    }

    /// Reads the only Route, or Record-Route, of a message by comparison if it is one that we write.
    #[inline]
    pub(super) fn recognise_routes(&self, message: &Message<'_>, name: HeaderName) {
        if message.field(name).is_some() {
            for lines in self.lines.iter().flatten() {
                message.recognise_route(name, lines.route_value(), ROUTE_TOKEN_CHARS);
            }
        }
    }

    /// Whether a URI is one that we write, with nothing but the token behind what is prepared.
    #[inline]
    pub(super) fn own_uri<'m>(&self, uri: &'m [u8]) -> Option<OwnUri<'m>> {
        self.lines.iter().flatten().find_map(|lines| {
            let token = uri.strip_prefix(lines.uri()).filter(|token| token.len() == ROUTE_TOKEN_CHARS)?;
            Some(OwnUri { token, listener: lines.names })
        })
    }
}

impl OwnLines {
    fn of(settings: &Settings, index: u16) -> Option<OwnLines> {
        let listener = settings.listener(index)?;
        let fixed = match &listener.advertised {
            Advertised::Name { .. } => true,
            Advertised::Bound(_) => !listener.address.ip().is_unspecified(),
        };
        let via = written(|out| listener.write_via_start(None, out))?;
        let route = written(|out| {
            out.put(b": <sip:");
            listener.write_sent_by(None, out);
            out.put(uri_transport(listener.transport));
            out.put(b";lr;");
            out.put(ROUTE_PARAMETER);
            out.byte(b'=');
        })?;
        let before_uri = b": <".len();
        let whole = written(|out| {
            out.put(route.get(before_uri..).unwrap_or_default());
            out.put(&[b'A'; ROUTE_TOKEN_CHARS]);
        })?;
        let names = settings.listener_of(&Uri::parse(&whole).ok()?);
        let known_via = KnownVia::new(via.strip_prefix(b"Via: ")?);
        fixed.then_some(OwnLines { via, known_via, route, before_uri, names })
    }

    /// What our Route value starts with, `<` included.
    fn route_value(&self) -> &[u8] {
        self.route.get(self.before_uri - 1..).unwrap_or_default()
    }

    fn uri(&self) -> &[u8] {
        self.route.get(self.before_uri..).unwrap_or_default()
    }
}

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Option<Vec<u8>> {
    let mut room = [0; LINE_BYTES_MAX];
    let mut out = Writer::new(&mut room);
    write(&mut out);
    let length = out.finish().ok()?;
    room.get(..length).map(Vec::from)
}
