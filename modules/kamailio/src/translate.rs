//! Everything together: tables and script to one configuration, its decks, its accounts and bindings, and the report.

mod class4;
mod script;

use crate::dispatcher::{self, DestinationSet, Writing};
use crate::location::{self, Location, Reading};
use crate::output::{Document, Names};
use crate::read::script::Script;
use crate::report::Report;
use crate::routing::{self, Routing};
use crate::senders::{self, Group};
use crate::table::Table;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};

/// What an import begins with.
#[derive(Debug)]
pub struct Given<'g> {
    /// All tables, in any order; several of one name are one.
    pub tables: &'g [Table],
    /// What tables mean, as far as the script decides it.
    pub script: &'g Script,
    /// Addresses to listen on; empty: those of the script.
    pub listen: &'g [String],
    /// Who may send, beside the tables.
    pub sources: &'g [String],
    /// Kamailio's algorithm of sets that are not named in `algorithms`.
    pub algorithm: Option<i64>,
    /// Kamailio's algorithm, by set.
    pub algorithms: &'g BTreeMap<i64, i64>,
    /// Keep hash choices as Kamailio makes them.
    pub compat: bool,
    /// Domain of users without one.
    pub domain: Option<&'g str>,
    /// Where decks, image and accounts will lie: an absolute path.
    pub folder: &'g str,
    /// Seconds since 1970.
    pub now: i64,
    /// Zone of times that are written as dates.
    pub zone: &'g TimeZone,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Translation {
    /// The configuration.
    pub toml: String,
    /// Where it listens, in the file's order.
    pub listen: Vec<String>,
    /// Files of decks below `decks/`, and what is in them.
    pub decks: Vec<(String, String)>,
    /// Bindings in force.
    pub bindings: Vec<Location>,
    /// Tables of accounts.
    pub subscribers: Vec<Table>,
    /// What was taken, left out, and is otherwise.
    pub report: Report,
}

/// Name of the database of accounts in the folder.
pub const ACCOUNTS: &str = "accounts.db";
/// Name of the state directory in the folder, when there are bindings.
pub const STATE: &str = "state";
/// Name of the image of the decks in the folder.
pub const IMAGE: &str = "decks.image";

/// Algorithm of sets of which nothing says any.
const ROUND_ROBIN: i64 = 4;

/// Translates.
///
/// # Errors
/// There is nothing that could be translated, or nothing says who may send.
pub fn translate(given: &Given<'_>) -> Result<Translation, String> {
    let mut report = Report::default();
    let of = |name: &'static str| given.tables.iter().filter(move |table| table.name == name);
    let sets = dispatcher::sets(of("dispatcher"), &mut report);
    let groups = senders::groups(of("address").chain(of("trusted")), &mut report);
    let routing = routing(given, &mut report);
    let bindings =
        location::read(of("location"), Reading { domain: given.domain, zone: given.zone, now: given.now }, &mut report);
    let subscribers: Vec<Table> = of("subscriber").filter(|table| !table.rows.is_empty()).cloned().collect();
    let nothing = sets.is_empty()
        && groups.is_empty()
        && routing.plans.is_empty()
        && bindings.is_empty()
        && subscribers.is_empty();
    if nothing {
        let known: Vec<&str> = crate::table::known().collect();
        return Err(format!("nothing was found that could be imported: no row of {}", known.join(", ")));
    }
    let mut making = Making {
        given,
        report,
        document: Document::default(),
        gateways: Names::default(),
        sets: Names::default(),
        listen: Vec::new(),
        decks: Vec::new(),
    };
    making.head(&groups, routing.plans.is_empty())?;
    making.dispatcher(&sets);
    making.class4(&routing, &groups)?;
    making.domains(&bindings, &subscribers);
    let Making { report, document, listen, decks, .. } = making;
    Ok(Translation { toml: document.finish(), listen, decks, bindings, subscribers, report })
}

fn routing(given: &Given<'_>, report: &mut Report) -> Routing {
    let tables: Vec<&Table> = given.tables.iter().collect();
    let mut routing = routing::lcr::read(&tables, given.script, given.now, report);
    routing.join(routing::drouting::read(&tables, given.script, report));
    routing.join(routing::carrierroute::read(&tables, report));
    routing
}

/// The configuration in the making.
struct Making<'g> {
    given: &'g Given<'g>,
    report: Report,
    document: Document,
    gateways: Names,
    sets: Names,
    listen: Vec<String>,
    decks: Vec<(String, String)>,
}

