#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::script::Script;
use super::{address_file, dbtext, list, sql};
use crate::report::{Kind, Report};
use crate::table::Table;
use proptest::prelude::*;

fn values(table: &Table) -> Vec<Vec<&str>> {
    table.rows.iter().map(|row| row.iter().map(|value| value.as_deref().unwrap_or("-")).collect()).collect()
}

#[test]
fn a_dispatcher_list_is_read_as_kamailio_reads_it() {
    let text = "# gateways\n1 sip:192.0.2.1:5060;transport=udp 0x8 10 weight=70;duid=a # comment\n\n\
                \t2  sip:192.0.2.2\t8 \r\n3 sip:192.0.2.3#glued\nnonsense\nx sip:192.0.2.4\n";
    let mut report = Report::default();
    let table = list::read(text, &mut report);
    assert_eq!(
        values(&table),
        [
            vec!["1", "sip:192.0.2.1:5060;transport=udp", "8", "10", "weight=70;duid=a"],
            vec!["2", "sip:192.0.2.2", "8", "0", "-"],
            vec!["3", "sip:192.0.2.3", "0", "0", "-"],
            vec!["0", "nonsense", "0", "0", "-"],
            vec!["0", "x", "0", "0", "sip:192.0.2.4"],
        ]
    );
    assert!(report.says(Kind::Otherwise, "does not begin with a number"));
}

#[test]
fn dbtext_has_its_escapes_and_counts_values() {
    let text = "id(int,auto) name(string) note(str,null)\n1:a\\:b\\\\c:\n2:x:line\\nbreak\n";
    let table = dbtext::read("t", text).unwrap();
    assert_eq!(values(&table), [vec!["1", "a:b\\c", "-"], vec!["2", "x", "line\nbreak"]]);
    assert_eq!(dbtext::read("t", "id(int)\n1:2\n").unwrap_err().to_string(), "line 2: has 2 values for 1 columns");
    assert!(dbtext::read("t", "1 sip:192.0.2.1").is_err() && !dbtext::looks_like("1 sip:192.0.2.1"));
    assert!(dbtext::looks_like(text));
}

#[test]
fn every_kind_of_dump_says_the_same() {
    let wanted = ["1", "192.0.2.1", "o'hara\\x", "-"];
    let dumps = [
        "-- MariaDB dump 10\n/*!40101 SET NAMES utf8 */;\nCREATE TABLE `t` (\n `id` int(10) unsigned NOT NULL DEFAULT '1,2',\n \
         `ip` varchar(50),\n `tag` varchar(64) COMMENT 'it''s; (odd)',\n `end` int,\n PRIMARY KEY (`id`,`ip`)\n) ENGINE=InnoDB;\n\
         INSERT INTO `other` VALUES (1,'a;b');\nINSERT INTO `t` VALUES (1,'192.0.2.1','o\\'hara\\\\x',NULL),(1,'192.0.2.1','o\\'hara\\\\x',NULL);\n",
        "-- PostgreSQL database dump\nCREATE TABLE public.t (id integer, ip character varying(50) DEFAULT ''::character varying, tag text, \"end\" integer);\n\
         INSERT INTO public.t VALUES (1, '192.0.2.1', 'o''hara\\x', NULL);\nINSERT INTO public.t (tag, \"end\", id, ip) VALUES (E'o\\'hara\\\\x', NULL, 1, '192.0.2.1');\n",
        "-- PostgreSQL database dump\n\\restrict abc\nSELECT pg_catalog.set_config('search_path', '', false);\nCOPY public.other (a) FROM stdin;\nx\n\\.\n\
         COPY public.t (id, ip, tag, \"end\") FROM stdin;\n1\t192.0.2.1\to'hara\\\\x\t\\N\n1\t192.0.2.1\to'hara\\\\x\t\\N\n\\.\n\nSELECT 1;\n",
    ];
    for dump in dumps {
        let tables = sql::read(dump, |name| name == "t").unwrap();
        let [table] = tables.as_slice() else { panic!("{tables:?}") };
        assert_eq!(table.columns, ["id", "ip", "tag", "end"], "{dump}");
        assert_eq!(values(table), [wanted, wanted], "{dump}");
        assert!(sql::looks_like(dump));
    }
}

#[test]
fn what_is_wrong_in_a_dump_is_named_by_its_line() {
    let fails = |text: &str| sql::read(text, |_| true).unwrap_err().to_string();
    assert_eq!(fails("\nINSERT INTO t (a, b) VALUES (1);"), "line 2: a row of `t` has 1 values for 2 columns");
    assert_eq!(fails("INSERT INTO t VALUES ('open"), "line 1: a row does not end");
    assert!(sql::read("INSERT INTO t SELECT 1; INSERT INTO t VALUES (2);", |_| true).unwrap()[0].rows.len() == 1);
}

