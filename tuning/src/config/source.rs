//! `[[source]]`: who may send.

use crate::read::Network;

section! {
    /// A group of peers that may send requests.
    SourceGroup {
        /// Name for routes and statistics; unique in the file.
        live name: String;
        /// Their addresses. An address in several groups belongs to the one with the longest prefix.
        live prefixes: Vec<Network>;
    }
}

impl SourceGroup {
    /// Name of the group that the top-level `sources` makes.
    pub const DEFAULT_NAME: &'static str = "default";
}
