//! Rules about domains and their registrar.

use super::{Checker, repeated};
use crate::config::Accounts;

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
        if !accounts.radius.is_empty() && accounts.radius_secret.as_ref().is_none_or(String::is_empty) {
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
        for (key, name) in accounts.names() {
            if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte)) {
                let message = format!("`{name}` is no plain name of a table or column");
                let finding = checker.error("column-name", &format!("domain[{index}].accounts.{key}"), message);
                checker.note(finding.remedy("use letters, digits, underscores and dots"));
            }
        }
    }
}