#[test]
fn a_script_says_what_was_ever_switched_on() {
    let text = "#!KAMAILIO\nmodparam(\"dispatcher\", \"flags\", 2)\n# modparam(\"dispatcher\", \"ds_probing_mode\", 1)\n\
                /* modparam(\"dispatcher\", \"x\", 1) */\nmodparam(\"a|b\", \"c\", \"d\")\n\
                route { if (!ds_select_dst(\"1\", \"4\")) { exit; } t_on_failure(\"F\"); }\n\
                failure_route[F] { if (t_check_status(\"5[0-9][0-9]\")) { ds_next_dst(); } }";
    let script = Script::read(text);
    assert_eq!(
        (script.number("dispatcher", "flags"), script.parameter("dispatcher", "ds_probing_mode")),
        (Some(2), None)
    );
    assert_eq!((script.parameter("b", "c"), script.parameter("dispatcher", "x")), (Some("d"), None));
    assert_eq!(script.calls(&["ds_select_dst"]).next().unwrap(), ["1", "4"]);
    assert_eq!(script.looks_at_408(), Some(false));
    assert_eq!(Script::read("t_check_status(\"[45]..\")").looks_at_408(), Some(true));
    assert_eq!(Script::read("t_check_status(\"503\") || t_branch_timeout()").looks_at_408(), Some(true));
    assert_eq!(Script::read("").looks_at_408(), None);
}

#[test]
fn a_file_of_addresses_is_the_table() {
    let table = address_file::read("# who\n1 192.0.2.0 24 0 acme\n2 [2001:db8::1]\n");
    assert_eq!(values(&table), [vec!["1", "192.0.2.0", "24", "0", "acme"], vec!["2", "2001:db8::1", "-", "-", "-"]]);
}

/// Text that is close to what the readers look for, so that they get deep.
fn nearly() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "INSERT INTO ",
        "t",
        "`t`",
        " VALUES ",
        "(",
        ")",
        ",",
        "'",
        "\\",
        ";",
        "\n",
        "CREATE TABLE ",
        "COPY t (a) FROM stdin;\n",
        "\\.\n",
        "--",
        "/*",
        "*/",
        "\"",
        "NULL",
        "::",
        "1",
        "sip:a",
        " ",
        "\t",
        "#",
        "0x",
        "id(int) ",
        ":",
        "\\n",
        "E'",
        "modparam(",
        "ü",
        "\u{0}",
    ]);
    prop::collection::vec(parts, 0..60).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn no_reader_panics_or_makes_more_than_there_is(text in prop_oneof![nearly(), ".{0,400}"]) {
        let size = |table: &Table| table.rows.iter().flatten().flatten().map(String::len).sum::<usize>();
        for table in sql::read(&text, |_| true).unwrap_or_default() {
            prop_assert!(size(&table) <= text.len());
            prop_assert!(table.rows.len() <= text.len());
        }
        prop_assert!(dbtext::read("t", &text).is_ok_and(|table| size(&table) <= text.len()) || dbtext::read("t", &text).is_err());
        prop_assert!(list::read(&text, &mut Report::default()).rows.len() <= text.len());
        prop_assert!(address_file::read(&text).rows.len() <= text.len());
        let _ = Script::read(&text);
        let _ = (sql::looks_like(&text), dbtext::looks_like(&text));
    }

    /// What databases write comes back, whatever stands in it.
    #[test]
    fn values_come_back(values in prop::collection::vec(prop::option::of("[^\u{0}\r]{1,20}"), 1..5)) {
        let mysql = |value: &Option<String>| match value {
            Some(text) => format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n")),
            None => "NULL".to_owned(),
        };
        let postgres = |value: &Option<String>| match value {
            Some(text) => format!("'{}'", text.replace('\'', "''")),
            None => "NULL".to_owned(),
        };
        let copy = |value: &Option<String>| match value {
            Some(text) => text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t"),
            None => "\\N".to_owned(),
        };
        let columns: Vec<String> = (0..values.len()).map(|at| format!("c{at}")).collect();
        let joined = |write: &dyn Fn(&Option<String>) -> String, by: &str| values.iter().map(write).collect::<Vec<_>>().join(by);
        let dumps = [
            format!("INSERT INTO `t` ({}) VALUES ({});", columns.join(","), joined(&mysql, ",")),
            format!("-- PostgreSQL database dump\nINSERT INTO t ({}) VALUES ({});", columns.join(","), joined(&postgres, ", ")),
            format!("COPY t ({}) FROM stdin;\n{}\n\\.\n", columns.join(", "), joined(&copy, "\t")),
        ];
        for dump in dumps {
            let tables = sql::read(&dump, |_| true).unwrap();
            prop_assert_eq!(&tables[0].rows, &vec![values.clone()], "{}", dump);
        }
    }
}
