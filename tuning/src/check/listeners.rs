//! Rules about `[listen]`.

use super::{Checker, repeated};

pub(super) fn some_listener(checker: &mut Checker<'_>) {
    let count = checker.config.listen.udp.len();
    if count == 0 {
        let finding = checker.error("no-listener", "listen.udp", "nothing is listened on");
        checker.note(finding.label("empty").remedy("write udp = [\"127.0.0.1:5060\"]"));
    } else if count > limits::LISTENERS_MAX {
        let finding = checker.error("too-many-listeners", "listen.udp", format!("there are {count} listeners"));
        checker.note(
            finding.remedy(format!("keep at most {}; a wildcard address serves all of a host", limits::LISTENERS_MAX)),
        );
    }
}

pub(super) fn duplicate_listeners(checker: &mut Checker<'_>) {
    let listeners = &checker.config.listen.udp;
    for (earlier, index) in repeated(listeners.iter().map(|listener| listener.address)) {
        let Some(listener) = listeners.get(index) else {
            continue;
        };
        let message = format!("{} is listened on twice", listener.address);
        let finding = checker
            .error("duplicate-listener", &format!("listen.udp[{index}].address"), message)
            .label("again")
            .related(checker.marks.value(&format!("listen.udp[{earlier}].address")), "first here")
            .remedy("remove one of the two");
        checker.note(finding);
    }
    for (earlier, index) in repeated(listeners.iter().map(|listener| listener.name.as_str())) {
        let (Some(first), Some(listener)) = (listeners.get(earlier), listeners.get(index)) else {
            continue;
        };
        if first.address == listener.address {
            continue;
        }
        let finding = checker
            .error(
                "duplicate-name",
                &format!("listen.udp[{index}].name"),
                format!("two listeners are named `{}`", listener.name),
            )
            .label("again")
            .related(checker.marks.value(&format!("listen.udp[{earlier}].name")), "first here")
            .remedy("give each listener a name of its own");
        checker.note(finding);
    }
}

/// Ports that cannot be bound: 0 always, low ones without the right to.
pub(super) fn bindable_ports(checker: &mut Checker<'_>) {
    let config = checker.config;
    let listeners = config.listen.udp.iter().enumerate();
    let sip = listeners.map(|(index, listener)| (format!("listen.udp[{index}].address"), listener.address, 5060));
    let metrics = config.metrics.listen.map(|address| ("metrics.listen".to_owned(), address, 9_464));
    for (path, mut address, usual) in sip.chain(metrics) {
        let port = address.port();
        address.set_port(usual);
        if port == 0 {
            let finding = checker.error("port-zero", &path, "port 0 is not a port");
            checker.note(finding.label("nobody could send here").remedy(format!("write \"{address}\"")));
        } else if checker.environment.lowest_port.is_some_and(|lowest| port < lowest) {
            let message = format!("port {port} needs a privilege that this process does not have");
            let finding = checker.warning("privileged-port", &path, message);
            checker.note(finding.remedy(format!("write \"{address}\", or run with CAP_NET_BIND_SERVICE")));
        }
    }
}
