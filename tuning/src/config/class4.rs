//! `[[customer]]`, `[[vendor]]` and `[class4]`: who sends calls at which price, and over whom they go.

use super::{
    Alarms, Amount, CallerIn, CappedDestination, Emergency, HeaderRule, Lnp, NumberPrefix, Pin, Quality, Window,
};
use crate::read::{
    DeckName, Network, Node, OffOr, Reader, SetName, StatusCodes, Value, milliseconds, minutes, seconds,
};
use crate::schema::{Kind, defaults};
use std::fmt;
use std::time::Duration;

choice! {
    /// What puts one vendor before another. Among equals the next of price and priority counts, then chance by weight.
    RouteOrder {
        /// The cheapest first.
        Price = "price",
        /// The lowest `priority` first.
        Priority = "priority",
        /// Chance, by `weight` alone.
        Weight = "weight",
        /// The best of `[class4.quality]` first, then price and priority.
        Quality = "quality",
    }
}

section! {
    /// Who sends calls, and is charged for them. Its sources need not stand in `sources` too.
    Customer {
        /// Name; unique in the file.
        live name: String;
        /// The company behind it: calls never go to a vendor of the same one.
        live carrier: Option<String> = None, derived "its name";
        /// Where its calls come from: prefixes or addresses, with a port where only that one is meant.
        live sources: Vec<TrunkSource>;
        /// Digits that its numbers begin with, and that are taken off: tells customers behind one address apart.
        live tech_prefix: Option<NumberPrefix> = None;
        /// The vendors that it may use: those that list this plan.
        live plan: String;
        /// What it is charged.
        live deck: DeckName;
        /// What puts one vendor before another.
        live order: RouteOrder = RouteOrder::Price;
        /// Least margin, in percent of the customer's price; a vendor below it is passed over. "off": calls may lose money.
        live margin_percent: OffOr<u16> = OffOr::On(0), within 0 => 99;
        /// Most new calls a second, all shards together.
        live cps: Option<u32> = None, within 1 => 100_000;
        /// Calls that may come at once above that pace.
        live burst: Option<u32> = None, derived "a tenth of cps, at least 2", within 1 => 100_000;
        /// Most calls at the same time, ringing ones included, all shards together.
        live concurrent: Option<u32> = None, within 1 => 100_000_000;
        /// Bounds of its calls to some destinations, beside those of all its calls.
        live destinations as "destination": Vec<CappedDestination> = Vec::new();
        /// Digits that are taken off the called number, after the tech prefix.
        live strip: u16 = 0, within 0 => 15;
        /// Digits that are put before what is left.
        live add: Option<NumberPrefix> = None;
        /// Country code of numbers that begin with `national_prefix`; without it all numbers have one.
        live country: Option<NumberPrefix> = None;
        /// What a number within the country begins with.
        live national_prefix: NumberPrefix = NumberPrefix::of("0");
        /// What a number abroad begins with, where `+` is not written.
        live international_prefix: NumberPrefix = NumberPrefix::of("00");
        /// Beginnings of numbers, with country code, that it may not call.
        live blocked: Vec<NumberPrefix> = Vec::new();
        /// Beginnings of numbers that alone it may call; none: all that are not blocked.
        live allowed: Vec<NumberPrefix> = Vec::new();
        /// Beginnings of high-risk numbers (`[class4] high_risk`) that it may call all the same.
        live high_risk_allowed: Vec<NumberPrefix> = Vec::new();
        /// Its calls are paid from a balance, which `tandem credit` shows and changes: at zero new ones are refused.
        live credit: bool = false;
        /// Its running calls are ended, too, when its balance is used up: both sides get a BYE within a second or so.
        live end_calls: bool = false;
        /// Most that it spends in an hour of the clock (UTC), in the currency that prices are compared in.
        live spend_hour: Option<Amount> = None;
        /// Most that it spends in a day (UTC).
        live spend_day: Option<Amount> = None;
        /// What looks like fraud.
        live alarms: Alarms = defaults();
        /// Vendors for numbers that begin so, in this order, before `order` counts; the longest prefix holds.
        live pins as "pin": Vec<Pin> = Vec::new();
        /// It is within our trust domain (RFC 3325): what it asserts of its callers is believed and passed on, and it
        /// is told what others withhold by `Privacy: id`. Else its P-Asserted-Identity ends here.
        live trusted: bool = false;
        /// Changes to the header of requests that come from it, in their order, before those of the vendor.
        live received_headers: Vec<HeaderRule> = Vec::new();
        /// Changes to the header of requests that go to it, after those of the vendor.
        live sent_headers: Vec<HeaderRule> = Vec::new();
    }
}

