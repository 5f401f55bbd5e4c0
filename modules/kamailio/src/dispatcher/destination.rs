//! One destination: its URI, flags and attributes.

use crate::table::Row;

/// It gets no calls until something says otherwise (`DS_INACTIVE_DST`).
const INACTIVE: i64 = 1;
/// An operator took it out (`DS_DISABLED_DST`).
const DISABLED: i64 = 4;
/// OPTIONS are sent to it (`DS_PROBING_DST`).
const PROBING: i64 = 8;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination {
    /// As it was written.
    pub uri: String,
    /// As it was written.
    pub flags: i64,
    /// The highest comes first.
    pub priority: i64,
    /// `name=value` pairs, names in small letters.
    pub attributes: Vec<(String, String)>,
}

impl Destination {
    pub(super) fn of(uri: &str, row: &Row<'_>) -> Self {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (name.trim().to_ascii_lowercase(), value.trim().trim_matches('"').to_owned())
        };
        let attributes =
            row.text("attrs").unwrap_or_default().split(';').map(str::trim).filter(|part| !part.is_empty());
        Destination {
            uri: uri.to_owned(),
            flags: row.number_or("flags", 0),
            priority: row.number_or("priority", 0),
            attributes: attributes.map(pair).collect(),
        }
    }

    /// An attribute; Kamailio takes the last of a name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `weight` or `rweight` as Kamailio takes it: 1 to 100, anything else is 0.
    pub fn weight(&self, name: &str) -> u32 {
        self.attribute(name)
            .and_then(|value| value.parse().ok())
            .filter(|weight| (1..=100).contains(weight))
            .unwrap_or(0)
    }

    /// Why it gets no calls at the start; `None`: it does.
    pub fn is_out(&self) -> Option<&'static str> {
        match (self.flags & DISABLED != 0, self.flags & INACTIVE != 0) {
            (true, _) => Some("disabled (flag 4)"),
            (_, true) => Some("inactive (flag 1)"),
            _ => None,
        }
    }

    /// OPTIONS are sent to it whatever `ds_probing_mode` says.
    pub const fn is_probed(&self) -> bool {
        self.flags & PROBING != 0
    }
}

/// Why a URI cannot be a gateway of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoDestination {
    /// Another transport than UDP.
    Transport(String),
    /// It has no host.
    NoHost,
}

impl std::fmt::Display for NoDestination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoDestination::Transport(name) => write!(f, "goes over {name}; UDP alone is spoken so far"),
            NoDestination::NoHost => f.write_str("has no host"),
        }
    }
}

/// A destination as a gateway's URI, and what of it had to be left out.
///
/// # Errors
/// It can be none.
pub fn destination_uri(text: &str) -> Result<(String, Vec<String>), NoDestination> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("sips:") {
        return Err(NoDestination::Transport("TLS".into()));
    }
    let rest = if lower.starts_with("sip:") { text.get(4..).unwrap_or_default() } else { text };
    let mut left_out = Vec::new();
    let (rest, _) = rest.split_once('?').unwrap_or((rest, ""));
    let mut parts = rest.split(';');
    let address = parts.next().unwrap_or_default();
    let address = match address.rsplit_once('@') {
        Some((user, address)) => {
            left_out.push(format!("user `{user}`"));
            address
        }
        None => address,
    };
    for parameter in parts.filter(|part| !part.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match (name.to_ascii_lowercase().as_str(), value.to_ascii_lowercase().as_str()) {
            ("transport", "udp") => {}
            ("transport", other) => return Err(NoDestination::Transport(other.to_ascii_uppercase())),
            _ => left_out.push(format!("parameter `{parameter}`")),
        }
    }
    // An IPv6 address without brackets, as tables often have it.
    let bare_v6 = address.parse::<std::net::Ipv6Addr>().is_ok();
    let address = if bare_v6 { format!("[{address}]") } else { address.to_owned() };
    if address.is_empty() || address.starts_with(':') {
        return Err(NoDestination::NoHost);
    }
    Ok((format!("sip:{address}"), left_out))
}
