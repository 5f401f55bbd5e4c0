//! A table of a database, as text: what all readers make, and what all translations read.

/// Rows with named columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Its name, without a schema.
    pub name: String,
    /// Names of its columns; empty: the source did not say, and the rows are in Kamailio's order.
    pub columns: Vec<String>,
    /// Values in the columns' order; `None`: NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

/// Columns of Kamailio's tables in their order (5.6 to 6.1), for dumps that do not name them.
const KNOWN: &[(&str, &[&str])] = &[
    ("dispatcher", &["id", "setid", "destination", "flags", "priority", "attrs", "description"]),
    ("address", &["id", "grp", "ip_addr", "mask", "port", "tag"]),
    ("trusted", &["id", "src_ip", "proto", "from_pattern", "ruri_pattern", "tag", "priority"]),
    (
        "lcr_gw",
        &[
            "id",
            "lcr_id",
            "gw_name",
            "ip_addr",
            "hostname",
            "port",
            "params",
            "uri_scheme",
            "transport",
            "strip",
            "prefix",
            "tag",
            "flags",
            "defunct",
        ],
    ),
    ("lcr_rule", &["id", "lcr_id", "prefix", "from_uri", "request_uri", "mt_tvalue", "stopper", "enabled"]),
    ("lcr_rule_target", &["id", "lcr_id", "rule_id", "gw_id", "priority", "weight"]),
    ("dr_gateways", &["gwid", "type", "address", "strip", "pri_prefix", "attrs", "description"]),
    ("dr_rules", &["ruleid", "groupid", "prefix", "timerec", "priority", "routeid", "gwlist", "description"]),
    ("dr_gw_lists", &["id", "gwlist", "description"]),
    ("dr_groups", &["id", "username", "domain", "groupid", "description"]),
    (
        "carrierroute",
        &[
            "id",
            "carrier",
            "domain",
            "scan_prefix",
            "flags",
            "mask",
            "prob",
            "strip",
            "rewrite_host",
            "rewrite_prefix",
            "rewrite_suffix",
            "description",
        ],
    ),
    (
        "carrierfailureroute",
        &[
            "id",
            "carrier",
            "domain",
            "scan_prefix",
            "host_name",
            "reply_code",
            "flags",
            "mask",
            "next_domain",
            "description",
        ],
    ),
    ("carrier_name", &["id", "carrier"]),
    ("domain_name", &["id", "domain"]),
    ("subscriber", &["id", "username", "domain", "password", "ha1", "ha1b"]),
    (
        "location",
        &[
            "id",
            "ruid",
            "username",
            "domain",
            "contact",
            "received",
            "path",
            "expires",
            "q",
            "callid",
            "cseq",
            "last_modified",
            "flags",
            "cflags",
            "user_agent",
            "socket",
            "methods",
            "instance",
            "reg_id",
            "server_id",
            "connection_id",
            "keepalive",
            "partition",
        ],
    ),
];

/// Whether it is one that is translated.
pub fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|(known, _)| *known == name)
}

/// Names of the tables that are translated.
pub fn known() -> impl Iterator<Item = &'static str> {
    KNOWN.iter().map(|(name, _)| *name)
}

impl Table {
    /// An empty one.
    pub fn named(name: &str) -> Self {
        Table { name: name.to_owned(), ..Table::default() }
    }

    /// Its columns: as the source named them, else Kamailio's.
    pub fn columns(&self) -> Vec<&str> {
        let known = || KNOWN.iter().find(|(name, _)| *name == self.name).map_or(&[][..], |(_, columns)| columns);
        if self.columns.is_empty() { known().to_vec() } else { self.columns.iter().map(String::as_str).collect() }
    }

    /// Its rows, each with the columns' names, numbered from 1.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let columns = std::rc::Rc::new(self.columns());
        self.rows.iter().zip(1..).map(move |(values, number)| Row { columns: columns.clone(), values, number })
    }
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row<'t> {
    columns: std::rc::Rc<Vec<&'t str>>,
    values: &'t [Option<String>],
    /// Its place in the table, from 1.
    pub number: usize,
}

impl<'t> Row<'t> {
    /// What stands in a column; nothing, NULL and a column that is not there are the same to Kamailio's modules.
    pub fn text(&self, column: &str) -> Option<&'t str> {
        let place = self.columns.iter().position(|name| name.eq_ignore_ascii_case(column))?;
        self.values.get(place)?.as_deref().map(str::trim).filter(|value| !value.is_empty())
    }

    /// A whole number; `None`: there is none.
    pub fn number(&self, column: &str) -> Option<i64> {
        self.text(column)?.parse().ok()
    }

    /// A whole number, or what stands for none. Databases write some as `1.0`.
    pub fn number_or(&self, column: &str, otherwise: i64) -> i64 {
        self.number(column).unwrap_or(otherwise)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn rows_are_read_by_name_and_by_kamailios_order_where_there_is_none() {
        let row = |values: &[&str]| values.iter().map(|value| Some((*value).to_owned())).collect::<Vec<_>>();
        let bare = Table { rows: vec![row(&["1", "2", "sip:a", "0", "5"])], ..Table::named("dispatcher") };
        let first = bare.rows().next().unwrap();
        assert_eq!(
            (first.number("setid"), first.text("destination"), first.number("priority")),
            (Some(2), Some("sip:a"), Some(5))
        );
        assert_eq!((first.text("attrs"), first.number_or("attrs", 7)), (None, 7));
        let named = Table { columns: vec!["SETID".into()], rows: vec![row(&[" 9 "])], ..Table::named("dispatcher") };
        assert_eq!(named.rows().next().unwrap().number("setid"), Some(9));
        assert!(is_known("lcr_gw") && !is_known("version"));
    }
}
