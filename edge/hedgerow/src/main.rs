//! The program.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod client;
mod commands;
mod data;
mod device_key;
mod devnet;
mod member;
mod mqtt;
mod network;
mod output;
mod plot;
mod readings;

use std::process::ExitCode;

use clap::Parser;

use crate::{commands::Command, output::Output};

/// A ledger that neighbours run together at the edge of an IoT network
///
/// Devices sign readings; gateways take them in by MQTT and HTTP; validators, of which some may fail or lie, order
/// them and keep them; anybody can check the proof of a reading offline.
#[derive(Parser, Debug)]
#[command(version, max_term_width = 120)]
#[command(after_help = "\
Try it: `hedgerow devnet` starts four validators, a gateway and twenty devices on this machine, and says what to do
next. Every command explains itself: `hedgerow help COMMAND`.

Exit codes: 0 done; 1 the answer is no (a proof that does not hold, a record that was rejected, a node that is not
healthy); 2 it could not be done.")]
struct Program {
    /// Say it in JSON, for programs: one value a line
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let program = Program::parse();
    let output = Output::new(program.json);
    match program.command.run(output) {
        Ok(code) => code,
        Err(error) => {
            output.error(&error);
            ExitCode::from(2)
        }
    }
}
