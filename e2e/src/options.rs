use std::{path::PathBuf, str::FromStr};

use anyhow::{Context, Result, bail};

/// `--name value` pairs.
#[derive(Debug)]
pub struct Options {
    pairs: Vec<(String, String)>,
    help: &'static str,
}

impl Options {
    /// Those of this process; prints `help` and ends it when asked to.
    ///
    /// # Errors
    /// When an option is not in `help`, or has no value.
    pub fn from_arguments(help: &'static str) -> Result<Self> {
        let mut pairs = Vec::new();
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            if name == "--help" || name == "-h" {
                print!("{help}");
                std::process::exit(0);
            }
            if !name.starts_with("--") || !help.contains(&format!("  {name} ")) {
                bail!("no option {name}\n\n{help}");
            }
            let value = arguments
                .next()
                .with_context(|| format!("{name} needs a value"))?;
            pairs.push((name, value));
        }
        Ok(Self { pairs, help })
    }

    fn text(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The value of an option, or `default`.
    ///
    /// # Errors
    /// When it is not of that kind.
    pub fn get<T: FromStr>(&self, name: &str, default: T) -> Result<T> {
        match self.text(name) {
            None => Ok(default),
            Some(text) => {
                let parsed = text.parse().ok();
                parsed.with_context(|| format!("{name} {text}: not a value of it\n\n{}", self.help))
            }
        }
    }

    /// The program under test: `--hedgerow`.
    ///
    /// # Errors
    /// When it is not named or not there.
    pub fn hedgerow(&self) -> Result<PathBuf> {
        let path: PathBuf = self
            .text("--hedgerow")
            .context("--hedgerow: name the program")?
            .into();
        path.canonicalize()
            .with_context(|| format!("--hedgerow {}", path.display()))
    }
}
