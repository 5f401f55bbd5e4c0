//! What a record says, field by field: one table for the shards that write, the lane that joins, and whoever reads.
//!
//! A field is `number (1) length (2, little-endian) bytes`. A reader leaves out numbers that it does not know, so a
//! release may add some. A number is never given to another field.

use crate::encoding::Decoder;
use deck::billing::Increments;
use deck::money::{Decimal, Digits};
use limits::records::TEXT_BYTES_MAX;
use std::net::SocketAddr;

/// What the bytes of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As received, or a name of ours.
    Text,
    /// Microseconds since 1970 (UTC).
    Time,
    /// A whole number.
    Number,
    /// An exact decimal number.
    Decimal,
    /// Address and port.
    Address,
    /// Initial and subsequent increment in seconds.
    Increments,
    /// Codecs of a session description, see `sdp.rs`.
    Codecs,
    /// The choice among vendors, see `choice.rs`.
    Choice,
    /// For a restart; shown to nobody.
    Inner,
}

macro_rules! fields {
    ($( $(#[doc = $doc:literal])* $field:ident = $number:literal, $name:literal, $kind:ident; )*) => {
        /// A field of a record.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Field { $( $(#[doc = $doc])* $field = $number, )* }

        impl Field {
            /// All fields, in the order in which they are shown.
            pub const ALL: &'static [Field] = &[ $( Field::$field ),* ];

            /// Its name in JSON, CSV and tables.
            pub const fn name(self) -> &'static str {
                match self { $( Field::$field => $name, )* }
            }

            /// What its bytes are.
            pub const fn kind(self) -> Kind {
                match self { $( Field::$field => Kind::$kind, )* }
            }

            /// The field of a number; `None`: a later release's.
            pub const fn of_number(number: u8) -> Option<Field> {
                match number { $( $number => Some(Field::$field), )* _ => None }
            }
        }
    };
}

fields! {
    /// Number of the call at its node in its epoch.
    Call = 1, "call", Number;
    /// Start of the process that let the call in, in milliseconds since 1970.
    CallEpoch = 2, "call_epoch", Number;
    /// Of a further answer to one INVITE: the call that it belongs to.
    Parent = 3, "parent_call", Number;
    /// Call-ID.
    CallId = 4, "call_id", Text;
    /// Tag of the caller.
    FromTag = 5, "from_tag", Text;
    /// Tag of the side that answered, or refused.
    ToTag = 6, "to_tag", Text;
    /// The customer.
    Customer = 7, "customer", Text;
    /// When the INVITE came.
    Setup = 8, "setup_time", Time;
    /// Which attempt of the call, from 1.
    Attempt = 9, "attempt", Number;
    /// Attempts of the call.
    Attempts = 10, "attempts", Number;
    /// When the attempt was sent.
    Sent = 11, "sent_time", Time;
    /// When the first 18x came.
    Ringing = 12, "ringing_time", Time;
    /// When the first session description came.
    Media = 13, "media_time", Time;
    /// When the 200 came.
    Answer = 14, "answer_time", Time;
    /// When the call or attempt ended.
    End = 15, "end_time", Time;
    /// From the vendor's 200 to the first BYE, or the last proven moment, in microseconds.
    Duration = 16, "duration_us", Number;
    /// Last moment at which the call was proven to live; of calls that no BYE has closed.
    Proven = 17, "proven_time", Time;
    /// Request-URI as received.
    CalledReceived = 18, "called_received", Text;
    /// Called number with its country code.
    Called = 19, "called", Text;
    /// User part of the Request-URI as sent to the vendor.
    CalledSent = 20, "called_sent", Text;
    /// URI of From as received. It leaves as it came.
    CallerReceived = 21, "caller_received", Text;
    /// Caller's number with its country code.
    Caller = 22, "caller", Text;
    /// User part of the caller's identity as sent, where it differs.
    CallerSent = 23, "caller_sent", Text;
    /// P-Asserted-Identity (RFC 3325) as received.
    IdentityReceived = 24, "identity_received", Text;
    /// Privacy (RFC 3323) as received.
    Privacy = 25, "privacy", Text;
    /// Number that decks were asked with: `rn` (RFC 4694), else the called one.
    Routing = 26, "routing_number", Text;
    /// Where the call runs (North America).
    Jurisdiction = 27, "jurisdiction", Text;
    /// Group of the caller's number in the customer's deck.
    SellOrigin = 28, "sell_origin", Text;
    /// The same in the vendor's.
    BuyOrigin = 29, "buy_origin", Text;
    /// Where the customer sends from.
    CustomerAddress = 30, "customer_address", Address;
    /// Our address towards the customer.
    CustomerLocal = 31, "customer_local_address", Address;
    /// Where the gateway is.
    GatewayAddress = 32, "gateway_address", Address;
    /// Our address towards the gateway.
    GatewayLocal = 33, "gateway_local_address", Address;
    /// Address and port of the caller's session description.
    CallerMedia = 34, "caller_media", Text;
    /// Codecs that the caller offers.
    CallerCodecs = 35, "caller_codecs", Codecs;
    /// Address and port of the answering side's.
    CalleeMedia = 36, "callee_media", Text;
    /// Codecs of the answering side.
    CalleeCodecs = 37, "callee_codecs", Codecs;
    /// The vendor.
    Vendor = 38, "vendor", Text;
    /// The gateway, as the file names it.
    Gateway = 39, "gateway", Text;
    /// What the decks were: the first digits of their image's hash.
    Decks = 40, "decks", Text;
    /// The customer's deck.
    SellDeck = 41, "sell_deck", Text;
    /// Code of it that decided.
    SellPrefix = 42, "sell_prefix", Text;
    /// Name of that destination.
    SellDestination = 43, "sell_destination", Text;
    /// Price of a minute.
    SellPrice = 44, "sell_price", Decimal;
    /// Charged once.
    SellFee = 45, "sell_fee", Decimal;
    /// How time is counted.
    SellIncrements = 46, "sell_increments", Increments;
    /// How microseconds become seconds: `up`, `nearest`.
    SellRounding = 47, "sell_rounding", Text;
    /// Decimals of the amount.
    SellDigits = 48, "sell_digits", Number;
    /// Its currency.
    SellCurrency = 49, "sell_currency", Text;
    /// What one of it is in the currency of the house.
    SellRate = 50, "sell_rate", Decimal;
    /// Seconds that the customer is billed.
    SellSeconds = 51, "sell_billed_seconds", Number;
    /// What the customer pays.
    SellAmount = 52, "sell_amount", Decimal;
    /// The vendor's deck.
    BuyDeck = 53, "buy_deck", Text;
    /// Code of it that decided.
    BuyPrefix = 54, "buy_prefix", Text;
    /// Name of that destination.
    BuyDestination = 55, "buy_destination", Text;
    /// Price of a minute.
    BuyPrice = 56, "buy_price", Decimal;
    /// Charged once.
    BuyFee = 57, "buy_fee", Decimal;
    /// How time is counted.
    BuyIncrements = 58, "buy_increments", Increments;
    /// How microseconds become seconds.
    BuyRounding = 59, "buy_rounding", Text;
    /// Decimals of the amount.
    BuyDigits = 60, "buy_digits", Number;
    /// Its currency.
    BuyCurrency = 61, "buy_currency", Text;
    /// What one of it is in the currency of the house.
    BuyRate = 62, "buy_rate", Decimal;
    /// Seconds that the vendor bills.
    BuySeconds = 63, "buy_billed_seconds", Number;
    /// What the vendor gets: the cost.
    BuyAmount = 64, "buy_amount", Decimal;
    /// What is left, in the currency of the house.
    Margin = 65, "margin", Decimal;
    /// The currency of the house.
    Currency = 66, "currency", Text;
    /// SIP code: of an attempt what the gateway said, of a call what the customer got.
    Status = 67, "status", Number;
    /// Reason (RFC 3326) in full, of that response or of the BYE.
    Reason = 68, "reason", Text;
    /// Why it ended, as we see it.
    Cause = 69, "cause", Text;
    /// Who hung up: `caller`, `callee`, `us`.
    HungUp = 70, "hung_up", Text;
    /// What closed it: `bye`, or why it was closed without one.
    ClosedBy = 71, "closed_by", Text;
    /// Every vendor of the plan, its price, and why it was out.
    Choice = 72, "choice", Choice;
    /// What a restart needs of the call.
    State = 73, "state", Inner;
    /// Where a record of an open call stands: file, offset, length.
    Place = 74, "place", Inner;
    /// Of the first record of a start: the epoch before.
    PreviousEpoch = 75, "previous_epoch", Number;
    /// And the last sequence that is known of it.
    PreviousSequence = 76, "previous_sequence", Number;
    /// Release that wrote it.
    Release = 77, "release", Text;
    /// Where a BYE for an unknown call came from.
    Source = 78, "source_address", Address;
    /// It is an emergency call.
    Emergency = 79, "emergency", Number;
    /// What came of asking for its routing number: `ported`, `not_ported`, `failed`; nothing: it was not asked.
    Dip = 80, "dip", Text;
    /// The customer's destination (`[[customer.destination]]`) whose bounds hold for it.
    BoundDestination = 81, "bound_destination", Text;
    /// Of a loop: the customer that had sent the same numbers just before.
    LoopCustomer = 82, "loop_customer", Text;
    /// And how long before, in microseconds.
    LoopAgo = 83, "loop_ago_us", Number;
    /// Of a vendor that was passed over: its place among those that may take the call, from 0. In a record both stand in
    /// the choice.
    PassedPlace = 84, "passed_place", Inner;
    /// And why.
    PassedWhy = 85, "passed_why", Inner;
    /// What was charged to the customer's balance so far, this call included; of an answered call also its price a minute
    /// and increments, as they are charged: 8 octets, then 8, 2, 2. What a restart needs.
    Charged = 86, "charged", Inner;
    /// Of the first record of a file: a customer, and what was charged to its balance.
    Account = 87, "account", Inner;
}

/// Fields under construction: in a batch of the shard (where nothing is allocated), or in a frame of the lane.
#[derive(Debug)]
pub struct Fields<'o> {
    out: &'o mut Vec<u8>,
    end: usize,
}

