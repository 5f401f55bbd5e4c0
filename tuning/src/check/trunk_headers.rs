//! Rules about header rules of trunks.

use super::Checker;
use crate::config::HeaderRule;

/// Fields by which messages find their way, dialogs hold together, or sides agree on what they speak: compact forms
/// beside them.
const NOT_THEIRS: &[(&str, &str)] = &[
    ("Via", "v"),
    ("Route", ""),
    ("Record-Route", ""),
    ("Path", ""),
    ("Service-Route", ""),
    ("Max-Forwards", ""),
    ("Max-Breadth", ""),
    ("From", "f"),
    ("To", "t"),
    ("Call-ID", "i"),
    ("CSeq", ""),
    ("Contact", "m"),
    ("Content-Length", "l"),
    ("Content-Type", "c"),
    ("Content-Encoding", "e"),
    ("Require", ""),
    ("Proxy-Require", ""),
    ("Supported", "k"),
    ("RSeq", ""),
    ("RAck", ""),
    ("Session-Expires", "x"),
    ("Min-SE", ""),
    ("Replaces", ""),
    ("Refer-To", "r"),
    ("Event", "o"),
];

/// What a rule writes or takes out.
fn touched(rule: &HeaderRule) -> Option<(&'static str, &str)> {
    let named = [("remove", &rule.remove), ("set", &rule.set), ("to", &rule.to)];
    named.into_iter().find_map(|(key, field)| Some((key, field.as_ref()?.as_str())))
}

/// One change a rule; never a field that a dialog stands on.
pub(super) fn header_rules(checker: &mut Checker<'_>) {
    let config = checker.config;
    let customers = config.customers.iter().enumerate().flat_map(|(index, customer)| {
        let lists = [("received_headers", &customer.received_headers), ("sent_headers", &customer.sent_headers)];
        lists.map(|(key, rules)| (format!("customer[{index}].{key}"), rules))
    });
    let vendors = config.vendors.iter().enumerate().flat_map(|(index, vendor)| {
        let lists = [("received_headers", &vendor.received_headers), ("sent_headers", &vendor.sent_headers)];
        lists.map(|(key, rules)| (format!("vendor[{index}].{key}"), rules))
    });
    for (path, rules) in customers.chain(vendors) {
        if rules.len() > limits::HEADER_RULES_MAX {
            let most = limits::HEADER_RULES_MAX;
            let finding = checker.error("too-many-header-rules", &path, format!("more than {most} header rules"));
            checker.note(finding.label("too many").remedy("leave out what other rules do already"));
        }
        for (nth, rule) in rules.iter().enumerate() {
            header_rule(checker, &format!("{path}[{nth}]"), rule);
        }
    }
}

fn header_rule(checker: &mut Checker<'_>, path: &str, rule: &HeaderRule) {
    let HeaderRule { remove, set, value, copy, to } = rule;
    let given = [remove.is_some(), set.is_some(), value.is_some(), copy.is_some(), to.is_some()];
    let whole = matches!(
        given,
        [true, false, false, false, false] | [false, true, true, false, false] | [false, false, false, true, true]
    );
    if !whole {
        let finding = checker.error("header-rule", path, "a header rule does one thing");
        let remedy = "write { remove = \"X\" }, { set = \"X\", value = \"...\" } or { copy = \"X\", to = \"Y\" }";
        return checker.note(finding.label("not one of the three").remedy(remedy));
    }
    let Some((key, name)) = touched(rule) else { return };
    let own = NOT_THEIRS
        .iter()
        .find(|(long, short)| name.eq_ignore_ascii_case(long) || !short.is_empty() && name.eq_ignore_ascii_case(short));
    if let Some((long, _)) = own {
        let message = format!("{long} is not for header rules: calls would break");
        let finding = checker.error("header-not-changeable", &format!("{path}.{key}"), message);
        checker.note(finding.label("a dialog stands on it").remedy("leave this rule out"));
    }
}
