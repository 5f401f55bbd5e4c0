//! The Request-URI for a gateway: the user part stays, host and port become the gateway's.
//!
//! A `tel:` URI becomes a `sip:` one by RFC 3261 §19.1.6. Parameters stay, except those that say how to
//! reach the host that stood there (`transport`, `maddr`, `ttl`, `lr`): they would lead away from the gateway.

use crate::tables::Gateway;
use proto::message::{Scheme, Uri, Writer};

const OF_THE_HOST: [&[u8]; 4] = [b"transport", b"maddr", b"ttl", b"lr"];

/// Writes it.
pub(super) fn write(uri: &Uri<'_>, gateway: &Gateway, out: &mut Writer<'_>) {
    out.put(b"sip:");
    if let Some(user) = uri.user {
        out.put(user);
        if uri.scheme == Scheme::Tel && !uri.params.is_empty() {
            // The parameters of a number belong to the user part (RFC 3261 §19.1.6).
            out.byte(b';');
            out.put(uri.params);
        }
        if let Some(password) = uri.password {
            out.byte(b':');
            out.put(password);
        }
        out.byte(b'@');
    }
    out.put(&gateway.host);
    if let Some(port) = gateway.port {
        out.byte(b':');
        out.decimal(u64::from(port));
    }
    if uri.scheme == Scheme::Tel {
        out.put(b";user=phone");
        return;
    }
    for parameter in uri.params.split(|&byte| byte == b';').filter(|parameter| !parameter.is_empty()) {
        let name = parameter.split(|&byte| byte == b'=').next().unwrap_or_default();
        if !OF_THE_HOST.iter().any(|of_host| of_host.eq_ignore_ascii_case(name)) {
            out.byte(b';');
            out.put(parameter);
        }
    }
}
