//! `tandem accounts list`.

use crate::accounts::store::{Store, StoredAccount};
use crate::cli::Format;
use crate::cli::table::{self, Align, Column};
use modules::authentication::algorithm::Algorithm;

const COLUMNS: &[Column] =
    &[("user", Align::Left), ("domain", Align::Left), ("hashes", Align::Left), ("lacks", Align::Left)];

pub(super) fn list(
    store: &Store,
    domain: Option<&str>,
    offered: &[Algorithm],
    format: Format,
) -> Result<String, String> {
    let mut accounts = Vec::new();
    let each = |account| -> Result<(), rusqlite::Error> {
        accounts.push(account);
        Ok(())
    };
    store.each(domain, each).map_err(|error| error.to_string())?;
    Ok(match format {
        Format::Json => {
            format!("{:#}\n", accounts.iter().map(|one| as_json(one, offered)).collect::<serde_json::Value>())
        }
        Format::Text if accounts.is_empty() => "there are no accounts\n".to_owned(),
        Format::Text => {
            let row = |one: &StoredAccount| {
                let lacks = words(&one.stored.lacks(offered));
                vec![one.username.clone().into(), one.domain.clone().into(), hashes(one).into(), lacks.into()]
            };
            table::render(COLUMNS, &accounts.iter().map(row).collect::<Vec<_>>(), table::colour())
        }
    })
}

fn as_json(one: &StoredAccount, offered: &[Algorithm]) -> serde_json::Value {
    serde_json::json!({
        "username": one.username,
        "domain": one.domain,
        "hashes": hashes(one),
        "lacks": words(&one.stored.lacks(offered)),
        "changed": one.changed,
    })
}

fn hashes(one: &StoredAccount) -> String {
    words(
        &Algorithm::ALL.into_iter().filter(|algorithm| one.stored.plain.get(*algorithm).is_some()).collect::<Vec<_>>(),
    )
}

fn words(algorithms: &[Algorithm]) -> String {
    algorithms.iter().map(|one| one.token()).collect::<Vec<_>>().join(" ")
}
