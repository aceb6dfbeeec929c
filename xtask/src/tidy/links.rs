//! Documents name only what exists: relative links, their anchors, and paths of the repository in backticks.

use super::{Finding, tree::Tree};

/// Every Markdown file.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.with_suffix(".md") {
        for (line, text) in prose(text) {
            for target in links(text) {
                if let Err(what) = resolve(tree, path, target) {
                    findings.push(Finding::at(path, line, what));
                }
            }
            for word in ticked(text).filter(|word| looks_like_a_path(tree, word)) {
                if !tree.paths.contains(word.trim_end_matches('/')) {
                    let what = format!("names `{word}`, which does not exist");
                    findings.push(Finding::at(path, line, what));
                }
            }
        }
    }
    findings
}

/// The numbered lines that are not in a fence.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        (!fenced).then_some((index + 1, line))
    })
}

/// The targets of `[text](target)`.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(start, open)| {
        let target = &line[start + open.len()..];
        let target = &target[..target.find(')')?];
        target.split_whitespace().next()
    })
}

/// What is between single backticks.
fn ticked(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Begins with a folder of the repository and has no placeholder.
fn looks_like_a_path(tree: &Tree, word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let Some((first, rest)) = word.split_once('/') else {
        return false;
    };
    let folder = tree.paths.contains(first) && !tree.files.contains_key(first);
    folder && word.chars().all(plain) && !rest.contains("..")
}

fn resolve(tree: &Tree, from: &str, target: &str) -> Result<(), String> {
    let scheme = target.split_once(':').is_some_and(|(scheme, _)| {
        scheme.chars().all(|c| c.is_ascii_alphanumeric()) && !scheme.is_empty()
    });
    if scheme {
        return Ok(());
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() {
        from.to_owned()
    } else {
        joined(from, file).ok_or_else(|| format!("the link {target} leaves the repository"))?
    };
    if !path.is_empty() && !tree.paths.contains(&path) {
        return Err(format!("the link {target} leads nowhere"));
    }
    let is_document = path.ends_with(".md");
    if let Some(text) = tree
        .files
        .get(&path)
        .filter(|_| is_document && !anchor.is_empty())
    {
        let found = prose(text)
            .filter(|(_, line)| line.starts_with('#'))
            .any(|(_, line)| slug(line) == anchor);
        if !found {
            return Err(format!("{path} has no heading #{anchor}"));
        }
    }
    Ok(())
}

/// `target` as seen from the file `from`, as a path from the root.
fn joined(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The anchor that forges give a heading.
fn slug(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> usize {
        let files = [
            ("README.md", "# The top"),
            ("docs/a.md", text),
            ("docs/b.md", "## What `it` is, and why\n"),
            ("kernel/base/src/lib.rs", ""),
        ];
        check(&Tree::of(&files, &[])).len()
    }

    #[test]
    fn links_that_lead_somewhere_are_fine() {
        for text in [
            "[b](b.md) and [up](../README.md), [there](../kernel/base)",
            "[b](b.md#what-it-is-and-why)",
            "# Here\n[here](#here)",
            "[web](https://example.org/x) [mail](mailto:a@example.org)",
            "```\n[b](nothing.md)\n```",
            "`kernel/base`, `kernel/base/`, `kernel/*/src`, `target/release`, `a/b`",
        ] {
            assert_eq!(findings(text), 0, "{text}");
        }
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        for text in [
            "[c](c.md)",
            "[c](../../c.md)",
            "[b](b.md#nothing)",
            "[here](#nowhere)",
            "`kernel/nothing`",
        ] {
            assert_eq!(findings(text), 1, "{text}");
        }
    }
}
