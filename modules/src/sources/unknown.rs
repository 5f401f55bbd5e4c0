//! Addresses that were refused as strangers: the answer to "we send you calls and you see nothing".
//!
//! A fixed number of addresses in buckets of eight; in a full bucket the one not seen for longest makes
//! room. So a flood from forged addresses costs a look at eight entries a packet and no memory.

use proto::hash::{KeyedHash, Purpose, Secret};
use proto::message::{HeaderError, Message, NameAddr};
use proto::time::{Now, Wall};
use std::net::IpAddr;

/// Bytes of a From or To URI that are kept; longer ones are cut.
const URI_BYTES_KEPT: usize = 96;

const BUCKET: usize = 8;

/// A refused address.
#[derive(Clone, Copy, Debug)]
pub struct UnknownSource {
    /// The address.
    pub address: IpAddr,
    /// Requests refused.
    pub count: u64,
    /// The first one.
    pub first: Wall,
    /// The last one.
    pub last: Wall,
    from: Kept,
    to: Kept,
}

/// A URI, cut to [`URI_BYTES_KEPT`].
#[derive(Clone, Copy, Debug)]
struct Kept {
    bytes: [u8; URI_BYTES_KEPT],
    len: u8,
}

/// See the module.
#[derive(Debug)]
pub struct UnknownSources {
    places: Vec<Option<UnknownSource>>,
    secret: Secret,
    /// Requests refused, of all addresses.
    refused: u64,
    /// Addresses that had to make room.
    forgotten: u64,
}

impl UnknownSource {
    /// The URI in From of the last request, as it came: to be escaped before it is shown.
    pub fn from(&self) -> &[u8] {
        self.from.get()
    }

    /// The URI in To of the last request, as it came: to be escaped before it is shown.
    pub fn to(&self) -> &[u8] {
        self.to.get()
    }
}

impl UnknownSources {
    /// Room for about `capacity` addresses.
    pub fn new(capacity: u32, secret: Secret) -> Self {
        let buckets = (capacity as usize).div_ceil(BUCKET).next_power_of_two();
        UnknownSources { places: vec![None; buckets * BUCKET], secret, refused: 0, forgotten: 0 }
    }

    /// Counts a refused request.
    pub fn remember(&mut self, address: IpAddr, message: &Message<'_>, now: Now) {
        self.refused += 1;
        let address = address.to_canonical();
        let (from, to) = (uri(message.from()), uri(message.to()));
        let Some(place) = self.place(address) else { return };
        match place {
            Some(known) if known.address == address => {
                known.count += 1;
                (known.last, known.from, known.to) = (now.wall, Kept::cut(from), Kept::cut(to));
            }
            other => {
                let (first, last) = (now.wall, now.wall);
                let (from, to) = (Kept::cut(from), Kept::cut(to));
                let evicted = other.replace(UnknownSource { address, count: 1, first, last, from, to });
                self.forgotten += u64::from(evicted.is_some());
            }
        }
    }

    /// All that are remembered, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &UnknownSource> {
        self.places.iter().flatten()
    }

    /// How many requests were refused, those of forgotten addresses included.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// How many addresses had to make room for others.
    pub const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The place of this address: its own, else a free one, else that of the one not seen for longest.
    fn place(&mut self, address: IpAddr) -> Option<&mut Option<UnknownSource>> {
        let octets = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let hash = KeyedHash::new(&self.secret, Purpose::Call).part(&octets).finish();
        let buckets = (self.places.len() / BUCKET).max(1);
        let start = usize::try_from(hash & 0xffff_ffff).unwrap_or(0) % buckets * BUCKET;
        let bucket = self.places.get_mut(start..start + BUCKET)?;
        bucket.iter_mut().min_by_key(|place| match place {
            Some(known) if known.address == address => (0, Wall(0)),
            None => (1, Wall(0)),
            Some(other) => (2, other.last),
        })
    }
}

impl Kept {
    fn cut(uri: &[u8]) -> Self {
        let mut bytes = [0; URI_BYTES_KEPT];
        let len = uri.len().min(URI_BYTES_KEPT);
        bytes.iter_mut().zip(uri).for_each(|(to, from)| *to = *from);
        Kept { bytes, len: u8::try_from(len).unwrap_or(0) }
    }

    fn get(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

const _: () = assert!(URI_BYTES_KEPT <= u8::MAX as usize, "its length is a u8");
const _: () = assert!(
    size_of::<Option<UnknownSource>>() as u64 <= limits::pool::UNKNOWN_SOURCE_BYTES,
    "as checked against memory"
);

fn uri<'m>(header: Result<NameAddr<'m>, HeaderError>) -> &'m [u8] {
    header.map_or(&[], |address| address.uri)
}
