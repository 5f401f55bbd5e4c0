//! Reading nft's JSON: which rules drop, accept, track or leave alone the datagrams of a port.

use serde_json::Value;
use std::collections::BTreeSet;

/// One rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) family: String,
    pub(super) table: String,
    pub(super) chain: String,
    pub(super) handle: u64,
    expressions: Vec<Value>,
}

/// A chain that the kernel itself calls.
#[derive(Clone, Debug)]
pub(super) struct BaseChain {
    pub(super) family: String,
    pub(super) table: String,
    pub(super) name: String,
    pub(super) hook: String,
    pub(super) drops_by_default: bool,
}

/// What the firewall has.
#[derive(Clone, Debug, Default)]
pub(super) struct Ruleset {
    pub(super) rules: Vec<Rule>,
    pub(super) chains: Vec<BaseChain>,
    /// Names of connection tracking helpers of type "sip".
    pub(super) sip_modules: BTreeSet<String>,
}

impl Ruleset {
    /// From the document that `nft --json list ruleset` prints. What is unknown is left out.
    pub(super) fn read(document: &Value) -> Self {
        let mut ruleset = Ruleset::default();
        let word = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        for object in document.get("nftables").and_then(Value::as_array).into_iter().flatten() {
            if let Some(rule) = object.get("rule") {
                ruleset.rules.push(Rule {
                    family: word(rule, "family"),
                    table: word(rule, "table"),
                    chain: word(rule, "chain"),
                    handle: rule.get("handle").and_then(Value::as_u64).unwrap_or(0),
                    expressions: rule.get("expr").and_then(Value::as_array).cloned().unwrap_or_default(),
                });
            } else if let Some(chain) = object.get("chain").filter(|chain| chain.get("hook").is_some()) {
                ruleset.chains.push(BaseChain {
                    family: word(chain, "family"),
                    table: word(chain, "table"),
                    name: word(chain, "name"),
                    hook: word(chain, "hook"),
                    drops_by_default: word(chain, "policy") == "drop",
                });
            } else if let Some(helper) = object.get("ct helper").filter(|helper| word(helper, "type") == "sip") {
                ruleset.sip_modules.insert(word(helper, "name"));
            }
        }
        // What is forwarded is not for a listener of this host.
        let forwards = |rule: &Rule| ruleset.chains.iter().any(|chain| chain.hook == "forward" && chain.holds(rule));
        let rules = ruleset.rules.iter().filter(|rule| !forwards(rule)).cloned().collect();
        Ruleset { rules, ..ruleset }
    }

    /// Whether any rule needs connection tracking: the kernel tracks everything as soon as one does.
    pub(super) fn tracks(&self) -> bool {
        const NEEDS: [&str; 5] = ["masquerade", "snat", "dnat", "redirect", "ct helper"];
        self.rules.iter().any(|rule| {
            rule.expressions.iter().any(|expression| {
                NEEDS.iter().any(|key| expression.get(key).is_some())
                    || expression.pointer("/match/left/ct").is_some()
                    || expression.pointer("/vmap/key/ct").is_some()
            })
        })
    }
}

impl BaseChain {
    pub(super) fn holds(&self, rule: &Rule) -> bool {
        self.family == rule.family && self.table == rule.table && self.name == rule.chain
    }
}

impl Rule {
    fn has(&self, key: &str) -> bool {
        self.expressions.iter().any(|expression| expression.get(key).is_some())
    }

    pub(super) fn drops(&self) -> bool {
        self.has("drop") || self.has("reject")
    }

    pub(super) fn accepts(&self) -> bool {
        self.has("accept")
    }

    pub(super) fn leaves_untracked(&self) -> bool {
        self.has("notrack")
    }

    /// The tracking helper that it sets.
    pub(super) fn tracking_module(&self) -> Option<&str> {
        self.expressions.iter().find_map(|expression| expression.get("ct helper")?.as_str())
    }

    /// Packets that it has counted, if it counts.
    pub(super) fn packets(&self) -> Option<u64> {
        self.expressions.iter().find_map(|expression| expression.pointer("/counter/packets")?.as_u64())
    }

    /// Whether it asks for anything but ports.
    pub(super) fn has_other_conditions(&self) -> bool {
        self.has("limit") || self.conditions().any(|condition| field(condition) != Some("dport"))
    }

    /// Whether it names `port` as where the datagram goes.
    pub(super) fn names_port(&self, port: u16) -> bool {
        self.conditions().any(|condition| {
            let on_udp = matches!(protocol(condition), Some("udp" | "th"));
            let named = condition.get("right").is_some_and(|right| covers(right, port));
            let negated = condition.get("op").and_then(Value::as_str) == Some("!=");
            on_udp && field(condition) == Some("dport") && named != negated
        })
    }

    fn conditions(&self) -> impl Iterator<Item = &Value> {
        self.expressions.iter().filter_map(|expression| expression.get("match"))
    }

    /// `nft` words that name it.
    pub(super) fn place(&self) -> String {
        let Rule { family, table, chain, handle, .. } = self;
        format!("{} {} {} handle {handle}", family, super::finding::quoted(table), super::finding::quoted(chain))
    }
}

fn protocol(condition: &Value) -> Option<&str> {
    condition.pointer("/left/payload/protocol")?.as_str()
}

fn field(condition: &Value) -> Option<&str> {
    condition.pointer("/left/payload/field")?.as_str()
}

/// Whether a number, a range or a set of them has `port`.
fn covers(value: &Value, port: u16) -> bool {
    let port = u64::from(port);
    if let Some(number) = value.as_u64() {
        return number == port;
    }
    if let Some(range) = value.get("range").and_then(Value::as_array) {
        let mut ends = range.iter().filter_map(Value::as_u64);
        return matches!((ends.next(), ends.next()), (Some(low), Some(high)) if (low..=high).contains(&port));
    }
    let elements = value.get("set").and_then(Value::as_array).into_iter().flatten();
    elements.into_iter().any(|element| {
        let plain = element.pointer("/elem/val").unwrap_or(element);
        u16::try_from(port).is_ok_and(|port| covers(plain, port))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ports_in_every_form() {
        assert!(covers(&json!(5060), 5060) && !covers(&json!(5061), 5060));
        assert!(covers(&json!({ "range": [5000, 5080] }), 5060) && !covers(&json!({ "range": [1, 2] }), 5060));
        assert!(covers(&json!({ "set": [1, { "range": [5060, 5061] }] }), 5060));
        assert!(covers(&json!({ "set": [{ "elem": { "val": 5060, "counter": {} } }] }), 5060));
        assert!(!covers(&json!("@sip_ports"), 5060));
    }

    #[test]
    fn what_is_forwarded_is_left_out() {
        let document = json!({ "nftables": [
            { "chain": { "family": "ip", "table": "t", "name": "f", "hook": "forward", "policy": "accept" } },
            { "rule": { "family": "ip", "table": "t", "chain": "f", "handle": 2, "expr": [{ "drop": null }] } },
            { "rule": { "family": "ip", "table": "t", "chain": "g", "handle": 3, "expr": [{ "drop": null }] } },
        ] });
        let ruleset = Ruleset::read(&document);
        assert_eq!(ruleset.rules.iter().map(|rule| rule.handle).collect::<Vec<_>>(), [3]);
        assert!(!ruleset.tracks() && Ruleset::read(&json!({})).rules.is_empty());
    }
}
