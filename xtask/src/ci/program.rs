//! Steps that use the released program as a newcomer would.

use std::{env, fs, path::PathBuf, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::toolbox::{self, cargo, program, run};

/// Kills in CI's share of the torture. The 200: `cargo xtask torture --kills 200`.
const KILLS: &str = "15";

/// CI's share of the simulator's seeds: protocol, mode, seeds, requests in each.
const SEEDS: &[(&str, &str, &str, &str)] = &[
    ("pbft", "safety", "0..300", "200"),
    ("pbft", "liveness", "0..300", "200"),
    ("pbft", "performance", "0..10", "2000"),
    ("aliph", "safety", "0..150", "100"),
    ("aliph", "liveness", "0..150", "100"),
    ("aliph", "performance", "0..10", "2000"),
    ("r-aliph", "safety", "0..100", "100"),
    ("r-aliph", "liveness", "0..100", "100"),
    ("azyzzyva", "safety", "0..150", "100"),
    ("azyzzyva", "liveness", "0..150", "100"),
    ("changing", "safety", "0..60", "100"),
    ("changing", "liveness", "0..60", "100"),
];

/// A new folder for what a step leaves; removed when the step was fine.
fn scratch(step: &str) -> Result<PathBuf> {
    let folder = env::temp_dir().join(format!("hedgerow-ci-{step}-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// What a command prints as JSON.
fn json(command: &mut Command) -> Result<Value> {
    let text = toolbox::output(command)?;
    serde_json::from_str(&text).with_context(|| {
        format!(
            "`{}` did not print one JSON value:\n{text}",
            toolbox::shown(command)
        )
    })
}

/// A number of a report.
fn number(report: &Value, pointer: &str) -> Result<f64> {
    report
        .pointer(pointer)
        .and_then(Value::as_f64)
        .with_context(|| format!("the report has no number at {pointer}: {report}"))
}

/// The README's first command as it is written there, for half a minute; then again, from where it was;
/// and a network with another protocol.
pub(crate) fn devnet() -> Result<()> {
    let folder = scratch("devnet")?;
    for _ in 0..2 {
        run(cargo()
            .args([
                "run",
                "--release",
                "--locked",
                "--",
                "devnet",
                "--duration",
                "30",
                "--dir",
            ])
            .arg(&folder))?;
    }
    fs::remove_dir_all(folder)?;
    // The other family of protocols: a single gateway is alone, so that Quorum orders all the time.
    let folder = scratch("devnet-aliph")?;
    run(program(&toolbox::build_release()?)
        .args([
            "devnet",
            "--consensus",
            "aliph",
            "--duration",
            "15",
            "--dir",
        ])
        .arg(&folder))?;
    fs::remove_dir_all(folder)?;
    Ok(())
}

/// Seeds of every mode; none may break a property.
pub(crate) fn simulate() -> Result<()> {
    let hedgerow = toolbox::build_release()?;
    for (protocol, mode, seeds, requests) in SEEDS {
        let report = json(program(&hedgerow).args([
            "sim",
            "--protocol",
            protocol,
            "--mode",
            mode,
            "--seeds",
            seeds,
            "--requests",
            requests,
            "--json",
        ]))?;
        println!("{protocol}, {mode}: {report}");
        for field in ["/seeds", "/requests", "/longest_recovery_ms"] {
            number(&report, field)?;
        }
        let violations = report
            .get("violations")
            .context("the report has no violations")?;
        let none = match violations {
            Value::Array(list) => list.is_empty(),
            other => other.as_u64() == Some(0),
        };
        ensure!(none, "the simulator found violations: {violations}");
    }
    Ok(())
}

/// Short runs; the report must have what it promises. How fast is not CI's question.
pub(crate) fn bench() -> Result<()> {
    let hedgerow = toolbox::build_release()?;
    let loads: [&[&str]; 3] = [
        &["--request", "0", "--reply", "0", "--durability", "none"],
        &["--request", "4096", "--reply", "0", "--durability", "fsync"],
        &["--records", "--durability", "fsync"],
    ];
    for load in loads {
        let report = json(
            program(&hedgerow)
                .args(["bench", "--seconds", "5", "--json"])
                .args(load),
        )?;
        println!("{}: {report}", load.join(" "));
        for field in [
            "/latency_ms/p50",
            "/latency_ms/p99",
            "/cpu_s_per_1000",
            "/bytes_per_request",
        ] {
            number(&report, field)?;
        }
        for field in ["/throughput_per_s", "/committed"] {
            ensure!(
                number(&report, field)? > 0.0,
                "nothing was committed: {report}"
            );
        }
    }
    Ok(())
}

/// Other people's MQTT clients.
pub(crate) fn mqtt() -> Result<()> {
    toolbox::beside_a_network("e2e/mqtt.sh", &[])
}

/// Other people's Ethereum clients, and the contracts' tests.
pub(crate) fn ethereum() -> Result<()> {
    toolbox::beside_a_network("e2e/ethereum.sh", &[])
}

/// Ethereum's state tests.
pub(crate) fn state_tests() -> Result<()> {
    run(program("sh").arg("e2e/state-tests.sh"))
}

/// Kills under load.
pub(crate) fn torture() -> Result<()> {
    toolbox::end_to_end("torture", &["--kills".to_owned(), KILLS.to_owned()])
}

/// Every ordering protocol, one after the other.
pub(crate) fn change() -> Result<()> {
    toolbox::end_to_end("change", &[])
}

/// A network without traffic.
pub(crate) fn idle() -> Result<()> {
    toolbox::end_to_end("idle", &[])
}
