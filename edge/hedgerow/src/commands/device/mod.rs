mod new;
mod register;
mod send;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

pub(super) use send::posted;

use crate::output::Output;

/// Make devices, register them, and let them speak
#[derive(Subcommand, Debug)]
pub(crate) enum Device {
    New(new::New),
    Register(register::Register),
    Send(send::Send),
}

impl Device {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode> {
        match self {
            Self::New(command) => command.run(output),
            Self::Register(command) => command.run(output),
            Self::Send(command) => command.run(output),
        }
    }
}
