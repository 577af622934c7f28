// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `landlock` command: one file for each subcommand, and what they say to people in [`speak`].
//!
//! Exit codes: 0 done, 1 refused or failed, 2 misused; `run` has its own, so that a script can tell a
//! failure of the sandbox from one of the command.
#![forbid(unsafe_code)]

mod build;
mod check;
mod compat;
mod domains;
mod explain;
mod layers;
mod load;
mod log;
mod run;
mod sandbox;
mod simulate;
mod speak;
mod status;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Security rules as small eBPF programs, enforced on commands.
#[derive(Parser)]
#[command(name = "landlock", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Build(build::Args),
    Check(check::Args),
    Explain(explain::Args),
    Simulate(simulate::Args),
    Run(run::Args),
    Compat(compat::Args),
    Sandbox(sandbox::Args),
    Status(status::Args),
    Domains(domains::Args),
    Log(log::Args),
}

/// Something went wrong, or a rule was refused.
const FAILED: u8 = 1;
/// The command line makes no sense.
const MISUSED: u8 = 2;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => return misused(&message),
    };
    let failed =
        if matches!(cli.command, Command::Run(_) | Command::Compat(_)) { run::NOTHING_RAN } else { FAILED };
    let done = match cli.command {
        Command::Build(args) => build::execute(&args),
        Command::Check(args) => check::execute(&args),
        Command::Explain(args) => explain::execute(&args),
        Command::Simulate(args) => simulate::execute(&args),
        Command::Run(args) => run::execute(&args),
        Command::Compat(args) => compat::execute(&args),
        Command::Sandbox(args) => sandbox::execute(&args),
        Command::Status(args) => status::execute(&args),
        Command::Domains(args) => domains::execute(&args),
        Command::Log(args) => log::execute(&args),
    };
    done.unwrap_or_else(|error| {
        speak::error(&error);
        failed.into()
    })
}

/// Help and versions as well as mistakes.
fn misused(message: &clap::Error) -> ExitCode {
    // Who reads it may be gone; there is nobody left to tell.
    drop(message.print());
    match message.exit_code() {
        0 => ExitCode::SUCCESS,
        _ if std::env::args_os().nth(1).is_some_and(|word| word == "run" || word == "compat") => {
            run::NOTHING_RAN.into()
        }
        _ => MISUSED.into(),
    }
}
