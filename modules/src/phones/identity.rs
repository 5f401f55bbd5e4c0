//! What a phone may not say of itself: its P-Asserted-Identity (RFC 3325 §5), its proof once it was taken, and, where that
//! is wanted, a From that is not its account.

use proto::message::{HeaderName, Message};
use proto::policy::EditWriter;

/// Changes the header of a phone's request. `proven`: the name and the realm of its domain, if it has proven to be of its account
/// there; then that account is its identity for all behind us, in From too if that is `foreign`. An account that cannot
/// stand there fails the whole request then.
pub fn edit(request: &Message<'_>, proven: Option<(&[u8], &[u8])>, foreign: bool, edits: &mut EditWriter<'_, '_>) {
    edits.remove(b"P-Asserted-Identity");
    let Some((domain, realm)) = proven else { return };
    edits.remove(b"Authorization");
    edits.remove(b"Proxy-Authorization");
    edits.remove(b"P-Preferred-Identity");
    let user = account_of(request, realm);
    if let Some(user) = user {
        edits.add(b"P-Asserted-Identity", |out| {
            out.put(b"<sip:");
            out.put(user);
            out.byte(b'@');
            out.put(domain);
            out.byte(b'>');
        });
    }
    if foreign {
        let Some(user) = user else { return edits.fail() };
        edits.show_from(|out| [b"sip:", user, b"@", domain].into_iter().for_each(|part| out.put(part)));
    }
}

/// The same within a dialog. `asked`: proofs of phones there are for us.
///
/// WHY proofs come here, where we ask for none: an ACK has that of its INVITE (RFC 3261 §22.1), and phones that
/// remember a challenge put one into every request.
pub fn edit_in_dialog(request: &Message<'_>, asked: bool, edits: &mut EditWriter<'_, '_>) {
    let not_to_say: [(HeaderName, &[u8], bool); 3] = [
        (HeaderName::PAssertedIdentity, b"P-Asserted-Identity", true),
        (HeaderName::Authorization, b"Authorization", asked),
        (HeaderName::ProxyAuthorization, b"Proxy-Authorization", asked),
    ];
    for (name, written, unwanted) in not_to_say {
        if unwanted && request.field(name).is_some() {
            edits.remove(written);
        }
    }
}

/// The account that the credentials name, without a domain that some phones put behind it. `None`: it cannot stand in
/// a URI as it is.
fn account_of<'m>(request: &Message<'m>, realm: &[u8]) -> Option<&'m [u8]> {
    let names = [HeaderName::ProxyAuthorization, HeaderName::Authorization];
    let credentials = names.iter().find_map(|name| request.digest_credentials(*name, realm))?;
    let user = credentials.username.split(|&octet| octet == b'@').next()?;
    let stands = |octet: &u8| octet.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(octet);
    (!user.is_empty() && user.iter().all(stands)).then_some(user)
}
