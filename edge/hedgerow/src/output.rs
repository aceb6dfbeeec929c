//! The only place that prints.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
    process,
};

use serde::Serialize;

/// Standard output as the user wants it: words, or one JSON value a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// A line for people; silent with `--json`.
    pub(crate) fn say(self, line: impl Display) {
        if !self.json {
            write(&mut io::stdout().lock(), &format!("{line}\n").into_bytes());
        }
    }

    /// A line for programs; silent without `--json`.
    pub(crate) fn object(self, value: &impl Serialize) {
        if self.json {
            let mut line = serde_json::to_vec(value).unwrap_or_default();
            line.push(b'\n');
            write(&mut io::stdout().lock(), &line);
        }
    }

    /// The same for both: words for people, a value for programs.
    pub(crate) fn tell(self, words: impl Display, value: &impl Serialize) {
        self.say(words);
        self.object(value);
    }

    /// Bytes as they are.
    pub(crate) fn raw(self, bytes: &[u8]) {
        write(&mut io::stdout().lock(), bytes);
    }

    /// Something that the user should know beside the result, on standard error.
    pub(crate) fn note(self, line: impl Display) {
        write(&mut io::stderr().lock(), &format!("{line}\n").into_bytes());
    }

    /// Why the command failed, on standard error.
    pub(crate) fn error(self, error: &anyhow::Error) {
        if self.json {
            let value = serde_json::json!({ "error": format!("{error:#}") });
            self.note(value);
        } else {
            self.note(format_args!("error: {error:#}"));
        }
    }
}

/// Whoever reads may stop reading (`| head`): then there is no more to do.
fn write(to: &mut impl Write, bytes: &[u8]) {
    if let Err(error) = to.write_all(bytes).and_then(|()| to.flush()) {
        process::exit(if error.kind() == ErrorKind::BrokenPipe {
            0
        } else {
            2
        });
    }
}

/// Rows under their headings, the columns aligned; numbers to the right.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells
            .chain([headings[column].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<_> = (0..headings.len()).map(width).collect();
    let number =
        |cell: &str| cell.starts_with(|c: char| c.is_ascii_digit()) && cell.parse::<f64>().is_ok();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.zip(&widths).map(|(cell, &width)| {
            if number(cell) {
                format!("{cell:>width$}")
            } else {
                format!("{cell:<width$}")
            }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut headings.iter().copied())];
    lines.extend(
        rows.iter()
            .map(|row| line(&mut row.iter().map(String::as_str))),
    );
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align() {
        let rows = vec![
            vec!["validator-0".into(), "7".into(), "yes".into()],
            vec!["v".into(), "1234".into(), String::new()],
        ];
        assert_eq!(
            table(&["node", "height", "up"], &rows),
            "node         height  up\nvalidator-0       7  yes\nv              1234"
        );
    }
}
