//! `tandem deck` as an operator runs it: exit codes, what is said, what is written.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Desk { folder: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `tandem deck` in the folder.
    fn deck(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
        let Output { status, stdout, stderr } =
            command.arg("deck").args(arguments).current_dir(self.folder.path()).output().unwrap();
        (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let (code, out, error) = self.deck(&[arguments, &["--format", "json"]].concat());
        (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{error}")))
    }
}

#[test]
fn check_names_odd_rows_with_their_line_and_exits_as_check_does() {
    let desk = Desk::new();
    desk.write("good.csv", "Code,Destination,Rate\n44,UK,0.01\n447,UK Mobile,0.02\n");
    desk.write("odd.csv", "Code,Destination,Rate\n44,UK,0.01\n4x,UK Mobile,0.02\n");
    let (code, out, error) = desk.deck(&["check", "good.csv"]);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    assert!(out.starts_with("good: 2 rows, 2 codes, 2 destinations; in force 2 priced"), "{out}");
    let (code, _, error) = desk.deck(&["check", "odd.csv"]);
    assert_eq!(code, 78);
    assert!(
        error.starts_with("error[bad-code]: odd.csv: line 3: not a dialling code: \"4x\". write digits"),
        "{error}"
    );
    let (code, found) = desk.json(&["check", "odd.csv"]);
    assert_eq!((code, &found["findings"][0]["line"], &found["errors"]), (78, &Value::from(3), &Value::from(1)));
    assert_eq!(desk.deck(&["check", "missing.csv"]).0, 1);
    assert_eq!(desk.deck(&["check"]).0, 2);
    assert_eq!(desk.deck(&["check", "good.csv", "--timezone", "Mars/Base"]).0, 1);
}

#[test]
fn a_deck_that_cannot_be_meant_does_not_replace_the_image() {
    let desk = Desk::new();
    let deck = |rows: usize, price: &str| {
        let rows: String = (200..200 + rows).map(|code| format!("{code},{price}\n")).collect();
        desk.write("delta.csv", &format!("code,price\n{rows}"));
    };
    let build = |more: &[&str]| desk.deck(&[&["build", "delta.csv", "-o", "decks.image"], more].concat());
    deck(100, "0.01");
    assert_eq!(build(&[]).0, 0);
    let good = std::fs::read(desk.path("decks.image")).unwrap();
    assert_eq!(build(&[]).0, 0);
    assert_eq!(std::fs::read(desk.path("decks.image")).unwrap(), good, "the same decks, the same octets");
    for (rows, price, why) in
        [(70, "0.01", "loses 30 of 100"), (100, "0.1", "100 of 100 prices move"), (0, "1", "it is empty")]
    {
        deck(rows, price);
        let (code, out, error) = build(&[]);
        assert_eq!(code, 78, "{out}{error}");
        assert!(error.contains(why) && out.starts_with("nothing written"), "{out}{error}");
        assert_eq!(std::fs::read(desk.path("decks.image")).unwrap(), good);
    }
    deck(70, "0.01");
    assert_eq!(build(&["--force"]).0, 0);
    assert_ne!(std::fs::read(desk.path("decks.image")).unwrap(), good);
    let (code, found) = desk.json(&["check", "delta.csv", "--against", "decks.image"]);
    assert_eq!((code, &found["changes"]["same"]), (0, &Value::from(70)));
}

#[test]
fn show_says_what_each_deck_has_for_a_number_and_why() {
    let desk = Desk::new();
    desk.write(
        "a.csv",
        "code,name,price,fee,increments,effective\n44,UK,0.01,,60/60,\n447,Mobile,0.02,0.005,30/6,2026-06-01\n",
    );
    desk.write("b.csv", "code,price\n447,closed\n");
    desk.write("c.csv", "code,price\n49,1\n");
    assert_eq!(desk.deck(&["build", "a.csv", "b.csv", "c.csv", "-o", "i"]).0, 0);
    let ask = |at: &str| desk.json(&["price", "i", "+447911123456", "--at", at, "--seconds", "31"]).1["decks"].clone();
    let before = ask("2026-05-31T23:59:59Z");
    assert_eq!((before[0]["prefix"].as_str(), before[0]["price"].as_str()), (Some("44"), Some("0.010")));
    assert_eq!((before[0]["billed_seconds"].as_u64(), before[0]["cost"].as_str()), (Some(60), Some("0.010000")));
    let after = ask("2026-06-01T00:00:00Z");
    assert_eq!((after[0]["prefix"].as_str(), after[0]["price"].as_str()), (Some("447"), Some("0.020")));
    // 0.005 + 0.02 × 36 / 60
    assert_eq!((after[0]["billed_seconds"].as_u64(), after[0]["cost"].as_str()), (Some(36), Some("0.017000")));
    assert_eq!((after[1]["why_not"].as_str(), after[1]["prefix"].as_str()), (Some("closed"), Some("447")));
    assert_eq!((after[2]["why_not"].as_str(), after[2]["prefix"].as_str()), (Some("no code in force"), None));
    let (code, out, _) = desk.deck(&["show", "i", "447911123456", "--at", "2026-07-01"]);
    assert!(code == 0 && out.contains("Mobile") && out.contains("0.020 USD") && out.contains("30/6"), "{out}");
    assert_eq!(desk.json(&["show", "i"]).1["decks"].as_array().unwrap().len(), 3);
    assert_eq!((desk.deck(&["show", "i", "abc"]).0, desk.deck(&["show", "a.csv"]).0), (1, 1));
}

/// A configuration with two decks, one in euros with dates of Berlin, one North American.
fn configured(desk: &Desk, more: &str) -> PathBuf {
    desk.write("euro.csv", "Vorwahl;Ziel;Preis;Gültig ab;Origin\n49;Deutschland;0,01;01.07.2026;EEA\n49;Deutschland;0,05;01.07.2026;invalid\n");
    desk.write("na.csv", "npanxx,inter,intra,ij\n201555,0.001,0.002,\n");
    desk.write("groups.csv", "group,prefix\nEEA,49\nEEA,33\n");
    desk.write("states.csv", "201555,NJ\n201556,NJ\n212555,NY\n");
    desk.write(
        "tandem.toml",
        &format!(
            "[listen]\nudp = [\"127.0.0.1:5060\"]\n[[set]]\nname = \"s\"\ngateways = [\"sip:127.0.0.1:5071\", \"sip:127.0.0.1:5072\"]\n\
             [rating]\nimage = \"decks.image\"\ncurrency = \"USD\"\nstates = \"states.csv\"\n\
             [[deck]]\nname = \"euro\"\nfile = \"euro.csv\"\ncurrency = \"EUR\"\ntimezone = \"Europe/Berlin\"\norigins = \"groups.csv\"\n\
             [[deck]]\nname = \"na\"\nfile = \"na.csv\"\ncurrency = \"USD\"\n{more}"
        ),
    )
}

const EXCHANGE: &str = "[[exchange]]\nfrom = \"EUR\"\nto = \"USD\"\nrate = \"1.08\"\n";

#[test]
fn a_configuration_is_built_whole_or_not_at_all() {
    let desk = Desk::new();
    configured(&desk, "");
    let (code, _, error) = desk.deck(&["build", "--config", "tandem.toml"]);
    assert!(code == 78 && error.contains("no-exchange-rate"), "{error}");
    configured(&desk, EXCHANGE);
    let (code, out, error) = desk.deck(&["build", "--config", "tandem.toml"]);
    assert_eq!(code, 0, "{out}{error}");
    let price = |number: &str, from: &str, at: &str, deck: usize| {
        let found = desk.json(&["show", "decks.image", number, "--from", from, "--at", at]).1;
        (found["decks"][deck]["price"].as_str().map(str::to_owned), found["jurisdiction"].as_str().unwrap().to_owned())
    };
    // Midnight in Berlin is 22:00 the day before in summer.
    assert_eq!(price("4930123", "3312", "2026-06-30T21:59:59Z", 0).0, None);
    assert_eq!(price("4930123", "3312", "2026-06-30T22:00:00Z", 0).0.as_deref(), Some("0.01"));
    assert_eq!(price("4930123", "8612", "2026-06-30T22:00:00Z", 0).0.as_deref(), Some("0.05"));
    let day = "2026-07-01T00:00:00Z";
    for (from, expected, place) in [
        ("12125550000", "0.001", "interstate"),
        ("12015560000", "0.002", "intrastate"),
        ("anonymous", "0.002", "indeterminate"),
    ] {
        let (price, jurisdiction) = price("12015551234", from, day, 1);
        assert_eq!((price.as_deref(), jurisdiction.as_str()), (Some(expected), place), "{from}");
    }
}

#[test]
fn an_update_deck_is_applied_to_the_image_in_force() {
    let desk = Desk::new();
    let config = configured(&desk, EXCHANGE);
    assert_eq!(desk.deck(&["build", "--config", "tandem.toml"]).0, 0);
    desk.write("na.csv", "npanxx,inter,intra\n201557,0.003,0.004\n");
    let text =
        std::fs::read_to_string(&config).unwrap().replace("file = \"na.csv\"", "file = \"na.csv\"\nmode = \"update\"");
    std::fs::write(&config, text).unwrap();
    assert_eq!(desk.deck(&["build", "--config", "tandem.toml"]).0, 0);
    let rows = desk.json(&["show", "decks.image"]).1["decks"][1]["rows"].clone();
    assert_eq!(rows, Value::from(2));
    assert!(Path::new(&desk.path("decks.image")).exists());
}
