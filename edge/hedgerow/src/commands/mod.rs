mod bench;
mod device;
mod devnet;
mod export;
mod get;
mod init;
mod node;
mod protocol;
mod prove;
mod role;
mod sim;
mod status;
mod verify;
mod voices;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::output::Output;

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    Devnet(devnet::Devnet),
    Init(init::Init),
    Node(node::Node),
    #[command(subcommand)]
    Device(device::Device),
    Status(status::Status),
    Protocol(protocol::Protocol),
    Role(role::Role),
    Get(get::Get),
    Prove(prove::Prove),
    Verify(verify::Verify),
    Export(export::Export),
    Bench(bench::Bench),
    Sim(sim::Sim),
}

impl Command {
    pub(crate) fn run(self, output: Output) -> Result<ExitCode> {
        match self {
            Self::Devnet(command) => command.run(output),
            Self::Init(command) => command.run(output),
            Self::Node(command) => command.run(output),
            Self::Bench(command) => command.run(output),
            Self::Sim(command) => command.run(output),
            Self::Device(command) => command.run(output),
            Self::Status(command) => command.run(output),
            Self::Protocol(command) => command.run(output),
            Self::Role(command) => command.run(output),
            Self::Get(command) => command.run(output),
            Self::Prove(command) => command.run(output),
            Self::Verify(command) => command.run(output),
            Self::Export(command) => command.run(output),
        }
    }
}
