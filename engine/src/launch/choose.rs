//! Which driver and which cores: what was asked for, against what there is.

use super::{Config, Driver, LaunchError};
use crate::device::uring::LARGE_SPLIT;
use crate::device::xdp::setup::{self, Prepared, XdpConfig, XdpMode};

/// A driver that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Uring,
    Mmsg,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Uring => "io_uring",
            Kind::Mmsg => "mmsg",
        }
    }

    pub(super) fn split(self) -> Option<engine_sys::steer::LargeSplit> {
        match self {
            Kind::Uring => Some(LARGE_SPLIT),
            Kind::Mmsg => None,
        }
    }
}

/// Whether io_uring can be used here; if not, why, in words for an operator.
///
/// # Errors
/// The reason.
pub fn io_uring_available() -> Result<(), String> {
    engine_sys::uring::probe()
}

/// The driver of the kernel's sockets.
pub(super) fn driver(wanted: Driver) -> Result<(Kind, Option<String>), LaunchError> {
    match wanted {
        Driver::Mmsg => Ok((Kind::Mmsg, Some("the configuration asks for it".to_owned()))),
        Driver::Uring => match io_uring_available() {
            Ok(()) => Ok((Kind::Uring, None)),
            Err(why) => Err(LaunchError::Driver(format!("{why}; driver \"auto\" falls back to recvmmsg"))),
        },
        Driver::Auto | Driver::Xdp => Ok(match io_uring_available() {
            Ok(()) => (Kind::Uring, None),
            Err(why) => (Kind::Mmsg, Some(why)),
        }),
    }
}

/// AF_XDP beside it: set up, or why not. `Err` when it must be and cannot.
pub(super) fn xdp(config: &Config, shards: usize) -> Result<Result<Prepared, Option<String>>, LaunchError> {
    if config.xdp.interfaces.len() > limits::XDP_INTERFACES_MAX {
        let text = format!("AF_XDP serves at most {} interfaces", limits::XDP_INTERFACES_MAX);
        return Err(LaunchError::Config(text));
    }
    match config.driver {
        Driver::Xdp if config.xdp.interfaces.is_empty() => {
            Err(LaunchError::Driver("driver \"xdp\" needs the names of its interfaces".to_owned()))
        }
        Driver::Xdp => match setup::prepare(&config.xdp, shards, &config.pools) {
            Ok(prepared) => Ok(Ok(prepared)),
            Err(why) => Err(LaunchError::Driver(format!("{why}; driver \"auto\" falls back to sockets"))),
        },
        Driver::Auto if !config.xdp.interfaces.is_empty() => {
            let mode = if config.xdp.mode == XdpMode::Best { XdpMode::Worthwhile } else { config.xdp.mode };
            let asked = XdpConfig { mode, ..config.xdp.clone() };
            Ok(setup::prepare(&asked, shards, &config.pools).map_err(|why| Some(format!("no AF_XDP: {why}"))))
        }
        Driver::Auto | Driver::Uring | Driver::Mmsg => Ok(Err(None)),
    }
}

pub(super) fn cores(config: &Config) -> Result<Vec<usize>, LaunchError> {
    let permitted: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect();
    let mut cores = config.cores.clone();
    if cores.is_empty() {
        cores = permitted.iter().copied().take(limits::SHARDS_MAX).collect();
    }
    let too_many = |what: &str, count: usize, most: usize| {
        (count > most).then(|| LaunchError::Config(format!("{count} {what}, at most {most} are possible")))
    };
    if let Some(core) = cores.iter().find(|core| !permitted.contains(core)) {
        let text = format!("core {core} does not exist or is not permitted; permitted are {permitted:?}");
        return Err(LaunchError::Config(text));
    }
    if cores.is_empty() {
        return Err(LaunchError::Config("no core to run on".to_owned()));
    }
    let error = too_many("shards", cores.len(), limits::SHARDS_MAX)
        .or_else(|| too_many("listeners", config.listeners.len(), limits::LISTENERS_MAX))
        .or_else(|| too_many("lanes", config.lanes, limits::LANES_MAX));
    error.map_or(Ok(cores), Err)
}