impl<'o> Fields<'o> {
    /// Appends to `out`, as far as what it has reserved.
    pub fn within(out: &'o mut Vec<u8>) -> Self {
        let end = out.capacity();
        Fields { out, end }
    }

    /// Appends to `out`, which may grow.
    pub fn growing(out: &'o mut Vec<u8>) -> Self {
        Fields { out, end: usize::MAX }
    }

    /// A text; one that is empty is left out, what is too long is cut.
    pub fn text(&mut self, field: Field, text: &[u8]) -> &mut Self {
        if text.is_empty() {
            return self;
        }
        self.put(field, text.get(..TEXT_BYTES_MAX).unwrap_or(text))
    }

    /// A moment in microseconds since 1970.
    pub fn time(&mut self, field: Field, at: u64) -> &mut Self {
        self.number(field, at)
    }

    /// A whole number.
    pub fn number(&mut self, field: Field, number: u64) -> &mut Self {
        self.put(field, &number.to_le_bytes())
    }

    /// A decimal number.
    pub fn decimal(&mut self, field: Field, decimal: Decimal) -> &mut Self {
        let mut bytes = [decimal.digits.count(); 9];
        bytes.iter_mut().zip(decimal.units.to_le_bytes()).for_each(|(room, byte)| *room = byte);
        self.put(field, &bytes)
    }

