//! The configuration of Tandem: what can be set, how a file is read, and whether it makes sense.
//!
//! [`load`] reads a TOML file and gives a complete, checked [`Config`], or [`Diagnostics`] that say
//! like a compiler what is wrong and what to write. [`parse`] does the same for a text and a described
//! [`Environment`], without touching the host.
//!
//! | To change | Open |
//! |---|---|
//! | a key, its default, bounds or documentation | its section in `src/config/` |
//! | what is proved beyond syntax | `src/check/` |
//! | how findings look | `src/diagnostic.rs` |
//! | what a reload may change | `live` or `restart` beside the key; `src/reload.rs` |
//! | a fixed bound of the code | the `limits` crate |

#![forbid(unsafe_code)]

#[macro_use]
mod schema;
mod check;
mod config;
mod diagnostic;
mod environment;
mod load;
mod read;
mod reload;
mod resolve;

pub use config::*;
pub use diagnostic::{Diagnostics, Finding, Severity};
pub use environment::Environment;
pub use load::{Loaded, load, load_against, parse};
pub use read::{
    ConnectionString, DeckName, GatewayUri, Host, HostPort, ListenerName, Network, OffOr, OneOrMany, SIP_PORT, Secret,
    SetName, SourceName, StatusCodes,
};
pub use reload::{Change, Refusal, Reload, guard, reload};
pub use schema::{Effect, Fallback, Key, Kind, json_schema, reference};
