//! Which folder's crates may depend on which: dependencies run one way.
//!
//! ```text
//! kernel ◀── protocols ──┐
//!    ▲                   ├──◀ sim/subjects ──┐
//!    ├────── sim ◀───────┘                   │
//!    ├────── ledger ◀── device               ├──◀ edge, bench ◀── e2e
//!    └────── runtime ────────────────────────┘
//! ```

use super::{Finding, tree::Tree};

/// A layer, and what its crates may depend on. A crate is of the first layer whose folder it is in.
struct Layer {
    folder: &'static str,
    may_use: &'static [&'static str],
}

const LAYERS: &[Layer] = &[
    Layer {
        folder: "kernel",
        may_use: &["kernel"],
    },
    // A protocol may be made of others: Abstract's backup and RBFT's instances are PBFT.
    Layer {
        folder: "protocols",
        may_use: &["kernel", "protocols"],
    },
    Layer {
        folder: "ledger",
        may_use: &["kernel", "ledger"],
    },
    Layer {
        folder: "runtime",
        may_use: &["kernel", "runtime"],
    },
    Layer {
        folder: "sim/subjects",
        may_use: &["kernel", "protocols", "sim"],
    },
    Layer {
        folder: "sim",
        may_use: &["kernel", "sim/world", "sim/attackers", "sim/checkers"],
    },
    Layer {
        folder: "device",
        may_use: &["kernel", "ledger/records", "ledger/proofs", "device"],
    },
    Layer {
        folder: "edge",
        may_use: &[
            "kernel",
            "protocols",
            "ledger",
            "runtime",
            "sim",
            "device",
            "edge",
            "bench",
        ],
    },
    Layer {
        folder: "bench",
        may_use: &["kernel", "protocols", "ledger", "runtime", "device", "edge"],
    },
    // Uses the program as a stranger does: it knows how a record is signed and how a proof is checked, no more.
    Layer {
        folder: "e2e",
        may_use: &["kernel", "ledger", "device"],
    },
    Layer {
        folder: "xtask",
        may_use: &[],
    },
];

/// What tests may use beyond their layer: the crate's folder, what it uses, why.
const TESTS_MAY: &[(&str, &str, &str)] = &[
    (
        "protocols",
        "sim",
        "a protocol's own tests may run it in the simulated world",
    ),
    (
        "ledger",
        "device/signer",
        "what the ledger accepts is what devices sign",
    ),
    (
        "ledger",
        "device/verifier",
        "what the ledger proves is what anybody can verify",
    ),
    (
        "device",
        "ledger",
        "a verifier is tested with proofs that a ledger made",
    ),
    (
        "runtime",
        "protocols",
        "the driver is tested with a real protocol",
    ),
];

/// Crates that bring a clock, threads, sockets, files or randomness of their own. Not for pure layers.
const IMPURE: &[&str] = &[
    "tokio",
    "async-std",
    "smol",
    "mio",
    "rand",
    "getrandom",
    "fastrand",
    "time",
    "chrono",
    "jiff",
    "rayon",
    "crossbeam",
    "crossbeam-channel",
    "parking_lot",
    "once_cell",
    "rustls",
    "tokio-rustls",
    "socket2",
    "libc",
    "nix",
    "rustix",
    "fjall",
    "redb",
    "tempfile",
    "tracing",
    "log",
    "metrics",
    "hashbrown",
    "ahash",
    "dashmap",
];

/// The layers without a clock, a thread, a socket, a file, randomness or hash order. `sim` runs on one thread in
/// virtual time, so it belongs to them.
pub(crate) const PURE: &[&str] = &["kernel", "protocols", "ledger", "sim"];

/// Checks every edge between two packages of the workspace, and what pure packages bring in.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &tree.packages {
        let manifest = format!("{}/Cargo.toml", package.folder);
        let Some(layer) = LAYERS
            .iter()
            .find(|layer| within(&package.folder, layer.folder))
        else {
            findings.push(Finding::in_file(
                &manifest,
                "the folder is not a layer: see LAYERS in xtask/src/tidy/layers.rs",
            ));
            continue;
        };
        let pure = PURE.iter().any(|folder| within(&package.folder, folder));
        for dependency in &package.dependencies {
            let name = &dependency.name;
            let Some(other) = tree.packages.iter().find(|other| other.name == *name) else {
                if pure && !dependency.dev && IMPURE.contains(&name.as_str()) {
                    let what = format!("{} is pure and can't use `{name}`", layer.folder);
                    findings.push(Finding::in_file(&manifest, what));
                }
                continue;
            };
            let itself = other.name == package.name && dependency.dev;
            let allowed = layer
                .may_use
                .iter()
                .any(|folder| within(&other.folder, folder));
            let excused = dependency.dev
                && TESTS_MAY.iter().any(|(from, to, _)| {
                    within(&package.folder, from) && within(&other.folder, to)
                });
            if !(allowed || excused || itself) {
                let tests = if dependency.dev { "the tests of " } else { "" };
                let what = format!(
                    "{tests}{} may use {}, not {}",
                    layer.folder,
                    layer.may_use.join(", "),
                    other.folder
                );
                findings.push(Finding::in_file(&manifest, what));
            }
        }
    }
    findings
}

fn within(folder: &str, layer: &str) -> bool {
    folder
        .strip_prefix(layer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(packages: &[(&str, &str, &[&str])]) -> usize {
        check(&Tree::of(&[], packages)).len()
    }

    #[test]
    fn edges_run_one_way() {
        let all: &[(&str, &str, &[&str])] = &[
            ("base", "kernel/base", &[]),
            ("pbft", "protocols/pbft", &["base"]),
            ("chain", "ledger/chain", &["base", "records"]),
            ("records", "ledger/records", &["base"]),
            ("verifier", "device/verifier", &["records", "dev:chain"]),
            ("world", "sim/world", &["base"]),
            ("subjects", "sim/subjects", &["world", "pbft"]),
            ("node", "edge/node", &["pbft", "chain"]),
        ];
        assert_eq!(findings(all), 0);
    }

    #[test]
    fn an_edge_against_the_order_is_found() {
        let base = ("base", "kernel/base", [].as_slice());
        let pbft = ("pbft", "protocols/pbft", ["base"].as_slice());
        let chain = ("chain", "ledger/chain", ["base"].as_slice());
        for (name, folder, uses) in [
            ("a", "kernel/a", "pbft"),
            ("a", "protocols/a", "chain"),
            ("a", "ledger/a", "pbft"),
            ("a", "ledger/a", "dev:pbft"),
            ("a", "runtime/a", "pbft"),
            ("a", "sim/world", "pbft"),
            ("a", "sim/subjects", "chain"),
            ("a", "device/a", "chain"),
            ("a", "xtask", "base"),
            ("a", "nowhere", "base"),
        ] {
            assert_eq!(
                findings(&[base, pbft, chain, (name, folder, &[uses])]),
                1,
                "{folder} uses {uses}"
            );
        }
    }

    #[test]
    fn a_pure_layer_takes_no_clock_from_elsewhere() {
        assert_eq!(findings(&[("a", "ledger/a", &["tokio"])]), 1);
        assert_eq!(findings(&[("a", "ledger/a", &["dev:tempfile"])]), 0);
        assert_eq!(findings(&[("a", "runtime/a", &["tokio"])]), 0);
    }
}