    /// How time is counted.
    pub fn increments(&mut self, field: Field, increments: Increments) -> &mut Self {
        let [a, b] = increments.initial.to_le_bytes();
        let [c, d] = increments.subsequent.to_le_bytes();
        self.put(field, &[a, b, c, d])
    }

    /// An address: sixteen octets (IPv4 mapped), port.
    pub fn address(&mut self, field: Field, address: SocketAddr) -> &mut Self {
        let octets = match address {
            SocketAddr::V4(v4) => v4.ip().to_ipv6_mapped().octets(),
            SocketAddr::V6(v6) => v6.ip().octets(),
        };
        let mut bytes = [0; 18];
        let port = address.port().to_le_bytes();
        bytes.iter_mut().zip(octets.iter().chain(&port)).for_each(|(room, byte)| *room = *byte);
        self.put(field, &bytes)
    }

    /// Fields that were written before.
    pub fn again(&mut self, fields: &[u8]) -> &mut Self {
        if self.has_room(fields.len()) {
            self.out.extend_from_slice(fields);
        }
        self
    }

    /// A field whose bytes `write` appends.
    pub fn with(&mut self, field: Field, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        let from = self.out.len();
        // INVARIANT: what writes by itself is bounded by an event's room, which was there.
        self.out.extend_from_slice(&[field as u8, 0, 0]);
        write(self.out);
        let length = self.out.len() - from - 3;
        match (u16::try_from(length), self.out.get_mut(from + 1..from + 3)) {
            (Ok(length), Some(room)) if length > 0 => room.copy_from_slice(&length.to_le_bytes()),
            _ => self.out.truncate(from),
        }
        self
    }

    fn put(&mut self, field: Field, bytes: &[u8]) -> &mut Self {
        // INVARIANT: no field is longer than a text, which is far below 64 KB.
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes();
        if self.has_room(bytes.len() + 3) {
            self.out.push(field as u8);
            self.out.extend_from_slice(&length);
            self.out.extend_from_slice(bytes);
        }
        self
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.out.len().saturating_add(bytes) <= self.end
    }
}

/// Fields on their way back: number, bytes, and all of it as it stands. Ends at what is no field.
#[derive(Clone, Copy, Debug)]
pub struct Read<'b>(pub &'b [u8]);

