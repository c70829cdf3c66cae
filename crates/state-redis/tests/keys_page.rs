//! The page of keys is the table.

use state_redis::{KEYS, KeyType};

const BEGIN: &str = "<!-- begin: state-redis, generated -->\n";
const END: &str = "<!-- end: state-redis -->\n";

fn table() -> String {
    let mut table =
        "\n| Key | Type | Content | Owner | Lifetime |\n|---|---|---|---|---|\n".to_owned();
    for row in KEYS.iter().flat_map(|rows| rows.iter()) {
        let kind = match row.kind {
            KeyType::String => "string",
            KeyType::Hash => "hash",
            KeyType::List => "list",
            KeyType::SortedSet => "zset",
            KeyType::Stream => "stream",
            _ => "channel",
        };
        let lifetime = row.lifetime.unwrap_or("until it is deleted");
        table += &format!(
            "| `{}` | {kind} | {} | {} | {lifetime} |\n",
            row.pattern, row.holds, row.owner
        );
    }
    table + "\n"
}

#[test]
fn the_page_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/redis-keys.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (section, after) = rest.split_once(END).unwrap();
    let wanted = table();
    if std::env::var_os("GOVERNANCE_BLESS").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert!(
        section == wanted,
        "docs/redis-keys.md is not what the table says; renew it with:\n\
         GOVERNANCE_BLESS=1 cargo test -p state-redis --test keys_page"
    );
}
