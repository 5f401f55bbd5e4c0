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
