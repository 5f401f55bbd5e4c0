//! Which shard owns a message: a pure function of its bytes and the keys.
//!
//! A response belongs to the slot in the token of our Via branch, an in-dialog request to the slot in the
//! token of our Route, a REGISTER to a keyed hash of the user whom it registers, everything else to one of its Call-ID. Tokens steer only if they verify:
//! nobody outside can aim at a shard. Slots map to shards by [`shard_of_slot`].

use crate::hash::{KeyedHash, Purpose, Secret, SignatureHash};
use crate::message::{HeaderName, Host, Message, Method, Uri, Writer, unescaped_text};
use crate::policy::BySource;
use crate::token::{BranchToken, Keys, Owner, ROUTE_TOKEN_CHARS, RouteToken, Seal};
use core::net::{Ipv4Addr, SocketAddr};

/// Parameter of our Record-Route URI that carries the token.
pub const ROUTE_PARAMETER: &[u8] = b"tt";

/// Parameter before it, if the token says so: the address where the far side really is. The token signs it.
pub const ADDRESS_PARAMETER: &[u8] = b"ta";

/// What is ours in our Record-Route URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnRoute {
    /// The token, signed.
    pub(crate) token: [u8; ROUTE_TOKEN_CHARS],
    /// The address beside it.
    pub(crate) address: Option<SocketAddr>,
}

impl OwnRoute {
    /// Writes the parameters, without the semicolon before them.
    #[inline]
    pub(crate) fn write(&self, out: &mut Writer<'_>) {
        if let Some(address) = self.address {
            out.put(ADDRESS_PARAMETER);
            out.byte(b'=');
            out.sent_by(address);
            out.byte(b';');
        }
        out.put(ROUTE_PARAMETER);
        out.byte(b'=');
        out.put(&self.token);
    }
}

/// The slot that owns `message`.
pub fn slot_of(keys: &Keys, message: &Message<'_>) -> u16 {
    let by_token = if message.is_request() { slot_of_route(keys, message) } else { slot_of_branch(keys, message) };
    by_token.unwrap_or_else(|| slot_of_beginning(keys, message, || CallHash::of(keys, message.call_id())))
}

/// The slot of a message that no token of ours steers.
#[inline]
pub(crate) fn slot_of_beginning(keys: &Keys, message: &Message<'_>, call: impl FnOnce() -> CallHash) -> u16 {
    let registered = message.is_request() && message.method() == Method::Register;
    let user = if registered { slot_of_registered(keys, message) } else { None };
    user.unwrap_or_else(|| call().slot())
}

#[cold]
fn slot_of_registered(keys: &Keys, register: &Message<'_>) -> Option<u16> {
    let uri = Uri::parse(register.to().ok()?.uri).ok().filter(|uri| uri.user.is_some())?;
    Some(slot_of_user(&keys.slot_secret(), uri.user_without_params()))
}

/// The slot of a user, by the slot secret of the keys: what is registered for it belongs there, whatever the domain. `user` as it stands in a
/// URI, without parameters: escapes are undone here.
pub fn slot_of_user(slot_secret: &Secret, user: &[u8]) -> u16 {
    let mut room = [0; limits::USER_BYTES_MAX];
    // WHY as it stands when it is too long: such a user is refused, anywhere.
    slot_of_plain_user(slot_secret, unescaped_text(user, &mut room).unwrap_or(user))
}

/// The same for a user whose escapes are undone already.
pub fn slot_of_plain_user(slot_secret: &Secret, user: &[u8]) -> u16 {
    let hash = KeyedHash::new(slot_secret, Purpose::UserSlot).part(user).finish_low();
    // INVARIANT: as for a Call-ID.
    (hash & u64::from(limits::SLOT_COUNT - 1)) as u16
}

/// The slot of a Call-ID.
pub fn slot_of_call_id(keys: &Keys, call_id: &[u8]) -> u16 {
    CallHash::of(keys, call_id).slot()
}

/// Keyed hash of a Call-ID: worked out once for a message, it stands for the Call-ID in all other hashes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallHash(pub(crate) u64);

impl CallHash {
    pub(crate) fn of(keys: &Keys, call_id: &[u8]) -> CallHash {
        CallHash(keys.slot_hash().part(call_id).finish_low())
    }

