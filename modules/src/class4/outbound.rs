//! An INVITE as the vendor whose turn it is wants it: its number, and what changes in its header.

use super::dialled::{Digits, split};
use super::dip::Dipped;
use super::identity::Crossing;
use super::trunks::{Customer, Vendor};
use crate::dispatcher::UriTooLong;
use proto::message::Writer;
use proto::policy::{Inbound, TargetSet};

/// What changes in the header of the INVITE on its way to this vendor.
pub(super) fn cross(
    customer: Option<&Customer>,
    vendor: &Vendor,
    request: &Inbound<'_>,
    targets: &mut TargetSet,
) -> Result<(), UriTooLong> {
    targets.clear();
    let Some(customer) = customer else { return Ok(()) };
    let crossing = Crossing { customer, vendor, to_vendor: true };
    let written = crossing.edit(request.message, request.request_uri.user.unwrap_or_default(), targets);
    if written { Ok(()) } else { Err(UriTooLong) }
}

/// Longest parameters that a dip adds: `;rn=+`, a number, `;npdi`.
const DIP_BYTES_MAX: usize = 64;

/// Asks with the request as this vendor wants its number.
pub(super) fn outward<R>(
    vendor: &Vendor,
    (called, dipped): (&Digits, &Dipped),
    request: &Inbound<'_>,
    ask: impl FnOnce(&Inbound<'_>) -> Result<R, UriTooLong>,
) -> Result<R, UriTooLong> {
    let (_, parameters) = split(request.request_uri.user.unwrap_or_default());
    let mut room = [0; DIP_BYTES_MAX];
    let mut out = Writer::new(&mut room);
    dipped.parameters(&mut out);
    let length = out.finish().unwrap_or(0);
    // WHY none of a tel: URI: its parameters follow by themselves (RFC 3261 §19.1.6).
    let told = [parameters, room.get(..length).unwrap_or_default()];
    let user = vendor.outward.write(called, told).ok_or(UriTooLong)?;
    let mut written = *request;
    written.request_uri.user = Some(user.as_bytes());
    ask(&written)
}
