//! Rules about domains and their registrar.

use super::{Checker, repeated};
use crate::config::{Accounts, BetweenPhones, DatabaseTls};
use crate::read::OffOr;

/// A host that names two domains, or one twice.
pub(super) fn duplicate_domains(checker: &mut Checker<'_>) {
    let domains = checker.config.domains.iter().enumerate();
    let hosts: Vec<_> = domains
        .flat_map(|(index, domain)| {
            let aliases = domain.aliases.iter().enumerate();
            let aliases = aliases.map(move |(nth, alias)| (format!("domain[{index}].aliases[{nth}]"), alias));
            std::iter::once((format!("domain[{index}].name"), &domain.name)).chain(aliases)
        })
        .collect();
    for (earlier, again) in repeated(hosts.iter().map(|(_, host)| host)) {
        let (Some((first, _)), Some((path, host))) = (hosts.get(earlier), hosts.get(again)) else { continue };
        let finding = checker
            .error("duplicate-name", path, format!("`{host}` names two domains"))
            .label("again")
            .related(checker.marks.value(first), "first here")
            .remedy("give each domain hosts of its own");
        checker.note(finding);
    }
}

/// Nobody is asked for a password.
pub(super) fn open_domains(checker: &mut Checker<'_>) {
    for (index, domain) in checker.config.domains.iter().enumerate() {
        if domain.accounts.is_none() {
            let message = format!("nobody who registers in `{}` is asked for a password", domain.name);
            let finding = checker.warning("open-domain", &format!("domain[{index}].name"), message);
            let remedy = "add accounts = { file = \"accounts.toml\" }; without, only listed sources may register";
            checker.note(finding.label("has no accounts").remedy(remedy));
        }
    }
}

pub(super) fn one_source_of_accounts(checker: &mut Checker<'_>) {
    for (index, domain) in checker.config.domains.iter().enumerate() {
        let sources = domain.accounts.as_ref().map_or(1, Accounts::sources);
        if sources != 1 {
            let message = format!("the accounts of `{}` have {sources} sources", domain.name);
            let finding = checker.error("account-sources", &format!("domain[{index}].accounts"), message);
            checker.note(finding.remedy("name exactly one of `file`, `sqlite`, `postgres`, `mysql` and `radius`"));
        }
    }
}

pub(super) fn expiry_order(checker: &mut Checker<'_>) {
    for (index, domain) in checker.config.domains.iter().enumerate() {
        let expires = &domain.expires;
        if expires.min <= expires.default && expires.default <= expires.max {
            continue;
        }
        let message = format!("bindings in `{}` would last neither the least nor the most that is said", domain.name);
        let finding = checker.error("expiry-order", &format!("domain[{index}].expires"), message);
        checker.note(finding.remedy("write them so that min is at most default, and default at most max"));
    }
}

/// Algorithms, columns and secrets that cannot work.
pub(super) fn accounts(checker: &mut Checker<'_>) {
    for (index, domain) in checker.config.domains.iter().enumerate() {
        if domain.algorithms.is_empty() || !repeated(domain.algorithms.iter()).is_empty() {
            let message = format!("phones of `{}` are offered no algorithm, or one twice", domain.name);
            let finding = checker.error("digest-algorithms", &format!("domain[{index}].algorithms"), message);
            checker.note(finding.remedy("name each of \"MD5\", \"SHA-256\" and \"SHA-512-256\" once at most"));
        }
        if let Some(realm) = domain.realm.as_ref().filter(|realm| realm.contains(['"', '\\']) || realm.is_empty()) {
            let message = format!("the realm `{realm}` is empty or has a quotation mark or a backslash");
            let finding = checker.error("realm", &format!("domain[{index}].realm"), message);
            checker.note(finding.remedy("use letters, digits, dots and spaces"));
        }
        let Some(accounts) = &domain.accounts else { continue };
        let secret_given = checker.given(&format!("domain[{index}].accounts.radius_secret"));
        if !accounts.radius.is_empty() && accounts.radius_secret.is_none() && !secret_given {
            let message = format!("the RADIUS servers of `{}` share no secret with us", domain.name);
            let finding = checker.error("radius-secret", &format!("domain[{index}].accounts.radius"), message);
            checker.note(finding.remedy("add radius_secret"));
        }
        let longest = accounts.radius_wait.saturating_mul(accounts.radius_tries);
        let longest = longest.saturating_mul(u32::try_from(accounts.radius.len()).unwrap_or(u32::MAX));
        if longest > checker.config.authentication.source_deadline {
            let message = format!(
                "asking all RADIUS servers of `{}` takes {longest:?}, longer than source_deadline",
                domain.name
            );
            let finding = checker.error("radius-deadline", &format!("domain[{index}].accounts.radius"), message);
            checker.note(finding.remedy("shorten radius_wait, or lengthen source_deadline in [authentication]"));
        }
        if accounts.tls_authorities.is_some() && accounts.tls != DatabaseTls::Verify {
            let message =
                format!("the certificate of the database of `{}` is not held against its authorities", domain.name);
            let finding =
                checker.error("tls-authorities", &format!("domain[{index}].accounts.tls_authorities"), message);
            checker.note(finding.remedy("write tls = \"verify\" too, or remove it"));
        }
        for (key, name) in accounts.names() {
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte)) {
                let message = format!("`{name}` is no plain name of a table or column");
                let finding = checker.error("column-name", &format!("domain[{index}].accounts.{key}"), message);
                checker.note(finding.remedy("use letters, digits, underscores and dots"));
            }
        }
    }
}

