//! Where a request goes: the targets of one verdict (RFC 3261 §16.5). Filled by a policy, read by
//! `proxy::forward` and `proxy::stateless`.

use super::{EditWriter, Edits};
use crate::message::Writer;
use crate::time::Micros;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::ops::Range;

/// One place to send a request to: a branch before it is one (RFC 3261 §16.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The policy's own number for it (a gateway's index in its table; `u32::MAX`: none).
    pub gateway: u32,
    /// Listener to send from.
    pub listener: u16,
    /// Sides of the dialog that this request opens, if it opens one, that are reached where they really are.
    pub by_source: BySource,
    /// Next hop.
    pub next_hop: SocketAddr,
    /// Connection to use, for streams; 0 over UDP.
    pub flow: u64,
    /// Given up without any response after this long (the branch lives on to its own end).
    /// `Micros(0)`: only Timer B or F ends it.
    pub no_response: Micros,
}

impl Target {
    /// No gateway of a table: an in-dialog target, or a phone.
    pub const NO_GATEWAY: u32 = u32::MAX;
}

/// Sides of a dialog whose later requests go to the address that their INVITE or 2xx really came from, not to what
/// their Contact names: phones, which may be behind NAT. The address travels signed in our Record-Route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BySource {
    /// None.
    #[default]
    Neither,
    /// Who sent the request.
    Caller,
    /// Who answers it.
    Callee,
    /// Both.
    Both,
}

impl BySource {
    /// For these sides.
    pub const fn of(caller: bool, callee: bool) -> Self {
        match (caller, callee) {
            (false, false) => BySource::Neither,
            (true, false) => BySource::Caller,
            (false, true) => BySource::Callee,
            (true, true) => BySource::Both,
        }
    }

    /// Whether the caller is one.
    pub const fn caller(self) -> bool {
        matches!(self, BySource::Caller | BySource::Both)
    }

    /// Whether the callee is one.
    pub const fn callee(self) -> bool {
        matches!(self, BySource::Callee | BySource::Both)
    }
}

/// Targets of one verdict: all are tried in parallel. Serial forking is the next verdict's matter.
///
/// A fixed-size scratch area owned by the proxy and lent to the policy; filling it never allocates.
#[derive(Debug)]
pub struct TargetSet {
    targets: [Option<Entry>; limits::BRANCHES_MAX],
    len: usize,
    text: [u8; limits::TARGET_TEXT_BYTES_MAX],
    text_len: u16,
    /// Edits of every target stand at the beginning of the text.
    common_len: u16,
    caller_by_source: bool,
    attachment: Vec<u8>,
    attachment_len: usize,
    held_until: Option<u64>,
    patience: Patience,
}

/// How long an INVITE may take, beside the timers of RFC 3261. `Micros(0)`: as long as those allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patience {
    /// Until each target of this set has sent a provisional response beyond 100; then it is cancelled and counts as
    /// [`crate::policy::Outcome::NotRinging`].
    pub ringing: Micros,
    /// Until the policy is asked what has become of it ([`crate::policy::Policy::overdue`]). Of a later target set
    /// of the same request `Micros(0)` changes nothing.
    pub overdue: Micros,
}

/// A target; its Request-URI, and behind it its edits, end at these places of the text.
#[derive(Clone, Copy, Debug)]
struct Entry {
    target: Target,
    start: u16,
    uri_end: u16,
    end: u16,
}

const _: () = assert!(limits::TARGET_TEXT_BYTES_MAX <= u16::MAX as usize, "places are u16");

impl Default for TargetSet {
    fn default() -> Self {
        TargetSet {
            targets: [None; limits::BRANCHES_MAX],
            len: 0,
            text: [0; limits::TARGET_TEXT_BYTES_MAX],
            text_len: 0,
            common_len: 0,
            caller_by_source: false,
            attachment: alloc::vec![0; limits::ATTACHMENT_BYTES_MAX],
            attachment_len: 0,
            held_until: None,
            patience: Patience::default(),
        }
    }
}

