//! The file of `permissions` (`address_file`): `group address [mask [port [tag]]]`.

use crate::table::Table;

/// Reads it as the table `address`.
pub fn read(text: &str) -> Table {
    let columns = ["grp", "ip_addr", "mask", "port", "tag"];
    let mut table = Table { columns: columns.map(str::to_owned).to_vec(), ..Table::named("address") };
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().take_while(|word| !word.starts_with('#')).collect();
        if words.is_empty() {
            continue;
        }
        let word = |place: usize| words.get(place).map(|word| word.trim_matches(['[', ']']).to_owned());
        let row = (0..columns.len()).map(word).collect();
        table.rows.push(row);
    }
    table
}
