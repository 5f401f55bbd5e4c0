//! The methods of the control socket: their names, who may call them, and what they do.
//!
//! Runs on the thread of the connection. A method reads its parameters, asks the control lane through
//! [`Inbox`] and waits for the answer, a bounded time.

use super::call_methods as calls;
use super::credit_methods as credit;
use super::gather::Gathered;
use super::inbox::{Ask, Inbox};
use super::permission::{Access, Peer, Permissions};
use super::registration_methods as registrations;
use super::reload::{self, Sources};
use super::rpc::{self, Call, Outcome, RpcError, code};
use super::shadow_methods as shadow;
use super::view;
use crate::admin::AdminState;
use crate::errand::Wish;
use crate::explanation::{self, Asked};
use crate::log::{Level, Log, Record};
use crate::reply::to_value;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Everything that methods need.
#[derive(Clone, Debug)]
pub struct Methods {
    /// The control lane.
    pub inbox: Inbox,
    /// Where configurations come from.
    pub sources: Sources,
    /// Where refusals are written.
    pub log: Log,
}

type Method = fn(&Methods, &Peer, Value) -> Outcome;

/// Every method: its name, who may call it, what it does.
const METHODS: &[(&str, Access, Method)] = &[
    ("version", Access::Read, version),
    ("system.listMethods", Access::Read, list_methods),
    ("stats", Access::Read, stats),
    ("gateways", Access::Read, gateways),
    ("explain", Access::Read, explain),
    ("sources.unknown", Access::Read, unknown_sources),
    ("calls", Access::Read, |methods, _, params| calls::list(&methods.inbox, params)),
    ("calls.count", Access::Read, |methods, _, params| calls::count(&methods.inbox, params)),
    ("calls.end", Access::Write, |methods, _, params| calls::end(&methods.inbox, params)),
    ("registrations", Access::Read, |methods, _, params| registrations::list(&methods.inbox, params)),
    ("registrations.count", Access::Read, |methods, _, params| registrations::count(&methods.inbox, params)),
    ("registrations.remove", Access::Write, |methods, _, params| registrations::remove(&methods.inbox, params)),
    ("gateways.disable", Access::Write, |methods, peer, params| {
        decide(methods, peer, params, Some(AdminState::Disabled))
    }),
    ("gateways.drain", Access::Write, |methods, peer, params| {
        decide(methods, peer, params, Some(AdminState::Draining))
    }),
    ("gateways.enable", Access::Write, |methods, peer, params| decide(methods, peer, params, None)),
    ("credit", Access::Read, credit::show),
    ("credit.add", Access::Write, credit::add),
    ("credit.set", Access::Write, credit::set),
    ("credit.unblock", Access::Write, credit::unblock),
    ("bans", Access::Read, |methods, peer, given| {
        let Nothing {} = params(given)?;
        errand(methods, peer, Wish::Bans)
    }),
    ("bans.lift", Access::Write, lift),
    ("accounts.forget", Access::Write, |methods, peer, given| {
        let Nothing {} = params(given)?;
        errand(methods, peer, Wish::Forget)
    }),
    ("shadow", Access::Read, shadow::status),
    ("shadow.base", Access::Read, shadow::base),
    ("shadow.start", Access::Write, shadow::start),
    ("shadow.promote", Access::Write, shadow::promote),
    ("shadow.drop", Access::Write, shadow::drop_it),
    ("reload", Access::Write, reload),
    ("drain", Access::Write, |methods, peer, params| serve(methods, peer, params, true)),
    ("undrain", Access::Write, |methods, peer, params| serve(methods, peer, params, false)),
];

/// Longest wait for the control lane.
pub(super) const DEADLINE: Duration = Duration::from_secs(4);

/// Longest wait for the disk, once a change holds.
const DISK_DEADLINE: Duration = Duration::from_secs(4);

impl Methods {
    /// Answers one line of one peer.
    pub fn answer(&self, peer: &Peer, permissions: &Permissions, line: &[u8]) -> Option<String> {
        rpc::answer(line, |call| self.call(peer, permissions, call))
    }

    fn call(&self, peer: &Peer, permissions: &Permissions, call: Call) -> Outcome {
        let access = permissions.access(peer);
        let refuse = |what: &str| {
            self.log.send(
                Record::new(Level::Warn, "control-refused")
                    .with("user", peer.name.as_str())
                    .with("pid", peer.pid)
                    .with("method", call.method.as_str()),
            );
            Err(RpcError::new(code::PERMISSION, format!("{} may not {what} here", peer.name)))
        };
        if access.is_none() {
            return refuse("look");
        }
        let Some((_, needed, method)) = METHODS.iter().find(|(name, ..)| *name == call.method) else {
            let message = format!("there is no method \"{}\"; see system.listMethods", call.method.escape_debug());
            return Err(RpcError::new(code::METHOD_NOT_FOUND, message));
        };
        if access < Some(*needed) {
            return refuse("change anything");
        }
        method(self, peer, call.params)
    }

