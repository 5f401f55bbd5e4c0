//! Methods known by number (RFC 3261 §7.1, RFC 3262, 3311, 3428, 3515, 3903, 6086, 6665).

use super::name::start_of;

/// A request method. Case-sensitive; what is not listed is [`Method::Other`] and keeps its bytes in
/// the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the methods")]
pub enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Options,
    Register,
    Prack,
    Update,
    Info,
    Subscribe,
    Notify,
    Refer,
    Message,
    Publish,
    /// Any other token.
    Other,
}

impl Method {
    /// Number of variants, for tables indexed by method.
    pub const COUNT: usize = 15;

    /// All of them, in the order of their numbers.
    pub const ALL: [Method; Method::COUNT] = [
        Method::Invite,
        Method::Ack,
        Method::Bye,
        Method::Cancel,
        Method::Options,
        Method::Register,
        Method::Prack,
        Method::Update,
        Method::Info,
        Method::Subscribe,
        Method::Notify,
        Method::Refer,
        Method::Message,
        Method::Publish,
        Method::Other,
    ];

    /// The method of that name.
    pub fn of(name: &[u8]) -> Method {
        match name {
            b"INVITE" => Method::Invite,
            b"ACK" => Method::Ack,
            b"BYE" => Method::Bye,
            b"CANCEL" => Method::Cancel,
            b"OPTIONS" => Method::Options,
            b"REGISTER" => Method::Register,
            b"PRACK" => Method::Prack,
            b"UPDATE" => Method::Update,
            b"INFO" => Method::Info,
            b"SUBSCRIBE" => Method::Subscribe,
            b"NOTIFY" => Method::Notify,
            b"REFER" => Method::Refer,
            b"MESSAGE" => Method::Message,
            b"PUBLISH" => Method::Publish,
            _ => Method::Other,
        }
    }

    /// The method whose name of at most eight octets `word` is: the first in the lowest byte, zeros after
    /// its end. [`Method::Other`] for longer ones too.
    pub(super) fn of_word(word: u64) -> Method {
        const WORDS: [(u64, Method); 13] = {
            let mut words = [(0, Method::Other); 13];
            let mut i = 0;
            while i < words.len() {
                words[i] = (start_of(SHORT[i].as_str().as_bytes()), SHORT[i]);
                i += 1;
            }
            words
        };
        WORDS.iter().find(|(name, _)| *name == word).map_or(Method::Other, |&(_, method)| method)
    }

    /// Its name as it stands in a request line; `other` for [`Method::Other`], whose bytes only the
    /// message has.
    pub const fn as_str(self) -> &'static str {
        match self {
            Method::Invite => "INVITE",
            Method::Ack => "ACK",
            Method::Bye => "BYE",
            Method::Cancel => "CANCEL",
            Method::Options => "OPTIONS",
            Method::Register => "REGISTER",
            Method::Prack => "PRACK",
            Method::Update => "UPDATE",
            Method::Info => "INFO",
            Method::Subscribe => "SUBSCRIBE",
            Method::Notify => "NOTIFY",
            Method::Refer => "REFER",
            Method::Message => "MESSAGE",
            Method::Publish => "PUBLISH",
            Method::Other => "other",
        }
    }
}

/// Methods whose names fit one word, the most frequent first.
const SHORT: [Method; 13] = [
    Method::Invite,
    Method::Ack,
    Method::Bye,
    Method::Options,
    Method::Register,
    Method::Cancel,
    Method::Prack,
    Method::Update,
    Method::Info,
    Method::Notify,
    Method::Refer,
    Method::Message,
    Method::Publish,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_words_agree() {
        for method in SHORT {
            assert_eq!(Method::of(method.as_str().as_bytes()), method);
            assert_eq!(Method::of_word(start_of(method.as_str().as_bytes())), method);
        }
        assert_eq!(Method::of(b"SUBSCRIBE"), Method::Subscribe);
        assert_eq!(Method::of(b"invite"), Method::Other, "methods are case-sensitive");
        assert_eq!(Method::of_word(0), Method::Other);
        assert_eq!(Method::of_word(start_of(b"INVITED")), Method::Other);
    }
}