    /// Its slot.
    pub(crate) const fn slot(self) -> u16 {
        // INVARIANT: SLOT_COUNT is a power of two of at most 16 bits.
        (self.0 & (limits::SLOT_COUNT as u64 - 1)) as u16
    }
}

/// The shard of a slot, for `shards` shards (at least one).
pub const fn shard_of_slot(slot: u16, shards: u16) -> u16 {
    if shards == 0 { 0 } else { slot % shards }
}

fn slot_of_branch(keys: &Keys, response: &Message<'_>) -> Option<u16> {
    let via = response.top_via().ok()?;
    let token = BranchToken::read(via.branch)?.verify(keys, response.call_id(), response.from_tag())?;
    Some(token.owner.slot)
}

fn slot_of_route(keys: &Keys, request: &Message<'_>) -> Option<u16> {
    if request.to_tag().is_empty() {
        return None;
    }
    let top = request.name_addrs(HeaderName::Route).next()?.ok()?;
    let uri = Uri::parse(top.uri).ok()?;
    let seal = keys.seal(request.call_id(), request.from_tag());
    verify_route(keys, &seal, request, &uri).map(|(token, _)| token.owner.slot)
}

/// The token in one of our Route URIs, if it proves this dialog; and whether the initiator sends.
///
/// `seal`: that of the request's Call-ID and From tag.
pub(crate) fn verify_route(
    keys: &Keys,
    seal: &Seal,
    request: &Message<'_>,
    uri: &Uri<'_>,
) -> Option<(RouteToken, bool)> {
    verify_route_token(keys, seal, request, uri.param(ROUTE_PARAMETER)?)
}

/// The same for the token itself.
pub(crate) fn verify_route_token(
    keys: &Keys,
    seal: &Seal,
    request: &Message<'_>,
    text: &[u8],
) -> Option<(RouteToken, bool)> {
    let unverified = RouteToken::read(text)?;
    let by_initiator = match unverified.verify_by(seal) {
        Some(token) => Some(token),
        None if unverified.is_sealed_by(seal) => None,
        None => unverified.verify(keys, request.call_id(), request.from_tag()),
    };
    if let Some(token) = by_initiator {
        return Some((token, true));
    }
    unverified.verify(keys, request.call_id(), request.to_tag()).map(|token| (token, false))
}

/// What our Record-Route says in a request that opens a dialog. `source`: where it came from.
#[allow(clippy::too_many_arguments, reason = "what a token says, and what it is signed for")]
pub(crate) fn own_route(
    keys: &Keys,
    seal: &Seal,
    call: CallHash,
    owner: Owner,
    request: &Message<'_>,
    source: SocketAddr,
    by_source: BySource,
    from_shown: bool,
) -> OwnRoute {
    let address = by_source.caller().then_some(source);
    let far_side = match address {
        Some(address) => hash_of_address(keys, call, address),
        None => hash_of_initiator(keys, call, request),
    };
    let token = RouteToken {
        owner,
        to_responder: false,
        by_source: address.is_some(),
        responder_by_source: by_source.callee(),
        from_shown,
        far_side,
    };
    OwnRoute { token: token.sign(seal), address }
}

/// What our Path says in a REGISTER (RFC 3327): where it came from. Whoever sends along it finds the phone, after our
/// restart too.
pub(crate) fn own_path(keys: &Keys, owner: Owner, source: SocketAddr) -> OwnRoute {
    let token = RouteToken {
        owner,
        to_responder: false,
        by_source: true,
        responder_by_source: false,
        from_shown: false,
        far_side: 0,
    };
    let mut room = [0; ADDRESS_CHARS_MAX];
    let mut text = Writer::new(&mut room);
    text.sent_by(source);
    OwnRoute { token: token.sign(&keys.seal(OF_A_PATH, text.written())), address: Some(source) }
}

/// The address in one of our Path URIs, if we signed it.
#[cold]
pub(crate) fn address_of_path(keys: &Keys, uri: &Uri<'_>) -> Option<SocketAddr> {
    let text = uri.param(ADDRESS_PARAMETER)?;
    let token = RouteToken::read(uri.param(ROUTE_PARAMETER)?)?.verify(keys, OF_A_PATH, text)?;
    if token.by_source && token.far_side == 0 { parse_address(text) } else { None }
}

