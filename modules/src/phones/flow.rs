//! Who sends a request outside any dialog, and where it goes.
//!
//! | From | To | Goes |
//! |---|---|---|
//! | media server | a user of a domain | to the user's phones; 404 or 480 if there are none |
//! | media server | by our Path | to the phone that registered along it (RFC 3327) |
//! | phone | a user of a domain | to the user's phones, or by the media set; who is not registered: media set |
//! | phone | SUBSCRIBE, PUBLISH, MESSAGE | media set, if there is one |
//! | phone | another domain | media set: what is dialled is its matter |
//! | peer | a user of a domain | to the user's phones; else media set |
//! | peer, media server | anything else | by the routes |
//!
//! A media server is whoever has the address of a gateway of a domain's media set or registrars. A phone is whoever
//! has a host of a domain in its From, and proves it or is listed.

use crate::reason::Reason;
use crate::tables::{Number, Tables};
use proto::message::{Message, Method, NameAddr, Uri};
use proto::policy::Inbound;
use std::net::{IpAddr, SocketAddr};

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A media server of ours.
    Media,
    /// A phone of the domain of this index, as far as it says.
    Phone(u16),
    /// A listed source that is neither.
    Peer,
    /// None of these.
    Stranger,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whither {
    /// To the phones of the user that the Request-URI names in this domain; to `otherwise` if it has none.
    User {
        /// Index of the domain.
        domain: u16,
        /// Its media set, for users who are not registered.
        otherwise: Option<Number>,
    },
    /// To a set.
    Set(Number),
    /// A REGISTER, to a set of registrars.
    Registrar(Number),
    /// To where our Path says.
    Path(SocketAddr),
    /// By the routes.
    Routes,
    /// Nowhere.
    Nowhere(Reason),
}

impl Sender {
    /// The domain that a phone is of.
    pub const fn domain(self) -> Option<u16> {
        match self {
            Sender::Phone(domain) => Some(domain),
            Sender::Media | Sender::Peer | Sender::Stranger => None,
        }
    }
}

/// Who sends a message from `source`.
pub fn sender(tables: &Tables, message: &Message<'_>, source: IpAddr) -> Sender {
    let registers = message.method() == Method::Register;
    if !registers && is_media(tables, source) {
        return Sender::Media;
    }
    let party = if registers { message.to() } else { message.from() };
    if let Some(domain) = domain_of(tables, party.ok()) {
        return Sender::Phone(domain);
    }
    if tables.sources.group(source).is_some() { Sender::Peer } else { Sender::Stranger }
}

/// Whether somebody who is no listed source may be heard: a media server, and who says to be of a domain that can ask
/// for a proof, or whose registrars can.
pub fn may_knock(tables: &Tables, message: &Message<'_>, source: IpAddr) -> bool {
    if is_media(tables, source) {
        return true;
    }
    let party = if message.method() == Method::Register { message.to() } else { message.from() };
    domain_of(tables, party.ok())
        .and_then(|index| tables.domains.get(index))
        .is_some_and(|domain| domain.authenticates || domain.registrar.is_some())
}

/// The domain of a From or To.
pub fn domain_of(tables: &Tables, party: Option<NameAddr<'_>>) -> Option<u16> {
    let uri = Uri::parse(party?.uri).ok()?;
    tables.domains.find(&uri.host).map(|(index, _)| index)
}

/// Whether an address is that of a media server or of a registrar behind us.
fn is_media(tables: &Tables, source: IpAddr) -> bool {
    let is_of = |wanted: Option<Number>, set: Number| {
        wanted == Some(set)
            || wanted.and_then(|number| tables.set(number)).is_some_and(|wanted| wanted.overflow == Some(set))
    };
    tables.is_gateway_host(source)
        && tables
            .sets_at(source)
            .any(|set| tables.domains.iter().any(|domain| is_of(domain.media, set) || is_of(domain.registrar, set)))
}

/// Where a request goes. A REGISTER comes here only where registrars are behind us, or with a To that is not ours.
pub fn whither(tables: &Tables, sender: Sender, request: &Inbound<'_>) -> Whither {
    let named = tables.domains.find(&request.request_uri.host).map(|(index, _)| index);
    let media = |domain: u16| tables.domains.get(domain).and_then(|domain| domain.media);
    let user = |domain: u16, otherwise: Option<Number>| Whither::User { domain, otherwise };
    match (sender, named) {
        (Sender::Phone(own), _) if request.message.method() == Method::Register => {
            let registrar = tables.domains.get(own).and_then(|domain| domain.registrar);
            registrar.map_or(Whither::Nowhere(Reason::NoRoute), Whither::Registrar)
        }
        (Sender::Stranger, _) => Whither::Nowhere(Reason::StrangerDropped),
        // RFC 3261 §10.3 item 5: meant for us, by its Request-URI, and nobody of ours.
        (_, named) if request.message.method() == Method::Register && (named.is_some() || request.to_us) => {
            Whither::Nowhere(Reason::RegisterUnknownUser)
        }
        (Sender::Media, _) if let Some(address) = request.far_side => Whither::Path(address),
        (Sender::Media, Some(domain)) => user(domain, None),
        (Sender::Peer, Some(domain)) => user(domain, media(domain)),
        (Sender::Media | Sender::Peer, None) => Whither::Routes,
        (Sender::Phone(own), named) => {
            // Many phones write the address of their proxy where their domain should stand.
            let domain = named.or(request.to_us.then_some(own));
            from_phone(tables, own, domain, request.message.method())
        }
    }
}

fn from_phone(tables: &Tables, own: u16, domain: Option<u16>, method: Method) -> Whither {
    let Some(compiled) = tables.domains.get(domain.unwrap_or(own)) else { return Whither::Routes };
    let for_media = matches!(method, Method::Subscribe | Method::Publish | Method::Message);
    match (domain, compiled.media) {
        (None, Some(media)) => Whither::Set(media),
        (None, None) => Whither::Routes,
        (Some(_), Some(media)) if for_media || !compiled.straight => Whither::Set(media),
        (Some(domain), media) => Whither::User { domain, otherwise: media },
    }
}
