//! Operators' decisions about gateways, as the control lane keeps them.

use super::rpc::{RpcError, code};
use crate::admin::AdminState;
use crate::disk::{ADMIN_ENTRIES_MAX, AdminEntry, AdminStates};
use crate::reply::GatewayChanged;
use modules::tables::Mark;
use std::collections::BTreeMap;
use tuning::Config;

/// Longest reason in bytes.
pub(super) const WHY_BYTES_MAX: usize = 512;

/// The decisions as tables want them.
pub fn marks(states: &AdminStates) -> BTreeMap<String, Mark> {
    let mark = |entry: &AdminEntry| match entry.state {
        AdminState::Draining => Mark::Draining,
        AdminState::Disabled => Mark::Disabled,
    };
    states.iter().map(|(name, entry)| (name.clone(), mark(entry))).collect()
}

/// The word for a decision.
pub(super) fn word(state: Option<AdminState>) -> &'static str {
    match state {
        None => "enabled",
        Some(AdminState::Draining) => "draining",
        Some(AdminState::Disabled) => "disabled",
    }
}

/// Enters a decision (`None`: enabled) about the gateway `name`.
pub(super) fn decide(
    states: &mut AdminStates,
    config: &Config,
    name: &str,
    entry: Option<AdminEntry>,
) -> Result<GatewayChanged, RpcError> {
    let known = config.sets.iter().flat_map(|set| &set.gateways).any(|gateway| gateway.name == name);
    if !known && !states.contains_key(name) {
        return Err(RpcError::new(code::NOT_FOUND, unknown(config, name)));
    }
    if entry.as_ref().is_some_and(|entry| entry.why.len() > WHY_BYTES_MAX) {
        return Err(RpcError::new(code::INVALID_PARAMS, format!("`why` is at most {WHY_BYTES_MAX} bytes")));
    }
    if entry.is_some() && states.len() >= ADMIN_ENTRIES_MAX && !states.contains_key(name) {
        return Err(RpcError::new(code::REFUSED, format!("more than {ADMIN_ENTRIES_MAX} gateways have a decision")));
    }
    let now = entry.as_ref().map(|entry| entry.state);
    let before = match entry {
        Some(entry) => states.insert(name.to_owned(), entry),
        None => states.remove(name),
    };
    let before = word(before.map(|entry| entry.state));
    Ok(GatewayChanged { name: name.to_owned(), before: before.into(), now: word(now).into() })
}

/// Most names that a message lists.
const LISTED_MAX: usize = 10;

fn unknown(config: &Config, name: &str) -> String {
    let names: Vec<&str> =
        config.sets.iter().flat_map(|set| &set.gateways).map(|gateway| gateway.name.as_str()).collect();
    let listed = names.iter().take(LISTED_MAX).copied().collect::<Vec<_>>().join(", ");
    let rest = names.len().saturating_sub(LISTED_MAX);
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("there is no gateway \"{}\"; there are {listed}{rest}", name.escape_debug())
}
