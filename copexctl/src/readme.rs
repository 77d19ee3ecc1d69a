//! The table of keys in the README is the registry's.

#[test]
fn the_readme_lists_the_keys() {
    const BEGIN: &str = "readme` -->\n";
    const END: &str = "<!-- end of keys -->";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    let wanted = copex_proto::config::doc::markdown();
    if crate::env::Env::read().get("UPDATE").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
    } else {
        assert!(table == wanted, "UPDATE=1 cargo test -p copexctl readme");
    }
}
