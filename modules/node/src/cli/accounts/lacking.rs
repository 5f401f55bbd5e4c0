//! Accounts whose hashes cannot serve the algorithms that their domain offers.

use crate::accounts::store::Store;
use crate::accounts::{Stored, read_file};
use modules::authentication::algorithm::Algorithm;
use modules::authentication::realms;
use tuning::Domain;

/// Users that are named; of more the number is.
const NAMED_MAX: usize = 5;

/// A sentence about users who lack an HA1 for an algorithm; empty if nobody does.
pub(in crate::cli) fn sentence<'a>(
    accounts: impl Iterator<Item = (&'a str, &'a Stored)>,
    offered: &[Algorithm],
) -> String {
    let (mut named, mut count) = (Vec::new(), 0usize);
    for (user, stored) in accounts {
        let lacks = stored.lacks(offered);
        if !lacks.is_empty() {
            count += 1;
            if named.len() < NAMED_MAX {
                named.push(format!("{user} ({})", lacks.iter().map(|one| one.token()).collect::<Vec<_>>().join(", ")));
            }
        }
    }
    match count {
        0 => String::new(),
        _ => {
            let more = if count > named.len() { format!(" and {} more", count - named.len()) } else { String::new() };
            format!(
                "{count} cannot answer every algorithm that the domain offers: {}{more}; give them a new password\n",
                named.join(", ")
            )
        }
    }
}

/// The same of a domain whose accounts lie on this host, or why they cannot be read. `None`: all is well.
pub(in crate::cli) fn of_domain(domain: &Domain) -> Option<String> {
    let offered: Vec<_> = domain.algorithms.iter().map(|one| realms::algorithm(*one)).collect();
    let accounts = domain.accounts.as_ref()?;
    let read = match (&accounts.file, &accounts.sqlite) {
        (Some(path), _) => read_file(path).map(|all| all.into_iter().map(|one| (one.user, one.stored)).collect()),
        (None, Some(path)) => from_database(path, &domain.name.to_string()),
        (None, None) => return None,
    };
    let said = match read {
        Ok(accounts) => {
            let pairs: &Vec<(String, Stored)> = &accounts;
            sentence(pairs.iter().map(|(user, stored)| (user.as_str(), stored)), &offered)
        }
        Err(why) => format!("cannot be read: {why}\n"),
    };
    (!said.is_empty()).then(|| format!("accounts of {}: {said}", domain.name))
}

fn from_database(path: &std::path::Path, domain: &str) -> Result<Vec<(String, Stored)>, String> {
    let mut all = Vec::new();
    let each = |one: crate::accounts::store::StoredAccount| -> Result<(), rusqlite::Error> {
        all.push((one.username, one.stored));
        Ok(())
    };
    Store::open_to_read(path)?.each(Some(domain), each).map_err(|error| error.to_string())?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_who_lacks_what() {
        let all = Stored::of_password("a", "x", "x", "p");
        let none = Stored::default();
        let accounts = [("alice", &all), ("bob", &none)];
        let said = sentence(accounts.into_iter(), &[Algorithm::Md5, Algorithm::Sha256]);
        assert!(
            said.starts_with("1 cannot") && said.contains("bob (MD5, SHA-256)") && !said.contains("alice"),
            "{said}"
        );
        assert_eq!(sentence(accounts.into_iter(), &[]), "");
        let many = sentence(std::iter::repeat_n(("x", &none), 9), &[Algorithm::Md5]);
        assert!(many.contains("and 4 more"), "{many}");
    }
}
