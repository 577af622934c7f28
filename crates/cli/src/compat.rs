// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock compat`: a program written for v7, which makes its system calls itself.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Context;
use landlock_compiler::denial::Log;
use landlock_supervisor::{Ended, Error};

use crate::run::{NOTHING, SIGKILL, open_log, told};
use crate::speak;

/// Run a program that was written for Landlock v7 and makes its system calls itself.
///
/// The program starts without rules. In it and all it starts, bpf(2) loads rules (type 15 with a subtype) and
/// seccomp(2) operation 2 prepends them to the calling thread, as v7's kernel did; other uses of both calls are
/// the kernel's as ever.
///
/// Nothing needs to be trusted or changed in the program, but it is slow: a supervisor is asked about all that any
/// rule could deny. Exits as `landlock run` does.
#[derive(clap::Args)]
#[command(override_usage = "landlock compat [OPTIONS] [--] <PROGRAM> [ARG]...")]
pub struct Args {
    /// Append refusals to FILE, one JSON object per line; `-` tells them on standard error, in words.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// The program; everything after it is its own.
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

pub fn execute(args: &Args) -> anyhow::Result<ExitCode> {
    let log = args.log.as_deref().map_or(Ok(Log::none()), open_log)?;
    let (program, arguments) = args.program.split_first().context("no program")?;
    let mut command = Command::new(program);
    command.args(arguments);
    let ended = match landlock_supervisor::run_v7(log, command) {
        Err(Error::SupervisorDied) => {
            // The program is running, so it must not look as if it were not.
            speak::notice(&Error::SupervisorDied);
            Ended::Killed(SIGKILL)
        }
        ended => ended.context(NOTHING)?,
    };
    Ok(told(&ended, program))
}
