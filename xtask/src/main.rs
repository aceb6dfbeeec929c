//! The house's own tasks. `cargo xtask` lists them.

mod ci;
mod readme;
mod tidy;
mod toolbox;

use std::process::ExitCode;

const HELP: &str = "\
The house's own tasks.

  cargo xtask tidy               what no compiler checks: layers, purity, sizes, links, leftovers
  cargo xtask readme             run the README's commands (fenced as `sh test`) in an empty folder
  cargo xtask ci                 every step of CI, in order; `--list` names them, `--only a,b` picks some
  cargo xtask torture [OPTIONS]  kill processes of a network under load, then check every record (`--help`)
  cargo xtask change [OPTIONS]   vote for one ordering protocol after the other under load (`--help`)
  cargo xtask transfers [COUNT]  transfers per second by JSON-RPC, and those of anvil and Hardhat in the same run
  cargo xtask idle [OPTIONS]     what an idle network costs (`--help`)
  cargo xtask sim-long           1.2 million simulated requests of PBFT over 2,400 seeds
  cargo xtask sim-long abstract  2.4 million of Abstract's compositions over 6,000 seeds
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = match arguments.split_first() {
        Some((task, rest)) => (task.as_str(), rest),
        None => ("help", [].as_slice()),
    };
    let done = match task {
        "tidy" => tidy::run(),
        "readme" => readme::run(),
        "ci" => ci::run(rest),
        "torture" => toolbox::end_to_end("torture", rest),
        "change" => toolbox::end_to_end("change", rest),
        "idle" => toolbox::end_to_end("idle", rest),
        "transfers" => {
            toolbox::beside_a_network("e2e/ethereum.sh", &[&[task.to_owned()], rest].concat())
        }
        "sim-long" => toolbox::simulate_long(rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err(anyhow::anyhow!(
            "no task `{task}`: try one of these\n\n{HELP}"
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
