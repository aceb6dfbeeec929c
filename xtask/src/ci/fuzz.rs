//! Every fuzz target for a while, two at a time, on a copy of the kept corpus.

use std::{
    collections::VecDeque,
    env, fs,
    path::Path,
    process::{Child, Command},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::toolbox::{self, cargo, program, run as run_command};

/// How many targets run at the same time.
const AT_A_TIME: usize = 2;

/// Coverage-guided where a nightly compiler and cargo-fuzz are installed; else with random inputs, and it says so.
pub(super) fn run() -> Result<()> {
    let seconds = env::var("HEDGEROW_FUZZ_SECONDS").unwrap_or_else(|_| "30".to_owned());
    let targets = targets()?;
    ensure!(!targets.is_empty(), "fuzz/fuzz_targets has no target");
    let mut version = program("cargo");
    version.args(["+nightly", "fuzz", "--version"]);
    if toolbox::present(version) {
        guided(&targets, &seconds)
    } else {
        println!("NOT GUIDED BY COVERAGE: cargo +nightly fuzz is missing, so inputs are random");
        run_command(
            cargo()
                .args(["run", "--release", "--manifest-path", "fuzz/Cargo.toml"])
                .args(["--no-default-features", "--bin", "smoke", "--"])
                .args(["--seconds", &seconds]),
        )
    }
}

/// The names of the targets, in order.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(toolbox::root().join("fuzz/fuzz_targets"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(
                path.file_stem()
                    .map(|name| name.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort();
    Ok(names)
}

fn guided(targets: &[String], seconds: &str) -> Result<()> {
    let built = toolbox::target_dir().join("fuzz");
    // cargo's own variables are this toolchain's; the nightly one must find its own.
    let mut build = program("cargo");
    for variable in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "CARGO_TARGET_DIR"] {
        build.env_remove(variable);
    }
    run_command(
        build
            .args(["+nightly", "fuzz", "build", "--target-dir"])
            .arg(&built),
    )?;
    let release = built.join("x86_64-unknown-linux-gnu/release");
    let mut waiting: VecDeque<&String> = targets.iter().collect();
    let mut running: Vec<(String, Child)> = Vec::new();
    let mut failed = Vec::new();
    while !(waiting.is_empty() && running.is_empty()) {
        while running.len() < AT_A_TIME {
            let Some(target) = waiting.pop_front() else {
                break;
            };
            running.push((target.clone(), start(&release, target, seconds)?));
        }
        let mut still = Vec::new();
        for (target, mut child) in running {
            match child.try_wait()? {
                None => still.push((target, child)),
                Some(status) => report(&target, status.success(), &mut failed)?,
            }
        }
        running = still;
        thread::sleep(Duration::from_millis(100));
    }
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("these targets failed: {}", failed.join(", "))
    }
}

/// Starts a target. What it finds goes to a folder of its own: the kept corpus changes only by hand.
fn start(release: &Path, target: &str, seconds: &str) -> Result<Child> {
    let found = work(target);
    fs::create_dir_all(found.join("corpus"))?;
    let log = fs::File::create(found.join("log"))?;
    let mut command = Command::new(release.join(target));
    command
        .arg(found.join("corpus"))
        .args([
            format!("-max_total_time={seconds}"),
            "-rss_limit_mb=2048".to_owned(),
            "-timeout=10".to_owned(),
            format!("-artifact_prefix={}/", found.display()),
        ])
        .stdout(log.try_clone()?)
        .stderr(log);
    let kept = toolbox::root().join("fuzz/corpus").join(target);
    if kept.exists() {
        command.arg(kept);
    }
    command
        .spawn()
        .with_context(|| format!("{target} could not be started"))
}

fn work(target: &str) -> std::path::PathBuf {
    toolbox::target_dir().join("fuzz-work").join(target)
}

fn report(target: &str, fine: bool, failed: &mut Vec<String>) -> Result<()> {
    let log = fs::read(work(target).join("log"))?;
    let log = String::from_utf8_lossy(&log).into_owned();
    let last = |count: usize| {
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    };
    if fine {
        println!("{target}: {}", last(1));
    } else {
        println!(
            "{target} FAILED; its input is in {}\n{}",
            work(target).display(),
            last(60)
        );
        failed.push(target.to_owned());
    }
    Ok(())
}