    pub(super) fn gather(&self, unknown: bool) -> Result<Arc<Gathered>, RpcError> {
        self.inbox.ask(|reply| Ask::Gather { unknown, reply }, DEADLINE).ok_or_else(late)
    }
}

pub(super) fn late() -> RpcError {
    RpcError::new(code::INTERNAL, "the control lane did not answer in time")
}

pub(super) fn params<T: DeserializeOwned>(params: Value) -> Result<T, RpcError> {
    serde_json::from_value(params).map_err(|error| RpcError::new(code::INVALID_PARAMS, error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn version(_: &Methods, _: &Peer, given: Value) -> Outcome {
    let Nothing {} = params(given)?;
    Ok(json!({ "version": env!("CARGO_PKG_VERSION") }))
}

fn list_methods(_: &Methods, _: &Peer, given: Value) -> Outcome {
    let Nothing {} = params(given)?;
    Ok(METHODS.iter().map(|(name, ..)| *name).collect())
}

fn stats(methods: &Methods, _: &Peer, given: Value) -> Outcome {
    let Nothing {} = params(given)?;
    Ok(to_value(&view::stats(&*methods.gather(false)?)))
}

fn gateways(methods: &Methods, _: &Peer, given: Value) -> Outcome {
    let Nothing {} = params(given)?;
    Ok(to_value(&view::gateways(&*methods.gather(false)?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OneCall {
    source: SocketAddr,
    #[serde(default)]
    from: Option<String>,
    to: String,
    #[serde(default)]
    at: Option<i64>,
}

fn explain(methods: &Methods, _: &Peer, given: Value) -> Outcome {
    let OneCall { source, from, to, at } = params(given)?;
    let at = at.unwrap_or_else(|| jiff::Timestamp::now().as_second());
    let gathered = methods.gather(false)?;
    let Some(tables) = &gathered.picture.tables else { return Err(late()) };
    let asked = Asked { source, from: from.as_deref(), to: &to, at };
    let explained = explanation::explain(tables, &asked, Some(&*gathered));
    explained.map(|explained| to_value(&explained)).map_err(|why| RpcError::new(code::INVALID_PARAMS, why))
}

fn unknown_sources(methods: &Methods, _: &Peer, given: Value) -> Outcome {
    let Nothing {} = params(given)?;
    Ok(to_value(&view::unknown_sources(&*methods.gather(true)?)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    name: String,
    #[serde(default)]
    why: String,
}

fn decide(methods: &Methods, peer: &Peer, given: Value, state: Option<AdminState>) -> Outcome {
    let Decision { name, why } = params(given)?;
    let who = peer.name.clone();
    let (changed, saved) =
        methods.inbox.ask(|reply| Ask::Gateway { name, state, who, why, reply }, DEADLINE).ok_or_else(late)??;
    match saved.recv_timeout(DISK_DEADLINE) {
        Ok(Ok(())) => Ok(to_value(&changed)),
        Ok(Err(error)) => Err(RpcError::new(
            code::INTERNAL,
            format!(
                "{} is {} now, but that is not saved and ends with this process: {error}",
                changed.name, changed.now
            ),
        )),
        Err(_) => Err(RpcError::new(
            code::INTERNAL,
            format!("{} is {} now, but the disk has not confirmed it yet", changed.name, changed.now),
        )),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lifted {
    address: IpAddr,
    username: Option<String>,
}

fn lift(methods: &Methods, peer: &Peer, given: Value) -> Outcome {
    let Lifted { address, username } = params(given)?;
    errand(methods, peer, Wish::Lift { source: address, username: username.map(String::into_bytes) })
}

fn errand(methods: &Methods, peer: &Peer, wish: Wish) -> Outcome {
    let who = peer.name.clone();
    let done = methods.inbox.ask(|reply| Ask::Errand { wish, who, reply }, DEADLINE).ok_or_else(late)?;
    Ok(to_value(&done))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReloadParams {
    #[serde(default)]
    force: bool,
    #[serde(default)]
    previous: bool,
}

fn reload(methods: &Methods, peer: &Peer, given: Value) -> Outcome {
    let ReloadParams { force, previous } = params(given)?;
    let Methods { inbox, sources, log } = methods;
    reload::reload(inbox, sources, log, previous, force, &peer.name).map(|reply| to_value(&reply))
}

fn serve(methods: &Methods, peer: &Peer, given: Value, drain: bool) -> Outcome {
    let Nothing {} = params(given)?;
    let who = peer.name.clone();
    let reply = methods.inbox.ask(|reply| Ask::Serve { drain, who, reply }, DEADLINE).ok_or_else(late)?;
    Ok(to_value(&reply))
}