section! {
    /// Who takes calls, and charges for them.
    Vendor {
        /// Name; unique in the file.
        live name: String;
        /// The company behind it.
        live carrier: Option<String> = None, derived "its name";
        /// Its gateways, their health and the failover among them.
        live set: SetName;
        /// The plans that it belongs to.
        live plans: Vec<String>;
        /// What it charges.
        live deck: DeckName;
        /// The lowest number comes first, where the customer's `order` looks at it.
        live priority: u32 = 0, within 0 => 65_535;
        /// Its share among vendors that are equal otherwise.
        live weight: u32 = 1, within 1 => 1_000_000;
        /// Most new calls a second, all shards together; above it the vendor is passed over.
        live cps: Option<u32> = None, within 1 => 100_000;
        /// Calls that may go at once above that pace.
        live burst: Option<u32> = None, derived "a tenth of cps, at least 2", within 1 => 100_000;
        /// Most calls at the same time, attempts included, all shards together; above it the vendor is passed over.
        live concurrent: Option<u32> = None, within 1 => 100_000_000;
        /// Digits that are taken off the number with its country code, as this vendor wants it.
        live strip: u16 = 0, within 0 => 15;
        /// Digits that are put before what is left.
        live add: Option<NumberPrefix> = None;
        /// Write the number with `+`.
        live plus: bool = false;
        /// Beginnings of numbers, with country code, that it is not sent.
        live blocked: Vec<NumberPrefix> = Vec::new();
        /// Beginnings of numbers that alone it is sent; none: all that are not blocked.
        live allowed: Vec<NumberPrefix> = Vec::new();
        /// When it is sent calls; none: always.
        live windows as "window": Vec<Window> = Vec::new();
        /// It is within our trust domain (RFC 3325): it is told identities that callers withhold by `Privacy: id`, and
        /// what it asserts itself is passed on.
        live trusted: bool = false;
        /// Where it is told the caller's number, as `caller_strip`, `caller_add` and `caller_plus` write it.
        live caller_in: CallerIn = CallerIn::Keep;
        /// Digits that are taken off the caller's number with its country code.
        live caller_strip: u16 = 0, within 0 => 15;
        /// Digits that are put before what is left.
        live caller_add: Option<NumberPrefix> = None;
        /// Write the caller's number with `+`.
        live caller_plus: bool = true;
        /// Changes to the header of requests that come from it, in their order, before those of the customer.
        live received_headers: Vec<HeaderRule> = Vec::new();
        /// Changes to the header of requests that go to it, after those of the customer.
        live sent_headers: Vec<HeaderRule> = Vec::new();
        /// Final responses after which the next vendor is tried; 408 only before any 18x.
        live advance_codes: StatusCodes = StatusCodes::of_ranges(&[401..=403, 407..=408, 415..=415, 488..=488, 500..=599]);
        /// Q.850 causes in a Reason header (RFC 3326) after which the next vendor is tried, whatever the code; after
        /// any other none is, 31 and 127 aside, which say nothing.
        live advance_causes: Vec<u16> = vec![3, 34, 38, 41, 42, 44], within 1 => 127;
    }
}

