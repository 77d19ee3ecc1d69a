//! The rules of the house hold for every file.

use copex_tests::env::workspace;
use copex_tests::tidy::{check_manifest, check_tree};

const FOLDERS: [&str; 8] = [
    "proto/src",
    "proto/tests",
    "copexd/src",
    "copexd/tests",
    "copexctl/src",
    "copexctl/tests",
    "tests/src",
    "tests/it",
];

#[test]
fn every_file_keeps_the_rules() {
    let findings = check_tree(&workspace(), &FOLDERS);
    assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn crates_depend_one_way() {
    for path in ["proto/Cargo.toml", "copexd/Cargo.toml", "copexctl/Cargo.toml"] {
        let text = std::fs::read_to_string(workspace().join(path)).unwrap();
        assert_eq!(check_manifest(path, &text), [""; 0]);
    }
}
