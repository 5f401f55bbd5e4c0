//! What AF_XDP could do here, for whoever wants to know before it is tried: nothing is attached.

use super::attachment::Attachment;
use super::{netlink, setup};
use engine_sys::xdp::capability;

/// What was found out about an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XdpPossibility {
    /// Its name.
    pub interface: String,
    /// Receive queues; each becomes a shard's own.
    pub queues: u32,
    /// Its driver, as /sys names it; `None` for virtual interfaces.
    pub driver: Option<String>,
    /// Why AF_XDP cannot be used on it at all.
    pub impossible: Option<String>,
    /// What would make it slower or wrong, in words for an operator.
    pub warnings: Vec<String>,
}

/// What AF_XDP could do on these interfaces with so many shards. Reads /sys, asks netlink, and tries to
/// load the program.
pub fn possibilities(interfaces: &[String], shards: usize) -> Vec<XdpPossibility> {
    let general = match capability::missing_for_xdp() {
        Ok(missing) if !missing.is_empty() => Some(format!("AF_XDP needs {}", missing.join(", "))),
        _ => Attachment::load().err(),
    };
    let network = netlink::read();
    interfaces
        .iter()
        .map(|name| {
            let mut found = XdpPossibility {
                interface: name.clone(),
                queues: setup::queue_count(name).unwrap_or(1),
                driver: driver(name),
                impossible: general.clone(),
                warnings: Vec::new(),
            };
            let link = network.as_ref().map(|network| network.named(name).map(|(_, link)| link));
            match link {
                Err(error) => found.impossible = Some(format!("the kernel's routes cannot be read: {error}")),
                Ok(None) => found.impossible = Some("there is no such interface".to_owned()),
                Ok(Some(link)) if link.vlan.is_some() => {
                    found.impossible = Some("it is a VLAN; name the interface below it".to_owned());
                }
                Ok(Some(link)) => found.warnings = warnings(found.queues, shards, link.mtu),
            }
            if network.as_ref().is_ok_and(|network| network.has_rules) {
                found.warnings.push(
                    "routing rules are in use (`ip rule`): everything would be sent by the kernel's sockets".to_owned(),
                );
            }
            found
        })
        .collect()
}

fn warnings(queues: u32, shards: usize, mtu: usize) -> Vec<String> {
    let mut warnings = Vec::new();
    if (queues as usize) < shards {
        warnings.push(format!(
            "{queues} queues for {shards} shards: {} shards send by the kernel's sockets",
            shards - queues as usize
        ));
    }
    if queues as usize > shards {
        warnings.push(format!("{queues} queues for {shards} shards: some shards have several"));
    }
    if mtu > MTU_WITHOUT_FRAGMENTS {
        warnings.push(format!("its MTU of {mtu} is too large for most drivers' XDP; 1500 is enough for SIP"));
    }
    warnings
}

fn driver(name: &str) -> Option<String> {
    let path = std::fs::read_link(format!("/sys/class/net/{name}/device/driver")).ok()?;
    path.file_name().map(|name| name.to_string_lossy().into_owned())
}

/// What one page holds beside the headroom and the kernel's own end of it.
const MTU_WITHOUT_FRAGMENTS: usize = 3_498;
