//! From TOML text to values, with the place of each, and all mistakes at once.
//!
//! [`Reader`] walks the spanned tree that the `toml` crate parses; [`Value`] is implemented by
//! every type that a key may have. WHY no serde here: deserialising stops at the first mistake, and
//! spans do not survive its untagged enums.

mod address;
mod duration;
mod kamailio;
mod many;
mod marks;
mod off;
mod reader;
mod reference;
mod secret;
mod status;
mod unknown;
mod value;

pub use address::{GatewayUri, Host, HostPort, Network, SIP_PORT};
pub(crate) use duration::{milliseconds, minutes, seconds};
pub use many::OneOrMany;
pub(crate) use marks::Marks;
pub use off::OffOr;
pub(crate) use reader::{Reader, suggestion};
pub use reference::{DeckName, ListenerName, SetName, SourceName};
pub(crate) use secret::masked_source;
pub use secret::{ConnectionString, Secret};
pub use status::StatusCodes;
pub(crate) use value::{Node, Value, bounded, printed_bounds};
