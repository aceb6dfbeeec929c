//! Words that say that something is not done.

use super::{Finding, source, tree::Tree};

/// The words, in halves, so that this file does not contain them.
const WORDS: &[(&str, &str)] = &[
    ("to", "do!"),
    ("unimple", "mented!"),
    ("db", "g!"),
    ("TO", "DO"),
    ("FIX", "ME"),
    ("XX", "X"),
    ("HA", "CK"),
    ("WI", "P"),
    ("<<<<", "<<< "),
    (">>>>", ">>> "),
];

/// Where to look.
const SUFFIXES: &[&str] = &[
    ".rs", ".md", ".toml", ".sh", ".py", ".yml", "/run", ".html", ".js",
];

/// Each such word is a finding.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let words: Vec<String> = WORDS.iter().map(|(a, b)| format!("{a}{b}")).collect();
    let mut findings = Vec::new();
    for suffix in SUFFIXES {
        for (path, text) in tree.with_suffix(suffix) {
            for word in &words {
                for line in source::lines_with(text, word) {
                    let what = format!("`{word}` was left over: do it, or file an issue");
                    findings.push(Finding::at(path, line, what));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_in_every_kind_of_file() {
        for (a, b) in WORDS {
            for path in ["a/src/a.rs", "README.md", "e2e/a.sh", ".ci/run"] {
                let text = format!("fine\n{a}{b}");
                let found = check(&Tree::of(&[(path, &text)], &[]));
                assert_eq!(found.len(), 1, "{a}{b} in {path}");
                assert_eq!(found[0].line, Some(2));
            }
        }
        assert!(check(&Tree::of(&[("a.rs", "mktemp XXXXXX")], &[])).is_empty());
    }
}
