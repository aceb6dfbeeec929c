//! Other programs, run from the root of the repository.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    program(env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
}

/// A program, run from the root.
pub(crate) fn program(name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// Where cargo builds.
pub(crate) fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// What to say of a command to somebody who wants to run it.
pub(crate) fn shown(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    words.join(" ")
}

/// Runs it with the terminal of this process.
///
/// # Errors
/// When it can't be started or does not succeed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let text = shown(command);
    let status = command
        .status()
        .with_context(|| format!("`{text}` could not be started"))?;
    if !status.success() {
        bail!("`{text}` ended with {status}");
    }
    Ok(())
}

/// What it prints.
///
/// # Errors
/// When it can't be started, does not succeed, or prints something else than UTF-8.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let text = shown(command);
    let output = command
        .output()
        .with_context(|| format!("`{text}` could not be started"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{text}` ended with {}\n{said}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Whether there is such a program, and it can say which version it is.
pub(crate) fn present(mut version: Command) -> bool {
    version.output().is_ok_and(|output| output.status.success())
}

/// Builds the program as a release.
pub(crate) fn build_release() -> Result<PathBuf> {
    run(cargo().args(["build", "--release", "--locked", "-p", "hedgerow"]))?;
    Ok(target_dir().join("release/hedgerow"))
}

/// A program of `e2e/`, which uses the released `hedgerow` as anybody would.
pub(crate) fn end_to_end(name: &str, arguments: &[String]) -> Result<()> {
    let hedgerow = build_release()?;
    run(cargo()
        .args([
            "run",
            "--quiet",
            "--locked",
            "-p",
            "hedgerow-e2e",
            "--bin",
            name,
            "--",
        ])
        .arg("--hedgerow")
        .arg(hedgerow)
        .args(arguments))
}

/// A script beside a network of processes.
pub(crate) fn beside_a_network(script: &str, arguments: &[String]) -> Result<()> {
    let script = root().join(script).display().to_string();
    let command = ["--".to_owned(), "sh".to_owned(), script];
    end_to_end("with-network", &[&command, arguments].concat())
}

/// The simulator's long run of a family of protocols: PBFT, more than a million requests over 2,400 seeds; or, when
/// `abstract` is asked for, its compositions, 2.4 million over 6,000; or, when `changing` is, protocols that change while
/// they run, 400,000 over 1,000.
pub(crate) fn simulate_long(arguments: &[String]) -> Result<()> {
    let (protocols, modes, requests, arguments): (&[_], _, _, _) = match arguments {
        [family, rest @ ..] if family == "abstract" => (
            &["aliph", "azyzzyva", "backup", "chain", "quorum", "r-aliph"],
            [("safety", "0..500"), ("liveness", "500..1000")],
            "410",
            rest,
        ),
        [family, rest @ ..] if family == "changing" => (
            &["changing"],
            [("safety", "0..500"), ("liveness", "500..1000")],
            "400",
            rest,
        ),
        all => (
            &["pbft"],
            [("safety", "0..1200"), ("liveness", "1200..2400")],
            "500",
            all,
        ),
    };
    let hedgerow = build_release()?;
    for protocol in protocols {
        for (mode, seeds) in modes {
            let options = ["--mode", mode, "--seeds", seeds, "--requests", requests];
            run(program(&hedgerow)
                .args(["sim", "--protocol", protocol])
                .args(options)
                .args(arguments))?;
        }
    }
    Ok(())
}
