//! Everything that CI runs, step by step. `.ci/run` installs the tools and calls this; so can anybody.

mod fuzz;
mod program;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{
    readme, tidy,
    toolbox::{self, cargo, run as run_command},
};

/// A step: its name, what it is for, how it is done.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn() -> Result<()>,
}

/// Cheap ones first; each may fail the run.
const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "the sources are formatted",
        run: format,
    },
    Step {
        name: "tidy",
        about: "layers, purity, sizes, links, leftovers",
        run: tidy::run,
    },
    Step {
        name: "clippy",
        about: "no warning in any target",
        run: clippy,
    },
    Step {
        name: "test",
        about: "cargo test --workspace",
        run: test,
    },
    Step {
        name: "doc",
        about: "the documentation builds without a warning",
        run: document,
    },
    Step {
        name: "state-tests",
        about: "Ethereum's state tests, as plain revm has them",
        run: program::state_tests,
    },
    Step {
        name: "no-std",
        about: "the verifier builds without the standard library",
        run: no_std,
    },
    Step {
        name: "release",
        about: "the released program builds",
        run: release,
    },
    Step {
        name: "devnet",
        about: "the first command of the README, twice in the same folder",
        run: program::devnet,
    },
    Step {
        name: "sim",
        about: "a share of the simulator's seeds, with faults and liars",
        run: program::simulate,
    },
    Step {
        name: "bench",
        about: "the benchmark runs and its report has the promised fields",
        run: program::bench,
    },
    Step {
        name: "mqtt",
        about: "mosquitto's and Paho's clients against a network",
        run: program::mqtt,
    },
    Step {
        name: "ethereum",
        about: "other people's Ethereum clients, and the contracts' tests, against a network",
        run: program::ethereum,
    },
    Step {
        name: "torture",
        about: "a share of the kills under load",
        run: program::torture,
    },
    Step {
        name: "change",
        about: "the members vote for every ordering protocol, one after the other, under load",
        run: program::change,
    },
    Step {
        name: "idle",
        about: "an idle network costs next to nothing",
        run: program::idle,
    },
    Step {
        name: "readme",
        about: "the README's commands do what it says",
        run: readme::run,
    },
    Step {
        name: "deny",
        about: "licences, banned crates, sources, advisories",
        run: deny,
    },
    Step {
        name: "fuzz",
        about: "every decoder for a minute, on the kept corpus",
        run: fuzz::run,
    },
];

/// Runs the steps, or those that `--only` or `--skip` leave.
///
/// # Errors
/// At the first step that fails.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let Some(steps) = chosen(arguments)? else {
        for step in STEPS {
            println!("{:10} {}", step.name, step.about);
        }
        return Ok(());
    };
    let begin = Instant::now();
    let mut times: Vec<(&str, Duration)> = Vec::new();
    for step in steps {
        println!("\n==== {}: {} ====", step.name, step.about);
        let start = Instant::now();
        let outcome = (step.run)();
        times.push((step.name, start.elapsed()));
        println!(
            "==== {}: {:.1} s ====",
            step.name,
            start.elapsed().as_secs_f64()
        );
        if let Err(error) = outcome {
            summary(&times, begin);
            return Err(error.context(format!("step `{}` failed", step.name)));
        }
    }
    summary(&times, begin);
    Ok(())
}

fn summary(times: &[(&str, Duration)], begin: Instant) {
    println!("\nseconds  step");
    for (name, time) in times {
        println!("{:7.1}  {name}", time.as_secs_f64());
    }
    println!("{:7.1}  all", begin.elapsed().as_secs_f64());
}

/// The steps to run; nothing for `--list`.
fn chosen(arguments: &[String]) -> Result<Option<Vec<&'static Step>>> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (names, keep) = match *arguments.as_slice() {
        ["--list"] => return Ok(None),
        [] => ("", false),
        ["--only", names] => (names, true),
        ["--skip", names] => (names, false),
        _ => bail!("usage: cargo xtask ci [--list | --only A,B | --skip A,B]"),
    };
    let names: Vec<&str> = names.split(',').filter(|name| !name.is_empty()).collect();
    if let Some(name) = names
        .iter()
        .find(|name| STEPS.iter().all(|step| step.name != **name))
    {
        bail!("no step `{name}`: `cargo xtask ci --list` names them");
    }
    let steps = STEPS
        .iter()
        .filter(|step| names.contains(&step.name) == keep);
    Ok(Some(steps.collect()))
}

fn format() -> Result<()> {
    run_command(cargo().args(["fmt", "--all", "--check"]))?;
    run_command(cargo().args(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))
}

fn clippy() -> Result<()> {
    run_command(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))
}

fn test() -> Result<()> {
    run_command(cargo().args(["test", "--workspace", "--locked"]))
}

fn document() -> Result<()> {
    run_command(cargo().env("RUSTDOCFLAGS", "-D warnings").args([
        "doc",
        "--workspace",
        "--no-deps",
        "--locked",
    ]))
}

/// For a microcontroller where its target is installed; for a host without the standard library anyway.
fn no_std() -> Result<()> {
    const TARGET: &str = "thumbv7em-none-eabi";
    let build = || {
        let mut command = cargo();
        command.args(["build", "--release", "--locked", "-p", "hedgerow-verifier"]);
        command.arg("--no-default-features");
        command
    };
    run_command(&mut build())?;
    let sysroot = toolbox::output(toolbox::program("rustc").args(["--print", "sysroot"]))?;
    let library = std::path::Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(TARGET);
    if library.exists() {
        run_command(build().args(["--target", TARGET]))
    } else {
        println!("{TARGET} is not installed here: built for the host only");
        Ok(())
    }
}

fn release() -> Result<()> {
    toolbox::build_release().map(drop)
}

fn deny() -> Result<()> {
    let mut version = cargo();
    version.args(["deny", "--version"]);
    if !toolbox::present(version) {
        bail!("cargo-deny is missing: `cargo install --locked cargo-deny`");
    }
    let check = ["deny", "--locked", "check", "--hide-inclusion-graph"];
    run_command(cargo().args(check).args(["licenses", "bans", "sources"]))?;
    let mut fetch = cargo();
    fetch.args(["deny", "fetch", "db"]);
    let fetched = fetch.output().context("cargo deny could not be started")?;
    if fetched.status.success() {
        run_command(cargo().args(check).arg("advisories"))
    } else {
        println!("ADVISORIES WERE NOT CHECKED: their database can't be fetched from here");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &[&str]) -> Vec<&'static str> {
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        let steps = chosen(&arguments).unwrap().unwrap_or_default();
        steps.iter().map(|step| step.name).collect()
    }

    #[test]
    fn steps_can_be_picked_and_left_out() {
        assert_eq!(names(&[]).len(), STEPS.len());
        assert_eq!(names(&["--only", "tidy,fmt"]), ["fmt", "tidy"]);
        assert_eq!(names(&["--skip", "fuzz"]).len(), STEPS.len() - 1);
        assert_eq!(names(&["--list"]).len(), 0);
        assert!(chosen(&["--only".to_owned(), "nothing".to_owned()]).is_err());
        assert!(chosen(&["--what".to_owned()]).is_err());
    }
}
