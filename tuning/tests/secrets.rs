//! Secrets are shown by nothing: not in print, not as a difference, not with a mistake beside them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use tuning::{Config, Environment, Loaded};

const SECRETS: [&str; 3] = ["geheim", "testing123", "open-sesame"];

fn text(secret: &str) -> String {
    let head = "[listen]\nudp = [\"127.0.0.1:5060\"]\n[[set]]\nname = \"a\"\ngateways = [\"sip:127.0.0.1:5071\"]\n";
    let domain = |name: &str, accounts: &str| format!("[[domain]]\nname = \"{name}\"\naccounts = {{ {accounts} }}\n");
    let radius = format!("radius = [\"192.0.2.10:1812\"], radius_secret = \"{secret}testing123\"");
    let all = [
        domain("a.example", &format!("postgres = \"host=db user=sip password={secret}geheim\"")),
        domain("b.example", &format!("mysql = \"mysql://sip:{secret}open-sesame@db/kamailio\"")),
        domain("c.example", &radius),
    ];
    format!("{head}{}", all.concat())
}

fn loaded(text: &str) -> Loaded {
    tuning::parse(text, "tandem.toml", &Environment::unknown()).unwrap_or_else(|wrong| panic!("{wrong}"))
}

#[track_caller]
fn shows_none(shown: &str) {
    assert!(!SECRETS.iter().any(|secret| shown.contains(secret)), "{shown}");
}

#[test]
fn a_printed_configuration_has_none_and_is_not_taken_for_a_whole_one() {
    let loaded = loaded(&text(""));
    let printed = loaded.to_toml_with_defaults();
    shows_none(&printed);
    assert_eq!(printed.matches("***").count(), 3, "{printed}");
    shows_none(&format!("{:?}", loaded.config));
    let refused = tuning::parse(&printed, "printed.toml", &Environment::unknown()).unwrap_err();
    assert_eq!(refused.render(false).matches("a secret as it is shown").count(), 3, "{refused}");
}

#[test]
fn a_difference_says_that_one_changed_and_not_into_what() {
    let (old, new) = (loaded(&text("")).config, loaded(&text("x")).config);
    assert!(Config::difference(&old, &old).is_empty());
    let changes = Config::difference(&old, &new);
    let shown: Vec<_> = changes.iter().map(ToString::to_string).collect();
    shows_none(&shown.join("\n"));
    assert_eq!(shown.len(), 3, "{shown:?}");
    assert!(shown.iter().all(|line| line.contains("another secret")), "{shown:?}");
}

#[test]
fn a_mistake_in_their_line_shows_stars() {
    for (right, wrong) in [
        ("radius_secret", "radius_secrte = 1, radius_secret"),
        ("password=geheim\"", "password=geheim\", table = \"no table\""),
        ("/kamailio\"", "/kamailio\", tabel = \"x\""),
        ("radius_secret = \"", "radius_secret = [\"x\"], radius_secret = \""),
    ] {
        let text = text("").replace(right, wrong);
        let refused = tuning::parse(&text, "tandem.toml", &Environment::unknown()).unwrap_err();
        shows_none(&refused.render(false));
        shows_none(&refused.to_json().to_string());
    }
}
