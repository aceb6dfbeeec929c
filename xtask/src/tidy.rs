//! What no compiler checks. Each rule reads the [`Tree`] and gives its findings.

mod layers;
mod leftovers;
mod links;
mod purity;
mod shape;
mod source;
mod tree;

use std::fmt;

use anyhow::{Result, bail};

use tree::Tree;

/// A rule: its name, and how it looks.
type Rule = (&'static str, fn(&Tree) -> Vec<Finding>);

const RULES: &[Rule] = &[
    ("layers", layers::check),
    ("purity", purity::check),
    ("shape", shape::check),
    ("links", links::check),
    ("leftovers", leftovers::check),
];

/// Something that is not as it should be.
struct Finding {
    file: String,
    line: Option<usize>,
    what: String,
    /// Whether tidy fails; else it only says it.
    fails: bool,
}

impl Finding {
    fn in_file(file: &str, what: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            what: what.into(),
            fails: true,
        }
    }

    fn at(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            line: Some(line),
            ..Self::in_file(file, what)
        }
    }

    fn warning(self) -> Self {
        Self {
            fails: false,
            ..self
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.fails { "error" } else { "warning" };
        match self.line {
            Some(line) => write!(f, "{kind}: {}:{line}: {}", self.file, self.what),
            None => write!(f, "{kind}: {}: {}", self.file, self.what),
        }
    }
}

/// Applies every rule to the repository and prints what they find.
///
/// # Errors
/// When a finding fails.
pub(crate) fn run() -> Result<()> {
    let tree = Tree::load()?;
    let mut failures = 0;
    for (name, check) in RULES {
        for finding in check(&tree) {
            failures += usize::from(finding.fails);
            println!("{finding} [{name}]");
        }
    }
    if failures > 0 {
        bail!("tidy: {failures} findings");
    }
    println!(
        "tidy: {} packages and {} files are in order",
        tree.packages.len(),
        tree.paths.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_repository_is_in_order() {
        if let Err(error) = super::run() {
            panic!("{error}; `cargo xtask tidy` lists them");
        }
    }
}
