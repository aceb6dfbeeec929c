//! What the rules look at: the repository's files and the workspace's packages, in memory, so that a test can make one.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result};
use serde_json::Value;

use super::source;
use crate::toolbox;

/// The repository.
#[derive(Default)]
pub(crate) struct Tree {
    /// Text files by their path from the root, with `/`.
    pub(crate) files: BTreeMap<String, String>,
    /// Every file's path, and every folder's.
    pub(crate) paths: std::collections::BTreeSet<String>,
    /// The workspace's packages.
    pub(crate) packages: Vec<Package>,
}

/// A package of the workspace.
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its folder, from the root.
    pub(crate) folder: String,
    /// What it depends on.
    pub(crate) dependencies: Vec<Dependency>,
}

/// What a package depends on.
pub(crate) struct Dependency {
    /// The other package.
    pub(crate) name: String,
    /// Only its tests do.
    pub(crate) dev: bool,
}

impl Tree {
    /// The repository as it is on the disk: what git tracks, and new files that it does not ignore.
    ///
    /// # Errors
    /// When git or cargo can't be asked, or a file can't be read.
    pub(crate) fn load() -> Result<Self> {
        let root = toolbox::root();
        let listed = toolbox::output(toolbox::program("git").args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
        let mut tree = Self::default();
        for path in listed.lines() {
            let Ok(bytes) = fs::read(root.join(path)) else {
                continue; // Taken out, but not committed yet.
            };
            tree.add_path(path);
            if let Ok(text) = String::from_utf8(bytes) {
                tree.files.insert(path.to_owned(), text);
            }
        }
        let metadata = toolbox::output(toolbox::cargo().args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
        ]))?;
        let prefix = format!("{}/", root.display());
        tree.packages = packages(&metadata, &prefix)?;
        Ok(tree)
    }

    fn add_path(&mut self, path: &str) {
        let folders = path.match_indices('/').map(|(end, _)| &path[..end]);
        self.paths.extend(folders.map(str::to_owned));
        self.paths.insert(path.to_owned());
    }

    /// Rust sources, with their paths.
    pub(crate) fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.with_suffix(".rs")
    }

    /// Files whose path ends like this.
    pub(crate) fn with_suffix(&self, suffix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(move |(path, _)| path.ends_with(suffix))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// What is compiled into the crates of `layer` (a folder of crates), without tests, comments and literals.
    pub(crate) fn shipped(&self, layer: &str) -> impl Iterator<Item = (&str, String)> {
        let prefix = format!("{layer}/");
        self.rust()
            .filter(move |(path, _)| path.starts_with(&prefix) && path.contains("/src/"))
            .map(|(path, text)| (path, source::without_tests(&source::code(text))))
    }
}

#[cfg(test)]
impl Tree {
    /// A repository of these files and packages (`name`, `folder`, dependencies; `dev:` before those of tests).
    pub(crate) fn of(files: &[(&str, &str)], packages: &[(&str, &str, &[&str])]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.add_path(path);
            tree.files.insert((*path).to_owned(), (*text).to_owned());
        }
        for (name, folder, dependencies) in packages {
            tree.packages.push(Package {
                name: (*name).to_owned(),
                folder: (*folder).to_owned(),
                dependencies: dependencies
                    .iter()
                    .map(|text| Dependency {
                        name: text.trim_start_matches("dev:").to_owned(),
                        dev: text.starts_with("dev:"),
                    })
                    .collect(),
            });
        }
        tree
    }
}

fn packages(metadata: &str, prefix: &str) -> Result<Vec<Package>> {
    let metadata: Value = serde_json::from_str(metadata)?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    list(&metadata["packages"])
        .iter()
        .map(|package| {
            let manifest = text(&package["manifest_path"]);
            let folder = manifest
                .strip_prefix(prefix)
                .and_then(|path| path.strip_suffix("/Cargo.toml"))
                .with_context(|| format!("{manifest} is not in a folder of {prefix}"))?
                .to_owned();
            let dependencies = list(&package["dependencies"])
                .iter()
                .map(|dependency| Dependency {
                    name: text(&dependency["name"]),
                    dev: dependency["kind"] == "dev",
                })
                .collect();
            Ok(Package {
                name: text(&package["name"]),
                folder,
                dependencies,
            })
        })
        .collect()
}