/// Stands for the Call-ID where the token of a Path is signed. WHY empty: no request has such a one.
const OF_A_PATH: &[u8] = b"";

/// `[2001:db8:1111:2222:3333:4444:255.255.255.255]:65535`.
const ADDRESS_CHARS_MAX: usize = 64;

/// What takes the place of ours in the 2xx that opens a dialog. `beyond`: the Record-Route value next to ours on the
/// responder's side; the initiator's requests go there, else to the Contact (RFC 3261 §12.1.2), or, if the request's
/// token asked for that, to `source`, where the 2xx came from. `None`: the response says neither.
pub(crate) fn route_to_responder(
    keys: &Keys,
    seal: &Seal,
    ours: RouteToken,
    response: &Message<'_>,
    source: SocketAddr,
    beyond: Option<Uri<'_>>,
) -> Option<OwnRoute> {
    let contact = || Uri::parse(response.name_addrs(HeaderName::Contact).next()?.ok()?.uri).ok();
    let address = ours.responder_by_source.then_some(source);
    let call = CallHash::of(keys, response.call_id());
    let far_side = match address {
        Some(address) => hash_of_address(keys, call, address),
        None => hash_of_target(keys, call, &beyond.or_else(contact)?),
    };
    let token = RouteToken { to_responder: true, by_source: address.is_some(), far_side, ..ours };
    Some(OwnRoute { token: token.sign(seal), address })
}

/// The address in one of our Route URIs, if its token, already verified, signs it.
#[inline]
pub(crate) fn signed_address(keys: &Keys, call: CallHash, token: &RouteToken, uri: &Uri<'_>) -> Option<SocketAddr> {
    if token.by_source { verified_address(keys, call, token, uri) } else { None }
}

#[cold]
fn verified_address(keys: &Keys, call: CallHash, token: &RouteToken, uri: &Uri<'_>) -> Option<SocketAddr> {
    let address = parse_address(uri.param(ADDRESS_PARAMETER)?)?;
    (hash_of_address(keys, call, address) == token.far_side).then_some(address)
}

fn parse_address(text: &[u8]) -> Option<SocketAddr> {
    let colon = text.iter().rposition(|&octet| octet == b':')?;
    let (host, port) = text.split_at_checked(colon)?;
    let ip = Host::parse(host)?.ip()?;
    let port = core::str::from_utf8(port.get(1..)?).ok()?.parse().ok().filter(|&port| port != 0)?;
    Some(SocketAddr::new(ip, port))
}

// WHY cold: calls between carriers name no address, and their path is kept free of this.
#[cold]
#[inline(never)]
fn hash_of_address(keys: &Keys, call: CallHash, address: SocketAddr) -> u32 {
    let hash = SignatureHash::new(&keys.slot_secret(), Purpose::Address).number(call.0).address(address.ip());
    low_word(hash.number(u64::from(address.port())).finish_low())
}

/// Where requests to the sender of this request will go: its topmost Record-Route, else its Contact (RFC 3261
/// §12.1.1). 0 if neither can be read.
fn hash_of_initiator(keys: &Keys, call: CallHash, request: &Message<'_>) -> u32 {
    let first = |name| request.name_addrs(name).next();
    let back = first(HeaderName::RecordRoute).or_else(|| first(HeaderName::Contact));
    match back.map(|value| value.ok().and_then(|value| Uri::parse(value.uri).ok())) {
        Some(Some(uri)) => hash_of_target(keys, call, &uri),
        _ => 0,
    }
}

/// Where a request to this URI is sent, in one number that is never 0: `maddr`, else the host, and the port.
pub(crate) fn hash_of_target(keys: &Keys, call: CallHash, uri: &Uri<'_>) -> u32 {
    let hash = keys.initiator_hash().number(call.0);
    let hash = match uri.maddr().unwrap_or(uri.host) {
        Host::Name(name) => hash.part_lower(name),
        host => hash.part(b"").address(host.ip().unwrap_or(Ipv4Addr::UNSPECIFIED.into())),
    };
    low_word(hash.number(u64::from(uri.effective_port())).finish_low())
}

/// 0 means that nothing is known.
fn low_word(number: u64) -> u32 {
    // INVARIANT: masked to 32 bits.
    ((number & u64::from(u32::MAX)) as u32).max(1)
}