impl TargetSet {
    /// Empties it.
    pub fn clear(&mut self) {
        self.len = 0;
        self.text_len = 0;
        self.common_len = 0;
        self.caller_by_source = false;
        self.attachment_len = 0;
        self.held_until = None;
        self.patience = Patience::default();
    }
    /// How long the request may take with these targets.
    pub fn wait(&mut self, patience: Patience) {
        self.patience = patience;
    }
    /// See [`TargetSet::wait`].
    pub fn patience(&self) -> Patience {
        self.patience
    }
    /// Text that goes with the verdict: whole header lines (each with its CRLF) of a `Verdict::Reply`, the bytes of
    /// a `Question::Module`. What was attached before is replaced. False: it does not fit, and nothing is attached.
    pub fn attach(&mut self, write: impl FnOnce(&mut Writer<'_>)) -> bool {
        let mut writer = Writer::new(&mut self.attachment);
        write(&mut writer);
        let written = writer.finish().ok();
        self.attachment_len = written.unwrap_or(0);
        written.is_some()
    }
    /// What is attached.
    pub fn attachment(&self) -> &[u8] {
        self.attachment.get(..self.attachment_len).unwrap_or_default()
    }
    /// The reply leaves when the journal says that this record is durable ([`crate::proxy::Outbox`]).
    pub fn hold_until(&mut self, record: u64) {
        self.held_until = Some(record);
    }
    /// The record that the reply waits for.
    pub fn held_until(&self) -> Option<u64> {
        self.held_until
    }
    /// What holds for every target that is added afterwards, whoever adds it: whether the caller is reached where it
    /// really is, and changes to the header. False: an edit is none, or there are targets already.
    pub fn for_every(&mut self, caller_by_source: bool, edit: impl FnOnce(&mut EditWriter<'_, '_>)) -> bool {
        let mut writer = Writer::new(&mut self.text);
        edit(&mut EditWriter::new(&mut writer));
        let (0, 0, Ok(Ok(written))) = (self.len, self.common_len, writer.finish().map(u16::try_from)) else {
            return false;
        };
        self.caller_by_source = caller_by_source;
        (self.common_len, self.text_len) = (written, written);
        true
    }
    /// Adds a target whose Request-URI stays as it came. False: no room.
    pub fn push(&mut self, target: Target) -> bool {
        self.push_with_uri(target, |_| {})
    }
    /// Adds a target with the Request-URI that `write` writes (nothing written: it stays). False: no room, or the
    /// URI is longer than [`limits::URI_BYTES_MAX`].
    pub fn push_with_uri(&mut self, target: Target, write: impl FnOnce(&mut Writer<'_>)) -> bool {
        self.push_edited(target, write, |_| {})
    }
    /// The same with changes to the header of its request. False also if an edit is none ([`EditWriter`]).
    pub fn push_edited(
        &mut self,
        target: Target,
        write: impl FnOnce(&mut Writer<'_>),
        edit: impl FnOnce(&mut EditWriter<'_, '_>),
    ) -> bool {
        let (before, room) = self.text.split_at_mut(usize::from(self.text_len).min(limits::TARGET_TEXT_BYTES_MAX));
        let mut writer = Writer::new(room);
        write(&mut writer);
        let uri = writer.len();
        if self.common_len > 0 {
            writer.put(before.get(..usize::from(self.common_len)).unwrap_or_default());
        }
        edit(&mut EditWriter::new(&mut writer));
        let (Some(entry), Ok(written), true) =
            (self.targets.get_mut(self.len), writer.finish(), uri <= limits::URI_BYTES_MAX)
        else {
            return false;
        };
        let start = self.text_len;
        let (Ok(uri), Ok(written)) = (u16::try_from(uri), u16::try_from(written)) else {
            return false;
        };
        // INVARIANT: both lie in the text, whose length is a u16.
        let (uri_end, end) = (start + uri, start + written);
        let by_source = BySource::of(self.caller_by_source || target.by_source.caller(), target.by_source.callee());
        *entry = Some(Entry { target: Target { by_source, ..target }, start, uri_end, end });
        self.len += 1;
        self.text_len = end;
        true
    }
    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The target in that place, with its new Request-URI (empty: unchanged).
    pub fn get(&self, place: usize) -> Option<(Target, &[u8])> {
        let entry = self.entry(place)?;
        Some((entry.target, self.text(entry.start..entry.uri_end)))
    }
    /// The changes to the header of that target's request.
    pub fn edits(&self, place: usize) -> Edits<'_> {
        Edits::new(self.entry(place).map_or(&[], |entry| self.text(entry.uri_end..entry.end)))
    }
    /// Targets in order, each with its new Request-URI.
    pub fn iter(&self) -> impl Iterator<Item = (Target, &[u8])> {
        (0..self.len).filter_map(|place| self.get(place))
    }

    fn entry(&self, place: usize) -> Option<Entry> {
        *self.targets.get(..self.len)?.get(place)?
    }

    fn text(&self, range: Range<u16>) -> &[u8] {
        self.text.get(usize::from(range.start)..usize::from(range.end)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use std::vec::Vec;

    fn target() -> Target {
        Target {
            gateway: Target::NO_GATEWAY,
            listener: 0,
            by_source: BySource::Callee,
            next_hop: "192.0.2.1:5060".parse().unwrap(),
            flow: 0,
            no_response: Micros(0),
        }
    }

    #[test]
    fn what_holds_for_every_target_is_with_each() {
        let mut targets = TargetSet::default();
        assert!(targets.for_every(true, |edits| edits.remove(b"Authorization")));
        assert!(targets.push(target()));
        assert!(targets.push_edited(target(), |out| out.put(b"sip:a@b"), |edits| edits.route(b"<sip:c;lr>")));
        for (place, uri, routes) in [(0, &b""[..], 0), (1, b"sip:a@b", 1)] {
            let (target, written) = targets.get(place).unwrap();
            assert_eq!((target.by_source, written), (BySource::Both, uri));
            let edits = targets.edits(place);
            assert!(edits.bytes().starts_with(b"-Authorization\r\n"));
            assert_eq!(edits.routes().count(), routes);
        }
        assert!(!targets.for_every(false, |_| {}), "too late");
        targets.clear();
        assert!(targets.push(target()));
        assert_eq!((targets.edits(0), targets.get(0).unwrap().0), (Edits::default(), target()));
    }

    #[test]
    fn what_does_not_fit_is_not_added() {
        let mut targets = TargetSet::default();
        assert!(!targets.push_with_uri(target(), |out| out.put(&[b'a'; limits::URI_BYTES_MAX + 1])));
        assert!(!targets.push_edited(target(), |_| {}, |edits| edits.route(b"a\r\nb")));
        let many = (0..limits::BRANCHES_MAX + 1).map(|_| targets.push(target())).collect::<Vec<_>>();
        assert_eq!(many.iter().filter(|pushed| **pushed).count(), limits::BRANCHES_MAX);
        assert_eq!(targets.len(), limits::BRANCHES_MAX);
    }
}
