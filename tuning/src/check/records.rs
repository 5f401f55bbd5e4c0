//! Rules about `[records]`.

use super::Checker;

/// Records are of customers' calls: without customers there are none.
pub(super) fn nobody_recorded(checker: &mut Checker<'_>) {
    if checker.config.records.on().is_some() && checker.config.customers.is_empty() {
        let finding = checker.warning("nobody-recorded", "records", "there is no [[customer]]: nothing is recorded");
        checker.note(finding.label("of no use").remedy("add customers, or remove the section"));
    }
}

/// The table's name stands in SQL as it is.
pub(super) fn name_of_the_table(checker: &mut Checker<'_>) {
    let Some(records) = checker.config.records.on() else { return };
    let is_word = |word: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        word.bytes().all(plain) && word.bytes().next().is_some_and(|first| !first.is_ascii_digit())
    };
    let words: Vec<&str> = records.postgres_table.split('.').collect();
    if words.len() > 2 || !words.iter().all(|word| is_word(word)) {
        let message = format!("`{}` is no name of a table", records.postgres_table);
        let finding = checker.error("records-table", "records.postgres_table", message);
        checker.note(finding.remedy("write letters, digits and _, with a schema and a point before them if you like"));
    }
}

/// Without a secret no server believes us.
pub(super) fn secret_of_radius(checker: &mut Checker<'_>) {
    let Some(records) = checker.config.records.on() else { return };
    if !records.radius.is_empty() && records.radius_secret.is_none() {
        let finding = checker.error("records-secret", "records.radius", "these RADIUS servers share no secret with us");
        checker.note(finding.remedy("add radius_secret"));
    }
}
