//! Rules about who may send.

use super::{Checker, repeated};
use crate::config::SourceGroup;

/// A listener that strangers can reach needs somebody who may send.
pub(super) fn open_listeners(checker: &mut Checker<'_>) {
    let config = checker.config;
    if !config.source_groups.is_empty() || !config.customers.is_empty() || checker.given("sources") {
        return;
    }
    for (index, listener) in checker.config.listen.udp.iter().enumerate() {
        if listener.address.ip().is_loopback() {
            continue;
        }
        let message =
            format!("nobody may send to {}: it is not loopback, and the file has no sources", listener.address);
        let finding = checker
            .error("no-sources", &format!("listen.udp[{index}].address"), message)
            .label("reachable from other hosts")
            .remedy("add at the top: sources = [\"192.0.2.0/24\"] with your peers' prefixes, or sources = [\"any\"] to let everybody send");
        checker.note(finding);
    }
}

pub(super) fn empty_groups(checker: &mut Checker<'_>) {
    if checker.given("sources")
        && !checker.config.source_groups.iter().any(|group| group.name == SourceGroup::DEFAULT_NAME)
    {
        let finding = checker.error("empty-sources", "sources", "`sources` names nobody");
        checker.note(finding.label("empty").remedy("write prefixes, [\"any\"], or leave the key out"));
    }
    for (index, group) in checker.config.source_groups.iter().enumerate() {
        if group.prefixes.is_empty() {
            let path = format!("source[{index}].prefixes");
            let finding =
                checker.error("empty-sources", &path, format!("nobody belongs to the source group `{}`", group.name));
            checker.note(finding.label("empty").remedy("write its prefixes, or remove the group"));
        }
    }
}

pub(super) fn duplicate_groups(checker: &mut Checker<'_>) {
    let groups = &checker.config.source_groups;
    for (earlier, index) in repeated(groups.iter().map(|group| group.name.as_str())) {
        let Some(group) = groups.get(index) else {
            continue;
        };
        // WHY: the group that `sources` makes comes last, but it is the [[source]] that took its name.
        let reserved = group.name == SourceGroup::DEFAULT_NAME && checker.given("sources");
        let (at, other) = if reserved { (earlier, index) } else { (index, earlier) };
        let finding = checker
            .error(
                "duplicate-name",
                &format!("source[{at}].name"),
                format!("two source groups are named `{}`", group.name),
            )
            .label(if reserved { "this is the name of the group that `sources` makes" } else { "again" })
            .related(checker.marks.value(&format!("source[{other}].name")), "first here")
            .remedy("give each group a name of its own");
        checker.note(finding);
    }
}

/// One prefix in two groups: which one it belongs to would be chance.
pub(super) fn duplicate_prefixes(checker: &mut Checker<'_>) {
    let groups = &checker.config.source_groups;
    let all: Vec<_> = groups
        .iter()
        .enumerate()
        .flat_map(|(index, group)| group.prefixes.iter().enumerate().map(move |(nth, network)| (index, nth, network)))
        .collect();
    for (earlier, again) in repeated(all.iter().map(|(_, _, network)| **network)) {
        let (Some((first, first_nth, _)), Some((index, nth, network))) = (all.get(earlier), all.get(again)) else {
            continue;
        };
        let finding = checker
            .error("duplicate-prefix", &format!("source[{index}].prefixes[{nth}]"), format!("{network} is given twice"))
            .label(if first == index { "again" } else { "again, in another group" })
            .related(checker.marks.value(&format!("source[{first}].prefixes[{first_nth}]")), "first here")
            .remedy("leave it in one place");
        checker.note(finding);
    }
}
