//! The header lines of a response to REGISTER (RFC 3261 §10.3 item 8, RFC 3327 §5.3, RFC 3608, RFC 5626 §6, RFC 5627 §5.4).

use super::gruu::{self, Temporary};
use super::record::{Binding, Bindings};
use crate::reason::Reason;
use crate::tables::{Domain, Expires};
use proto::hash::Secret;
use proto::message::{HeaderName, Message, Writer};

/// Extensions of REGISTER that we carry out.
pub(super) const SUPPORTED: [&[u8]; 3] = [b"path", b"outbound", b"gruu"];

/// What a 200 depends on, beside the bindings.
pub(super) struct Answer<'a> {
    pub(super) domain: &'a Domain,
    pub(super) user: &'a [u8],
    /// RFC 5626 was applied.
    pub(super) outbound: bool,
    /// The phone supports GRUU.
    pub(super) gruu: bool,
    pub(super) second: u32,
    /// The Date line.
    pub(super) date: &'a [u8],
}

/// The lines of a 200: every live binding with what is left of it.
pub(super) fn write(
    answer: &Answer<'_>,
    gruu_secret: &Secret,
    bindings: Bindings<'_>,
    request: &Message<'_>,
    path: &[u8],
    out: &mut Writer<'_>,
) {
    for binding in bindings {
        // WHY not those in their grace: their time is over, they only are not gone yet.
        let Some(left) = binding.expires.checked_sub(answer.second).filter(|left| *left > 0) else { continue };
        write_contact(answer, gruu_secret, &binding, left, out);
    }
    if !path.is_empty() && request.tokens(HeaderName::Supported).any(|tag| tag == b"path") {
        out.put(b"Path: ");
        out.put(path);
        out.put(b"\r\n");
    }
    out.put(&answer.domain.service_route);
    out.put(answer.date);
    if answer.outbound {
        out.put(b"Require: outbound\r\n");
    }
    out.put(if answer.domain.gruu { b"Supported: path, outbound, gruu\r\n" } else { b"Supported: path, outbound\r\n" });
}

fn write_contact(answer: &Answer<'_>, gruu_secret: &Secret, binding: &Binding<'_>, left: u32, out: &mut Writer<'_>) {
    out.put(b"Contact: <");
    out.put(binding.contact);
    out.put(b">;expires=");
    out.decimal(u64::from(left));
    if binding.q != 1_000 {
        out.put(b";q=0.");
        for digit in [binding.q / 100, binding.q / 10 % 10, binding.q % 10] {
            out.decimal(u64::from(digit));
        }
    }
    if !binding.instance.is_empty() {
        out.put(b";+sip.instance=\"");
        out.put(binding.instance);
        out.byte(b'"');
    }
    if binding.reg_id != 0 {
        out.put(b";reg-id=");
        out.decimal(u64::from(binding.reg_id));
    }
    if answer.gruu && binding.gruu {
        out.put(b";pub-gruu=\"");
        gruu::write_public(answer.user, &answer.domain.name, binding.instance, out);
        out.put(b"\";temp-gruu=\"");
        let temporary = Temporary { user: answer.user, binding };
        temporary.write(gruu_secret, &answer.domain.name, out);
        out.byte(b'"');
    }
    out.put(b"\r\n");
}

/// The lines of a refusal.
pub(super) fn write_refusal(reason: Reason, expires: &Expires, request: &Message<'_>, out: &mut Writer<'_>) {
    match reason {
        Reason::ExpiresTooBrief => {
            out.put(b"Min-Expires: ");
            out.decimal(u64::from(expires.min));
            out.put(b"\r\n");
        }
        Reason::ExtensionUnsupported => {
            for tag in request.tokens(HeaderName::Require).filter(|tag| !SUPPORTED.contains(tag)) {
                out.put(b"Unsupported: ");
                out.put(tag);
                out.put(b"\r\n");
            }
        }
        Reason::JournalBroken | Reason::JournalBehind | Reason::RegistrarFull => {
            out.put(b"Retry-After: 10\r\n");
        }
        _ => {}
    }
}
