//! Tandem's configuration in a world.

use crate::scenario::{GatewayPlan, listeners};
use fastrand::Rng;
use std::net::SocketAddr;

const ALGORITHMS: [&str; 8] =
    ["weighted", "round-robin", "priority", "least-calls", "random", "hash-call-id", "parallel", "parallel"];

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct File {
    algorithm: &'static str,
    /// In the order of the file, with their weights.
    gateways: Vec<(SocketAddr, u32)>,
    /// All that there are.
    candidates: Vec<SocketAddr>,
    pub(crate) probes: bool,
    last_503: &'static str,
    pub(crate) stateless: bool,
}

impl File {
    pub(crate) fn draw(gateways: &[GatewayPlan], stateless: bool, rng: &mut Rng) -> Self {
        let nothing = File {
            algorithm: "",
            gateways: Vec::new(),
            candidates: gateways.iter().map(|gateway| gateway.address).collect(),
            probes: rng.f64() < 0.4,
            last_503: if rng.bool() { "503" } else { "500" },
            stateless,
        };
        nothing.draw_next(rng)
    }

    /// The same with another algorithm and other gateways, in another order and with other weights: their numbers
    /// differ. The retransmissions of what is stateless find their way by the choice alone, which has to stay.
    pub(crate) fn draw_next(&self, rng: &mut Rng) -> Self {
        if self.stateless && !self.gateways.is_empty() {
            return self.clone();
        }
        let mut addresses = self.candidates.clone();
        rng.shuffle(&mut addresses);
        let listed = if rng.bool() { addresses.len() } else { rng.usize(1..=addresses.len()) };
        let gateways = addresses.into_iter().take(listed).map(|address| (address, 10 * rng.u32(1..=9))).collect();
        let algorithm = if self.stateless { "hash-call-id" } else { ALGORITHMS[rng.usize(..ALGORITHMS.len())] };
        File { algorithm, gateways, ..self.clone() }
    }

    pub(crate) fn lists(&self, gateway: SocketAddr) -> bool {
        self.gateways.iter().any(|(address, _)| *address == gateway)
    }

    pub(crate) fn listed(&self) -> impl Iterator<Item = SocketAddr> {
        self.gateways.iter().map(|(address, _)| *address)
    }

    pub(crate) fn toml(&self) -> String {
        let listed = self.gateways.iter().enumerate();
        let gateways: Vec<String> = listed
            .map(|(index, (address, weight))| {
                let options = match self.algorithm {
                    "priority" => format!(", priority = {index}"),
                    "parallel" | "round-robin" => String::new(),
                    _ => format!(", weight = {weight}"),
                };
                format!("{{ uri = \"sip:{address}\"{options} }}")
            })
            .collect();
        let listeners = listeners().map(|listener| format!("\"{listener}\"")).join(", ");
        let last_503 = if self.stateless {
            "stateless = true\n".to_owned()
        } else {
            format!("last_503 = \"{}\"\n", self.last_503)
        };
        format!(
            "sources = [\"192.0.2.0/24\", \"2001:db8:1::/64\"]\n[listen]\nudp = [{listeners}]\n\
             [policy]\ncall_max_seconds = 60\n[[set]]\nname = \"carriers\"\nalgorithm = \"{}\"\n{last_503}{}\
             gateways = [\n{}\n]\n",
            self.algorithm,
            if self.probes { "" } else { "probe = \"off\"\n" },
            gateways.join(",\n")
        )
    }
}
