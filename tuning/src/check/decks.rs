//! Rules about rate decks.

use super::{Checker, repeated};

pub(super) fn duplicate_decks(checker: &mut Checker<'_>) {
    let decks = &checker.config.decks;
    for (earlier, index) in repeated(decks.iter().map(|deck| deck.name.as_str())) {
        let Some(deck) = decks.get(index) else {
            continue;
        };
        let finding = checker
            .error("duplicate-name", &format!("deck[{index}].name"), format!("two decks are named `{}`", deck.name))
            .label("again")
            .related(checker.marks.value(&format!("deck[{earlier}].name")), "first here")
            .remedy("give each deck a name of its own");
        checker.note(finding);
    }
}

/// A deck whose prices cannot be compared with the others'.
pub(super) fn convertible_currencies(checker: &mut Checker<'_>) {
    let config = checker.config;
    let first = config.decks.first().map(|deck| &deck.currency);
    let Some(house) = config.rating.currency.as_ref().or(first) else {
        return;
    };
    for (index, deck) in config.decks.iter().enumerate() {
        let now = checker.environment.now.unwrap_or(i64::MAX);
        let converted = config.exchanges.iter().any(|exchange| {
            let in_force = exchange.effective.is_none_or(|from| from.0 <= now);
            in_force && exchange.from == deck.currency && exchange.to == *house
        });
        if deck.currency == *house || converted {
            continue;
        }
        let (own, house) = (deck.currency.as_str(), house.as_str());
        let finding = checker
            .error(
                "no-exchange-rate",
                &format!("deck[{index}].currency"),
                format!("nothing says what {own} are worth in {house}"),
            )
            .label(format!("prices are compared in {house}"))
            .remedy(format!("add [[exchange]] with from = \"{own}\", to = \"{house}\" and a rate in force"));
        checker.note(finding);
    }
}

pub(super) fn deck_files(checker: &mut Checker<'_>) {
    let config = checker.config;
    let mut files = Vec::new();
    for (index, deck) in config.decks.iter().enumerate() {
        files.push((format!("deck[{index}].file"), &deck.file));
        files
            .extend(deck.updates.iter().enumerate().map(|(nth, file)| (format!("deck[{index}].updates[{nth}]"), file)));
        files.extend(deck.origins.iter().map(|file| (format!("deck[{index}].origins"), file)));
    }
    files.extend(config.rating.states.iter().map(|file| ("rating.states".to_owned(), file)));
    files.extend(config.rating.local_exchanges.iter().map(|file| ("rating.local_exchanges".to_owned(), file)));
    for (path, file) in files {
        if checker.environment.lacks_file(file) {
            let finding = checker.error("no-deck-file", &path, format!("there is no file {}", file.display()));
            checker.note(finding.label("not found").remedy("write its path, from / or from the working directory"));
        }
    }
}