section! {
    /// How long a way to an answer may be, and what we say when there is none.
    Class4 {
        /// Most attempts (gateways tried) of one call, all vendors together.
        live attempts_max: u32 = 5, within 1 => 16;
        /// Go on to the next vendor although a 180 has reached the customer.
        live advance_after_ringing: bool = false;
        /// Go on to the next vendor although an 18x with a session description has reached the customer.
        live advance_after_media: bool = false;
        /// Longest wait, in seconds, for an 18x of a vendor, all its gateways together; then it is cancelled, and the
        /// next vendor is tried.
        live vendor_ring_seconds: u32 = 8, within 1 => 180;
        /// Longest post-dial delay in seconds: from the INVITE to the first 18x, all vendors together.
        live post_dial_seconds: u32 = 20, within 1 => 180;
        /// Longest time of ringing in seconds: from the first 18x to the answer.
        live ring_seconds: u32 = 120, within 1 => 3_600;
        /// Longest early media in seconds: from the first 18x with a session description to the answer.
        live early_media_seconds: u32 = 120, within 1 => 3_600;
        /// Longest wait, in seconds, for the ACK of a call's 2xx; then both sides get a BYE.
        live ack_seconds: u32 = 40, within 1 => 600;
        /// Longest call in seconds, then both sides get a BYE; where it is less, `call_max_seconds` of `[policy]`.
        live call_seconds: u32 = 14_400, within 1 => 604_800;
        /// How often both sides of a call are asked, in seconds, by OPTIONS within the dialog whether they still know it.
        /// A 481, or three questions in a row without an answer, ends it: both sides get a BYE. "off": nobody is asked.
        live ask_seconds: OffOr<u32> = OffOr::Off, within 1 => 86_400;
        /// A vendor's 503 for a destination holds for so long: that vendor is passed over for that prefix of its deck.
        /// "off": 503s are not remembered.
        live hold_503: OffOr<Duration> = OffOr::On(seconds(10)), within milliseconds(100) => minutes(60);
        /// The same caller and called number coming from another carrier within this time is a loop, and refused. A call
        /// without a caller's number is not looked at. "off": nobody looks.
        live loop_window: OffOr<Duration> = OffOr::On(seconds(10)), within seconds(1) => minutes(10);
        /// 503s of vendors count against their gateways too, as any peer's.
        live gateways_answer_for_503: bool = false;
        /// Beginnings of numbers, with country code, that no customer may call unless its `high_risk_allowed` says so.
        live high_risk: Vec<NumberPrefix> = Vec::new();
        /// How well vendors carry calls.
        live quality: Quality = defaults();
        /// Where ported numbers are asked for.
        restart lnp: OffOr<Lnp> = OffOr::Off;
        /// Numbers that are always carried.
        live emergency: Emergency = defaults();
        /// What the customer gets when we refuse a call ourselves.
        live refusals: Refusals = defaults();
    }
}

section! {
    /// What the customer gets when we refuse a call ourselves: SIP code, and Q.850 cause of the Reason header.
    Refusals {
        /// No customer has this source and tech prefix.
        live unknown_customer: Answer = Answer::of(403, 21);
        /// The called number has no digits that a deck could have.
        live malformed_number: Answer = Answer::of(484, 28);
        /// The number is blocked for the customer.
        live blocked: Answer = Answer::of(403, 21);
        /// The customer's own deck has no price for the number.
        live no_price: Answer = Answer::of(503, 3);
        /// No vendor of the plan takes the number, or all that do are down or at their caps.
        live no_route: Answer = Answer::of(503, 3);
        /// There are vendors, but none leaves the least margin.
        live margin: Answer = Answer::of(503, 3);
        /// The number is a high-risk one, and not open for the customer.
        live high_risk: Answer = Answer::of(403, 21);
        /// The customer's balance is used up.
        live credit: Answer = Answer::of(402, 21);
        /// The customer has spent what it may in this hour or day.
        live spend: Answer = Answer::of(403, 21);
        /// The customer's calls looked like fraud, and are refused for a while.
        live alarm: Answer = Answer::of(403, 21);
        /// The customer has as many calls as it may have.
        live concurrent: Answer = Answer::of(503, 34);
        /// The customer sends more calls a second than it may.
        live cps: Answer = Answer::of(503, 42);
        /// The customer has as many calls to this destination (`[[customer.destination]]`) as it may have.
        live destination_concurrent: Answer = Answer::of(503, 34);
        /// The customer sends more calls a second to this destination than it may.
        live destination_cps: Answer = Answer::of(503, 42);
        /// The same caller and called number came from another carrier within `loop_window`: 482 and 25 are RFC 3398's.
        live loop_found as "loop": Answer = Answer::of(482, 25);
        /// No 18x has come within `post_dial_seconds`.
        live post_dial: Answer = Answer::of(408, 102);
        /// It has rung for `ring_seconds`, or heard early media for `early_media_seconds`, without an answer.
        live unanswered: Answer = Answer::of(480, 19);
        /// The vendors' best answer was a redirection or a challenge, which is no customer's business.
        live vendor: Answer = Answer::of(503, 38);
    }
}

