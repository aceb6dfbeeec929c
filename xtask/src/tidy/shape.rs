//! How long files are, what a `lib.rs` is, that no source is forgotten, that manifests inherit.

use super::{Finding, source, tree::Tree};

/// Longer than this, a file has probably more than one subject.
const LONG: usize = 600;

/// Longer than this, it has to give a reason here.
const TOO_LONG: usize = 900;

/// Files that may be longer, with the reason.
const ONE_SUBJECT: &[(&str, &str)] = &[];

/// How many lines of code a `lib.rs` may have: it is a table of contents.
const CONTENTS: usize = 80;

/// Lengths, tables of contents, forgotten sources, manifests.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.rust() {
        lengths(path, text, &mut findings);
        if !path.starts_with("fuzz/") {
            forgotten(tree, path, &mut findings);
        }
    }
    for package in &tree.packages {
        let path = format!("{}/Cargo.toml", package.folder);
        let manifest = tree.files.get(&path).map_or("", String::as_str);
        if !section(manifest, "[lints]").any(|line| line == "workspace = true") {
            let what = "does not inherit the workspace's lints: `[lints]`, `workspace = true`";
            findings.push(Finding::in_file(&path, what));
        }
    }
    findings
}

fn lengths(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let lines = text.lines().count();
    let excused = ONE_SUBJECT.iter().any(|(file, _)| *file == path);
    if lines > TOO_LONG && !excused {
        let what = format!("{lines} lines, more than {TOO_LONG}: split it by subject");
        findings.push(Finding::in_file(path, what));
    } else if lines > LONG && !excused {
        let what = format!("{lines} lines, more than {LONG}: has it one subject only?");
        findings.push(Finding::in_file(path, what).warning());
    }
    if path.ends_with("/src/lib.rs") {
        let code = source::without_tests(&source::code(text));
        let lines = code.lines().filter(|line| !line.trim().is_empty()).count();
        if lines > CONTENTS {
            let what = format!(
                "{lines} lines of code, more than {CONTENTS}: a lib.rs is a table of contents"
            );
            findings.push(Finding::in_file(path, what));
        }
    }
}

/// A source that no `mod` reaches is not compiled, and nobody notices.
fn forgotten(tree: &Tree, path: &str, findings: &mut Vec<Finding>) {
    let Some((crate_folder, inside)) = path.split_once("/src/") else {
        return;
    };
    let root = ["lib.rs", "main.rs"].contains(&inside) || inside.starts_with("bin/");
    if root {
        return;
    }
    let inside = inside
        .strip_suffix("/mod.rs")
        .unwrap_or_else(|| inside.trim_end_matches(".rs"));
    let (parents, name) = match inside.rsplit_once('/') {
        Some((parent, name)) => (
            vec![
                format!("{crate_folder}/src/{parent}.rs"),
                format!("{crate_folder}/src/{parent}/mod.rs"),
            ],
            name,
        ),
        None => (
            vec![
                format!("{crate_folder}/src/lib.rs"),
                format!("{crate_folder}/src/main.rs"),
            ],
            inside,
        ),
    };
    let declared = format!("mod {name};");
    let reached = parents
        .iter()
        .filter_map(|parent| tree.files.get(parent))
        .any(|text| {
            source::code(text)
                .lines()
                .any(|line| source::has_word(line, &declared))
        });
    if !reached {
        let what = format!(
            "no `{declared}` in {}: it is not compiled",
            parents.join(" or ")
        );
        findings.push(Finding::in_file(path, what));
    }
}

/// The lines of a section of a manifest.
fn section<'a>(manifest: &'a str, header: &'a str) -> impl Iterator<Item = &'a str> {
    manifest
        .lines()
        .map(str::trim)
        .skip_while(move |line| *line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: (&str, &str) = (
        "kernel/a/Cargo.toml",
        "[package]\n[lints]\nworkspace = true",
    );

    fn findings(files: &[(&str, &str)]) -> Vec<Finding> {
        check(&Tree::of(files, &[("a", "kernel/a", &[])]))
    }

    #[test]
    fn a_long_file_warns_and_a_longer_one_fails() {
        let file = |lines: usize| {
            let text = "//\n".repeat(lines);
            let found = findings(&[
                MANIFEST,
                ("kernel/a/src/lib.rs", "mod b;"),
                ("kernel/a/src/b.rs", &text),
            ]);
            found
                .into_iter()
                .map(|finding| finding.fails)
                .collect::<Vec<_>>()
        };
        assert!(file(LONG).is_empty());
        assert_eq!(file(LONG + 1), [false]);
        assert_eq!(file(TOO_LONG + 1), [true]);
    }

    #[test]
    fn a_lib_with_much_code_is_no_table_of_contents() {
        let text = "fn f() {}\n".repeat(CONTENTS + 1);
        assert_eq!(
            findings(&[MANIFEST, ("kernel/a/src/lib.rs", &text)]).len(),
            1
        );
        let text = "//! words\n".repeat(CONTENTS + 1);
        assert_eq!(
            findings(&[MANIFEST, ("kernel/a/src/lib.rs", &text)]).len(),
            0
        );
    }

    #[test]
    fn a_source_that_no_mod_reaches_is_found() {
        let files = |lib| {
            [
                MANIFEST,
                ("kernel/a/src/lib.rs", lib),
                ("kernel/a/src/b.rs", "mod c;"),
                ("kernel/a/src/b/c.rs", ""),
                ("kernel/a/src/d/mod.rs", ""),
            ]
        };
        assert_eq!(findings(&files("mod b; mod d;")).len(), 0);
        assert_eq!(findings(&files("mod b; // mod d;")).len(), 1);
    }

    #[test]
    fn a_manifest_without_the_lints_is_found() {
        let path = "kernel/a/Cargo.toml";
        assert_eq!(findings(&[(path, "[package]")]).len(), 1);
        assert_eq!(
            findings(&[(path, "[lints]\n[x]\nworkspace = true")]).len(),
            1
        );
        assert_eq!(findings(&[MANIFEST]).len(), 0);
    }
}
