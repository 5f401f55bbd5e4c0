//! The host as checks see it: files below a root, and answers that only system calls give.
//!
//! Tests put another host's /proc and /sys below a folder of their own; the checks cannot tell.

use engine_sys::host::{Channels, ClockState};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What there is to look at.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) files: Files,
    pub(super) asked: Asked,
}

/// Files of /proc and /sys.
#[derive(Debug)]
pub(super) struct Files(PathBuf);

impl Files {
    /// Those of the host with this root: `/` for ours.
    pub(super) fn below(root: &Path) -> Self {
        Files(root.to_owned())
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok()
    }

    /// A file that holds one number.
    pub(super) fn number<T: FromStr>(&self, path: &str) -> Option<T> {
        self.text(path)?.trim().parse().ok()
    }

    /// The value of the line `name value` or `name: value` of a file.
    pub(super) fn field(&self, path: &str, name: &str) -> Option<String> {
        let text = self.text(path)?;
        let value = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(value.trim_start_matches(':').trim().to_owned())
    }

    /// Names in a folder, in order; none when it cannot be read.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// A list of cores in the kernel's notation; empty when there is none.
    pub(super) fn cores(&self, path: &str) -> Vec<usize> {
        let text = self.text(path).unwrap_or_default();
        let list = tuning::CoreList::parse(text.trim());
        let cores = list.iter().flat_map(|list| list.cores().iter().copied());
        cores.filter_map(|core| usize::try_from(core).ok()).collect()
    }

    /// Whether this process has a capability, by its bit (capabilities(7)).
    pub(super) fn may(&self, capability: u32) -> bool {
        let held = self.field("/proc/self/status", "CapEff");
        held.and_then(|held| u64::from_str_radix(&held, 16).ok()).is_some_and(|held| held & (1 << capability) != 0)
    }

    /// Soft and hard limit of a resource of this process; `None` inside: unlimited.
    pub(super) fn limit(&self, name: &str) -> Option<(Option<u64>, Option<u64>)> {
        let values = self.field("/proc/self/limits", name)?;
        let mut values = values.split_whitespace().map(|value| value.parse().ok());
        Some((values.next()?, values.next()?))
    }
}

/// Bits of capabilities(7).
pub(super) const CAP_NET_ADMIN: u32 = 12;
/// The same.
pub(super) const CAP_IPC_LOCK: u32 = 14;

/// What a network card says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CardAnswers {
    pub(super) hashes_udp_ports: Option<bool>,
    pub(super) channels: Option<Channels>,
}

/// What was asked by system calls and programs.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) clock: Option<ClockState>,
    /// By name of the card.
    pub(super) cards: BTreeMap<String, CardAnswers>,
    /// `nft -j list ruleset`, or why there is none.
    pub(super) ruleset: Result<Value, String>,
    /// Whether io_uring works as the engine uses it, or why not.
    pub(super) io_uring: Result<(), String>,
}

impl Host {
    /// This host.
    pub(super) fn this() -> Self {
        let files = Files::below(Path::new("/"));
        let answers = |card: String| {
            let channels = engine_sys::host::channels(&card).ok();
            let hashes_udp_ports = engine_sys::host::hashes_udp_ports(&card).ok();
            (card, CardAnswers { hashes_udp_ports, channels })
        };
        let cards = files.names("/sys/class/net").into_iter().map(answers).collect();
        let asked = Asked {
            clock: engine_sys::host::clock_state().ok(),
            cards,
            ruleset: ruleset(),
            io_uring: engine::io_uring_available(),
        };
        Host { files, asked }
    }
}

/// WHY a program: the kernel's form of a rule is a small machine's code; nft reads it back as it was meant.
fn ruleset() -> Result<Value, String> {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let mut list = std::process::Command::new("nft");
    list.args(["--json", "list", "ruleset"]).env("PATH", path).stdin(std::process::Stdio::null());
    let output = list.output().map_err(|_| "the program nft is not installed".to_owned())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or("nft failed").to_owned();
        return Err(format!("nft may not look here ({said}); run as root"));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("nft's answer is not understood: {error}"))
}
