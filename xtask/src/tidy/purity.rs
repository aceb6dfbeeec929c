//! What the sources of pure layers don't mention, and where no protocol has a name.

use super::{Finding, layers::PURE, source, tree::Tree};

/// What brings a clock, a thread, a socket, a file, randomness, hash order or this machine's byte order.
const IMPURE: &[(&str, &str)] = &[
    ("std::time", "time comes as an input: hedgerow_base::Time"),
    (
        "core::time::Duration::from_secs_f64",
        "floats differ between machines",
    ),
    ("Instant", "time comes as an input: hedgerow_base::Time"),
    ("SystemTime", "time comes as an input: hedgerow_base::Time"),
    ("std::net", "sockets live in runtime/ and edge/"),
    ("std::fs", "files live in runtime/ and edge/"),
    ("std::io", "files and sockets live in runtime/ and edge/"),
    ("std::thread", "threads live in runtime/ and edge/"),
    ("std::process", "processes live in edge/"),
    ("std::env", "the environment is read in edge/ only"),
    ("HashMap", "its order is random: use BTreeMap"),
    ("HashSet", "its order is random: use BTreeSet"),
    ("RandomState", "it is random"),
    ("rand", "randomness comes as a seed"),
    ("thread_rng", "randomness comes as a seed"),
    ("OsRng", "randomness comes as a seed"),
    ("getrandom", "randomness comes as a seed"),
    ("to_ne_bytes", "say which byte order"),
    ("from_ne_bytes", "say which byte order"),
    ("println", "machines don't print: they have a snapshot"),
    ("eprintln", "machines don't print: they have a snapshot"),
];

/// Where one of these words is right: the file, the word, why.
const EXCUSED: &[(&str, &str, &str)] = &[
    (
        "sim/subjects/src/run.rs",
        "std::thread",
        "many seeds run at a time; each run has one thread and knows of no other",
    ),
    (
        "sim/subjects/src/sweep.rs",
        "std::thread",
        "many points of a curve are measured at a time, each by runs of one thread",
    ),
];

/// What the words of protocols are, where none may be named. Folders of protocols/ are added to these.
const PROTOCOLS: &[&str] = &[
    "pbft", "aliph", "azyzzyva", "zyzzyva", "zlight", "rbft", "aardvark", "xpaxos", "paxos",
    "raft", "hotstuff",
];

/// Where no protocol is named: these run any of them.
const NAMELESS: &[&str] = &[
    "kernel",
    "runtime",
    "sim/world",
    "sim/attackers",
    "sim/checkers",
];

/// Pure layers' code names nothing impure; code that runs any protocol names none.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for layer in PURE {
        for (path, code) in tree.shipped(layer) {
            for (word, why) in IMPURE {
                if EXCUSED
                    .iter()
                    .any(|(file, excused, _)| file == &path && excused == word)
                {
                    continue;
                }
                for line in source::lines_with(&code, word) {
                    let what = format!("{layer} is pure, this says `{word}`: {why}");
                    findings.push(Finding::at(path, line, what));
                }
            }
        }
    }
    let protocols = protocols(tree);
    for (path, text) in tree.rust() {
        let nameless = NAMELESS
            .iter()
            .any(|folder| path.starts_with(&format!("{folder}/")) && path.contains("/src/"));
        if !nameless {
            continue;
        }
        // Comments too: an example of one protocol is a thought about one protocol.
        for (index, line) in text.lines().enumerate() {
            let line = line.to_lowercase();
            if let Some(name) = protocols.iter().find(|name| line.contains(name.as_str())) {
                let what = format!("names the protocol `{name}`; the code here runs any");
                findings.push(Finding::at(path, index + 1, what));
            }
        }
    }
    findings
}

fn protocols(tree: &Tree) -> Vec<String> {
    let folders = tree.packages.iter().filter_map(|package| {
        let name = package.folder.strip_prefix("protocols/")?;
        if name == "epochs" {
            // It hosts the others; the word is everybody's.
            return None;
        }
        // Short names are in too many words.
        (name.len() > 3).then(|| name.to_owned())
    });
    PROTOCOLS
        .iter()
        .map(|name| (*name).to_owned())
        .chain(folders)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        check(&Tree::of(
            &[(path, text)],
            &[("abc", "protocols/abcd", &[])],
        ))
        .len()
    }

    #[test]
    fn a_clock_in_a_pure_layer_is_found() {
        assert_eq!(
            findings("ledger/a/src/lib.rs", "use std::time::Duration;"),
            1
        );
        assert_eq!(findings("sim/world/src/a.rs", "let m = HashMap::new();"), 1);
        assert_eq!(findings("protocols/a/src/a.rs", "rand::random()"), 1);
    }

    #[test]
    fn elsewhere_in_tests_and_in_comments_it_is_not() {
        assert_eq!(
            findings("runtime/a/src/lib.rs", "use std::time::Duration;"),
            0
        );
        assert_eq!(
            findings("ledger/a/tests/a.rs", "use std::time::Duration;"),
            0
        );
        assert_eq!(
            findings(
                "ledger/a/src/a.rs",
                "#[cfg(test)]\nmod tests { use std::fs; }"
            ),
            0
        );
        assert_eq!(
            findings("ledger/a/src/a.rs", "// no HashMap\nlet x = \"std::fs\";"),
            0
        );
    }

    #[test]
    fn an_excuse_is_for_one_word_in_one_file() {
        let (path, word, _) = EXCUSED[0];
        assert_eq!(findings(path, &format!("use {word};")), 0);
        assert_eq!(findings(path, "use std::fs;"), 1);
        assert_eq!(
            findings("sim/subjects/src/other.rs", &format!("use {word};")),
            1
        );
    }

    #[test]
    fn a_protocol_named_where_any_runs_is_found() {
        assert_eq!(findings("sim/checkers/src/a.rs", "// as in PBFT"), 1);
        assert_eq!(
            findings("runtime/driver/src/a.rs", "hedgerow_abcd::Replica"),
            1
        );
        assert_eq!(
            findings("sim/subjects/src/a.rs", "hedgerow_pbft::Replica"),
            0
        );
        assert_eq!(findings("edge/node/src/a.rs", "hedgerow_pbft::Replica"), 0);
    }
}