section! {
    /// An answer of our own.
    Answer {
        /// SIP code of the answer.
        live status: u16, within 400 => 699;
        /// Q.850 cause of its Reason header; 0: it has none.
        live cause: u16, within 0 => 127;
    }
}

impl Answer {
    const fn of(status: u16, cause: u16) -> Self {
        Answer { status, cause }
    }
}

impl Customer {
    /// The company behind it.
    pub fn carrier(&self) -> &str {
        self.carrier.as_deref().unwrap_or(&self.name)
    }
}

impl Vendor {
    /// The company behind it.
    pub fn carrier(&self) -> &str {
        self.carrier.as_deref().unwrap_or(&self.name)
    }
}

/// Where a customer's calls come from: a network, and the port if only one is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TrunkSource {
    /// The addresses.
    pub network: Network,
    /// The only port; `None`: any.
    pub port: Option<u16>,
}

impl TrunkSource {
    fn parse(text: &str) -> Option<Self> {
        let network = |text: &str| match text {
            "any" => Some(Network::Any),
            _ => text
                .parse::<std::net::IpAddr>()
                .map(Into::into)
                .ok()
                .or_else(|| text.parse().ok().filter(|net: &ipnet::IpNet| net.trunc() == *net))
                .map(Network::Prefix),
        };
        if let Some(network) = network(text) {
            return Some(TrunkSource { network, port: None });
        }
        let (host, port) = text.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().ok().filter(|port| *port != 0)?;
        Some(TrunkSource { network: network(host)?, port: Some(port) })
    }
}

impl fmt::Display for TrunkSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.network, self.port) {
            (network, None) => write!(formatter, "{network}"),
            (Network::Prefix(ipnet::IpNet::V6(network)), Some(port)) => write!(formatter, "[{network}]:{port}"),
            (network, Some(port)) => write!(formatter, "{network}:{port}"),
        }
    }
}

impl Value for TrunkSource {
    fn kind() -> Kind {
        Kind::Text("a prefix or an address, with a port if only one is meant, such as \"192.0.2.0/28\"")
    }
    fn read(node: &Node<'_>, reader: &mut Reader<'_>, _: Option<&Self>) -> Option<Self> {
        let text = String::read(node, reader, None)?;
        let found = TrunkSource::parse(&text);
        if found.is_none() {
            let remedy =
                "write \"192.0.2.0/28\" without host bits, \"192.0.2.1\", \"192.0.2.1:5070\" or \"[2001:db8::1]:5070\"";
            reader.malformed(node, "not a source of calls", remedy);
        }
        found
    }
    fn print(&self) -> Option<toml::Value> {
        Some(toml::Value::String(self.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_with_and_without_port() {
        for good in
            ["any", "192.0.2.0/28", "192.0.2.1/32", "192.0.2.1/32:5070", "2001:db8::/32", "[2001:db8::/64]:5070"]
        {
            assert_eq!(TrunkSource::parse(good).map(|source| source.to_string()).as_deref(), Some(good));
        }
        let host = TrunkSource::parse("192.0.2.1:5070").map(|source| (source.network.to_string(), source.port));
        assert_eq!(host, Some(("192.0.2.1/32".to_owned(), Some(5070))));
        for bad in ["", "192.0.2.1/28", "192.0.2.1:0", "192.0.2.0/33", "gw.example.com", "192.0.2.1:x"] {
            assert_eq!(TrunkSource::parse(bad), None, "{bad}");
        }
    }
}
