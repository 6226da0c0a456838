//! The guide names every key, in the order of the constants, and no others.

const GUIDE: &str = include_str!("../../docs/configuration.md");
const CONSTANTS: &str = include_str!("../../src/config/producer_config_constants.rs");

/// The keys in the source of the constants: the strings of its items.
pub(crate) fn constants() -> Vec<&'static str> {
    let items = CONSTANTS.lines().filter(|line| line.starts_with("pub const "));
    items.map(|line| line.split('"').nth(1).unwrap()).collect()
}

/// The cells of the rows under the heading of all keys, without the heading of the table.
fn rows() -> Vec<Vec<&'static str>> {
    let section = GUIDE.split("\n# ").find(|section| section.starts_with("All keys")).unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

#[test]
fn every_key_has_a_row_and_every_row_a_key() {
    let keys: Vec<_> = rows().iter().map(|row| row[0].trim_matches('`')).collect();
    assert!(keys.len() > 40, "{keys:?}");
    assert_eq!(keys, constants());
}

#[test]
fn every_row_has_its_six_cells() {
    for row in rows() {
        assert!(row.len() == 6 && row.iter().all(|cell| !cell.is_empty()), "{row:?}");
    }
}