/// Methods that a request for a proof can be for. ACK and CANCEL cannot be sent again (RFC 3261 §22.1).
const PROVABLE: [&str; 12] = [
    "REGISTER",
    "INVITE",
    "OPTIONS",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "MESSAGE",
    "REFER",
    "INFO",
    "UPDATE",
    "PRACK",
    "BYE",
];

pub(super) fn proof_rows(checker: &mut Checker<'_>) {
    for (index, domain) in checker.config.domains.iter().enumerate() {
        if domain.accounts.is_none() && !domain.proof.is_empty() {
            let message = format!("nobody in `{}` has anything to prove: it has no accounts", domain.name);
            let finding = checker.error("proof-row", &format!("domain[{index}].proof"), message);
            checker.note(finding.remedy("name its accounts, or remove `proof`"));
        }
        for (row, proof) in domain.proof.iter().enumerate() {
            for (nth, method) in proof.methods.iter().enumerate() {
                if !PROVABLE.contains(&method.as_str()) {
                    let message = format!("`{method}` is no method that can be asked for a proof");
                    let at = format!("domain[{index}].proof[{row}].methods[{nth}]");
                    let finding = checker.error("proof-row", &at, message);
                    checker.note(finding.remedy(format!("write some of {}", PROVABLE.join(", "))));
                }
            }
        }
    }
}

/// A stateless set keeps nothing by which a phone's response would find back to it.
pub(super) fn stateless_media(checker: &mut Checker<'_>) {
    for (index, domain) in checker.config.domains.iter().enumerate() {
        for (key, set) in [("media", &domain.media), ("registrar", &domain.registrar)] {
            let stateless =
                set.as_ref().and_then(|set| checker.config.sets.get(set.index())).filter(|set| set.stateless);
            let Some(set) = stateless else { continue };
            let message = format!("the set `{}` is stateless: phones of `{}` need state", set.name, domain.name);
            let finding = checker.error("stateless-media", &format!("domain[{index}].{key}"), message);
            checker.note(finding.label("stateless").remedy("remove `stateless` from the set"));
        }
    }
}

/// By way of nothing.
pub(super) fn way_between_phones(checker: &mut Checker<'_>) {
    for (index, domain) in checker.config.domains.iter().enumerate() {
        if domain.between_phones == BetweenPhones::Media && domain.media.is_none() {
            let message = format!("phones of `{}` are to call one another by a media set that it has not", domain.name);
            let finding = checker.error("no-media", &format!("domain[{index}].between_phones"), message);
            checker.note(finding.remedy("name the set with media = \"...\", or write between_phones = \"direct\""));
        }
    }
}

/// Keep-alives are never sent later than they are due, so a shard must be able to send them.
pub(super) fn keep_alive_rate(checker: &mut Checker<'_>) {
    let registrar = &checker.config.registrar;
    let OffOr::On(keep_alive) = &registrar.keep_alive else { return };
    if checker.config.domains.is_empty() {
        return;
    }
    let rate = u64::from(registrar.users_per_shard).saturating_mul(1_000)
        / u64::try_from(keep_alive.interval.as_millis()).unwrap_or(u64::MAX).max(1);
    let most = u64::from(limits::KEEP_ALIVES_PER_SECOND_MAX);
    if rate > most {
        let fits = u64::from(registrar.users_per_shard).div_ceil(most);
        let message = format!(
            "a full registrar behind NAT needs {rate} keep-alives a second from each shard; {most} leave it time for calls"
        );
        let finding = checker.warning("keep-alive-rate", "registrar.keep_alive", message);
        let remedy = format!("write interval = \"{fits}s\" or more, fewer users_per_shard, or more shards");
        checker.note(finding.remedy(remedy));
    }
}