impl Making<'_> {
    /// Sources and listeners.
    fn head(&mut self, groups: &[Group], alone: bool) -> Result<(), String> {
        self.document.comment("Imported from Kamailio by `tandem import kamailio`; its report says what is otherwise.");
        let listen = if self.given.listen.is_empty() { self.given.script.listeners() } else { self.given.listen };
        let fallback = ["127.0.0.1:5060".to_owned()];
        let listen = if listen.is_empty() {
            self.report.otherwise(
                "listeners",
                "nothing says where Kamailio listens: 127.0.0.1:5060 stands in the file; write yours, or give --listen",
            );
            &fallback
        } else {
            listen
        };
        self.listen = listen.to_vec();
        let nobody = groups.is_empty() && self.given.sources.is_empty();
        let reachable = listen
            .iter()
            .any(|one| one.parse::<std::net::SocketAddr>().is_ok_and(|address| !address.ip().is_loopback()));
        if nobody && (reachable || !alone) {
            return Err("nothing says who may send: import the table `address`, or give --source PREFIX (`--source any` lets everybody send)".into());
        }
        if alone && !self.given.sources.is_empty() {
            self.document.strings("sources", self.given.sources.iter().map(String::as_str));
        }
        self.document.section("[listen]");
        self.document.strings("udp", listen.iter().map(String::as_str));
        if alone {
            self.source_groups(groups);
        }
        Ok(())
    }

    fn source_groups(&mut self, groups: &[Group]) {
        let (mut names, mut seen) = (Names::default(), BTreeSet::new());
        names.give("default");
        for group in groups {
            // Ports are not told apart here, so that one address may have come twice.
            let networks: Vec<String> = group
                .senders
                .iter()
                .map(senders::Sender::network)
                .filter(|network| seen.insert(network.clone()))
                .collect();
            if group.senders.iter().any(|sender| sender.port.is_some()) {
                self.report.no_counterpart(
                    group.name(),
                    "has members with a port of their own: their addresses may send from any",
                );
            }
            if networks.is_empty() {
                continue;
            }
            self.document.section("[[source]]");
            self.document.string("name", &names.give(&group.name()));
            self.document.strings("prefixes", networks.iter().map(String::as_str));
            self.report.taken(group.name(), format!("{} addresses and networks that may send", networks.len()));
        }
    }

    fn dispatcher(&mut self, sets: &[DestinationSet]) {
        let mut written = Vec::new();
        for set in sets {
            let use_of_set = script::use_of(set.id, self.given, &mut self.report);
            let mut writing = Writing {
                names: &mut self.gateways,
                script: self.given.script,
                compat: self.given.compat,
                keeps_request_uri: use_of_set.keeps_request_uri,
                document: &mut self.document,
                report: &mut self.report,
            };
            if dispatcher::write(set, use_of_set.algorithm, &mut writing) {
                written.push(set.id);
                self.sets.give(&dispatcher::set_name(set.id));
            }
        }
        if written.is_empty() {
            return;
        }
        script::say_dispatcher(sets, self.given.script, &mut self.report);
        self.routes(&written);
    }

    /// Which calls go to which set was the script's to say.
    fn routes(&mut self, sets: &[i64]) {
        let first =
            script::first_set(self.given.script).filter(|set| sets.contains(set)).or_else(|| sets.first().copied());
        let others: Vec<i64> = sets.iter().copied().filter(|set| Some(*set) != first).collect();
        for set in &others {
            self.document.section("[[route]]");
            self.document.comment(
                "The script decided which calls go here: write it as `prefix`, `domain`, `source` or `listener`.",
            );
            let name = dispatcher::set_name(*set);
            self.document.string("domain", &format!("{name}.invalid"));
            self.document.string("set", &name);
        }
        if let Some(first) = first {
            self.document.section("[[route]]");
            self.document.string("set", &dispatcher::set_name(first));
        }
        if !others.is_empty() {
            let names: Vec<String> = others.iter().map(|set| dispatcher::set_name(*set)).collect();
            let text = format!(
                "calls go to set {}; the script decided which went to {}: their routes have a domain that no call has, write yours",
                first.unwrap_or(0),
                names.join(", ")
            );
            self.report.otherwise("dispatcher", text);
        }
    }

    fn domains(&mut self, bindings: &[Location], subscribers: &[Table]) {
        let of_accounts =
            subscribers.iter().flat_map(Table::rows).filter_map(|row| row.text("domain").map(str::to_ascii_lowercase));
        let of_bindings = bindings.iter().map(|one| one.domain.clone());
        let mut names: BTreeSet<String> = of_accounts.chain(of_bindings).collect();
        if !subscribers.is_empty() {
            names.extend(self.given.domain.map(str::to_ascii_lowercase));
        }
        if !bindings.is_empty() {
            self.document.section("[state]");
            self.document.string("dir", &format!("{}/{STATE}", self.given.folder));
        }
        for name in &names {
            self.document.section("[[domain]]");
            self.document.string("name", name);
            if !subscribers.is_empty() {
                self.document.key("accounts", &crate::output::sqlite(&format!("{}/{ACCOUNTS}", self.given.folder)));
            }
        }
        let accounts: usize = subscribers.iter().map(|table| table.rows.len()).sum();
        if accounts > 0 {
            self.report.taken("subscriber", format!("{accounts} accounts of {} domains", names.len()));
        }
    }
}

#[cfg(test)]
mod tests;
