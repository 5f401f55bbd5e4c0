//! The methods of the shadow ([`crate::shadow`]): what is in it, putting a candidate there, promoting and dropping it.

use super::methods::{Methods, params};
use super::permission::Peer;
use super::rpc::{Outcome, RpcError, code};
use crate::reply::to_value;
use crate::shadow::Source;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Changes that are told when nothing else is asked for.
const ROWS: usize = 40;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    rows: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Candidate {
    #[serde(default)]
    configuration: Option<PathBuf>,
    #[serde(default)]
    image: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Promotion {
    #[serde(default)]
    force: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub(super) fn status(methods: &Methods, _: &Peer, given: Value) -> Outcome {
    let Asked { rows } = params(given)?;
    Ok(to_value(&methods.sources.shadow.status(rows.unwrap_or(ROWS))))
}

/// The configuration that a deck's candidate is made with.
pub(super) fn base(methods: &Methods, _: &Peer, given: Value) -> Outcome {
    let Nothing {} = params(given)?;
    Ok(json!({ "configuration": methods.sources.file }))
}

pub(super) fn start(methods: &Methods, peer: &Peer, given: Value) -> Outcome {
    let source = match params(given)? {
        Candidate { configuration: Some(path), image: None } => Source::Configuration(path),
        Candidate { configuration: None, image: Some(path) } => Source::Image(path),
        _ => return Err(RpcError::new(code::INVALID_PARAMS, "give either `configuration` or `image`")),
    };
    if !source.path().is_absolute() {
        return Err(RpcError::new(code::INVALID_PARAMS, "give the whole path of the file, from / on"));
    }
    methods.sources.shadow.start(source, &peer.name, &methods.inbox).map(|reply| to_value(&reply))
}

pub(super) fn promote(methods: &Methods, peer: &Peer, given: Value) -> Outcome {
    let Promotion { force } = params(given)?;
    methods.sources.shadow.promote(force, &peer.name, &methods.inbox).map(|reply| to_value(&reply))
}

pub(super) fn drop_it(methods: &Methods, peer: &Peer, given: Value) -> Outcome {
    let Nothing {} = params(given)?;
    methods.sources.shadow.drop_it(&peer.name).map(|reply| to_value(&reply))
}
