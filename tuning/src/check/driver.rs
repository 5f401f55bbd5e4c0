//! Rules about `[driver]`: what AF_XDP is to serve.

use super::Checker;
use crate::config::DriverKind;

pub(super) fn interfaces(checker: &mut Checker<'_>) {
    let driver = &checker.config.driver;
    match driver.kind {
        DriverKind::Xdp if driver.interfaces.is_empty() => {
            let message = "`kind` is \"xdp\" and no interface is named";
            let finding = checker.error("no-interface", "driver.kind", message.to_owned());
            checker.note(finding.label("serves nothing").remedy("add interfaces = [\"eth0\"]".to_owned()));
        }
        DriverKind::IoUring | DriverKind::Mmsg if !driver.interfaces.is_empty() => {
            let message = "`interfaces` are served by AF_XDP, which this `kind` excludes";
            let finding = checker.warning("unused-interfaces", "driver.interfaces", message.to_owned());
            checker.note(
                finding.label("has no effect").remedy("write kind = \"auto\", or remove `interfaces`".to_owned()),
            );
        }
        _ => {}
    }
    if driver.interfaces.len() > limits::XDP_INTERFACES_MAX {
        let message = format!("{} interfaces are named", driver.interfaces.len());
        let finding = checker.error("too-many-interfaces", "driver.interfaces", message);
        checker.note(finding.label("too many").remedy(format!("name at most {}", limits::XDP_INTERFACES_MAX)));
    }
}

/// An interface may come later, so this is only worth a word; with kind = "xdp" the start fails.
pub(super) fn known_interfaces(checker: &mut Checker<'_>) {
    let Some(there) = &checker.environment.interfaces else {
        return;
    };
    let missing: Vec<&String> = checker.config.driver.interfaces.iter().filter(|name| !there.contains(name)).collect();
    let Some(first) = missing.first() else {
        return;
    };
    let names = there.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let finding = checker
        .warning("no-such-interface", "driver.interfaces", format!("this host has no interface {first}"))
        .label("not there now")
        .remedy(format!("name one of: {names}"));
    checker.note(finding);
}