impl<'b> Iterator for Read<'b> {
    type Item = (u8, &'b [u8], &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[number, low, high], rest) = self.0.split_first_chunk()?;
        let length = usize::from(u16::from_le_bytes([low, high]));
        let (bytes, behind) = rest.split_at_checked(length)?;
        let whole = self.0.get(..length + 3)?;
        self.0 = behind;
        Some((number, bytes, whole))
    }
}

/// Fields by their number, for who asks for many: read once. Of a kind the last holds, as in [`find`].
#[derive(Debug)]
pub struct Listed<'b>([Option<&'b [u8]>; 256]);

impl<'b> Listed<'b> {
    /// Of these fields.
    pub fn of(fields: &'b [u8]) -> Self {
        let mut listed = [None; 256];
        for (number, bytes, _) in Read(fields) {
            if let Some(place) = listed.get_mut(usize::from(number)) {
                *place = Some(bytes);
            }
        }
        Listed(listed)
    }

    /// The value of a field.
    pub fn find(&self, field: Field) -> Option<&'b [u8]> {
        self.0.get(field as usize).copied().flatten()
    }

    /// A number or a time.
    pub fn number(&self, field: Field) -> Option<u64> {
        self.find(field).and_then(as_number)
    }

    /// A decimal number.
    pub fn decimal(&self, field: Field) -> Option<Decimal> {
        self.find(field).and_then(as_decimal)
    }
}

/// The value of the last field of that kind in `fields`: what came later holds.
pub fn find(fields: &[u8], field: Field) -> Option<&[u8]> {
    Read(fields).filter(|(number, ..)| *number == field as u8).last().map(|(_, bytes, _)| bytes)
}

/// A number or a time.
pub fn number(fields: &[u8], field: Field) -> Option<u64> {
    find(fields, field).and_then(as_number)
}

/// The bytes of a number or a time.
pub fn as_number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_le_bytes)
}

/// The bytes of a decimal number.
pub fn as_decimal(bytes: &[u8]) -> Option<Decimal> {
    let (units, digits) = bytes.split_first_chunk()?;
    let [digits] = *digits else { return None };
    Some(Decimal { units: i64::from_le_bytes(*units), digits: Digits::new(digits)? })
}

/// The bytes of increments.
pub fn as_increments(bytes: &[u8]) -> Option<Increments> {
    let &[a, b, c, d] = bytes else { return None };
    Some(Increments { initial: u16::from_le_bytes([a, b]), subsequent: u16::from_le_bytes([c, d]) })
}

/// The bytes of an address.
pub fn as_address(bytes: &[u8]) -> Option<SocketAddr> {
    let mut from = Decoder::new(bytes);
    let ip = std::net::Ipv6Addr::from(from.number::<16>()?).to_canonical();
    let port = from.short()?;
    from.end().map(|()| SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_and_names_are_given_once() {
        let names: BTreeSet<_> = Field::ALL.iter().map(|field| field.name()).collect();
        assert_eq!(names.len(), Field::ALL.len());
        for field in Field::ALL {
            assert_eq!(Field::of_number(*field as u8), Some(*field));
        }
        assert_eq!(Field::of_number(255), None);
    }

    #[test]
    fn what_is_written_comes_back_and_nothing_grows() {
        let mut bytes = Vec::with_capacity(120);
        let (v4, v6) = ("192.0.2.1:5060".parse().unwrap(), "[2001:db8::1]:5061".parse().unwrap());
        let price = Decimal::parse("-0.0123").unwrap();
        let steps = Increments { initial: 30, subsequent: 6 };
        let mut out = Fields::within(&mut bytes);
        out.text(Field::CallId, b"a@b")
            .text(Field::Reason, b"")
            .number(Field::Call, 7)
            .decimal(Field::SellPrice, price);
        out.increments(Field::SellIncrements, steps).address(Field::CustomerAddress, v4).address(Field::Source, v6);
        out.with(Field::State, |out| out.push(9)).text(Field::Cause, &[b'x'; 100]);
        assert_eq!(bytes.capacity(), 120);
        assert_eq!(find(&bytes, Field::CallId), Some(&b"a@b"[..]));
        assert_eq!((number(&bytes, Field::Call), find(&bytes, Field::Reason)), (Some(7), None));
        assert_eq!(find(&bytes, Field::SellPrice).and_then(as_decimal), Some(price));
        assert_eq!(find(&bytes, Field::SellIncrements).and_then(as_increments), Some(steps));
        assert_eq!(find(&bytes, Field::CustomerAddress).and_then(as_address), Some(v4));
        assert_eq!(find(&bytes, Field::Source).and_then(as_address), Some(v6));
        assert_eq!((find(&bytes, Field::State), find(&bytes, Field::Cause)), (Some(&[9][..]), None));
    }
}
