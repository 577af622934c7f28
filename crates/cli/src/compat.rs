// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock compat`: a program written for v7, which makes its system calls itself.

mod kernel;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use landlock_compiler::denial::Log;
use landlock_supervisor::{Ended, Error, is_offered};

use crate::run::{Asked, NOTHING, SIGKILL, open_log, told};
use crate::speak;

/// Run a program that was written for Landlock v7 and makes its system calls itself.
///
/// The program starts without rules. In it and all it starts, bpf(2) loads rules (type 15 with a subtype) and
/// seccomp(2) operation 2 prepends them to the calling thread, as v7's kernel did; other uses of both calls are
/// the kernel's as ever.
///
/// Nothing needs to be changed in the program. On the supervisor target it is slow: a supervisor is asked about all
/// that any rule could deny. Exits as `landlock run` does.
#[derive(clap::Args)]
#[command(override_usage = "landlock compat [OPTIONS] [--] <PROGRAM> [ARG]...")]
pub struct Args {
    /// What enforces the rules.
    #[arg(long, value_name = "TARGET", default_value = "auto")]
    target: Asked,
    /// On the supervisor target, append refusals to FILE, one JSON object per line; `-` tells them on standard error,
    /// in words. Those of the kernel target are read with `landlock log`.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Say on standard error which target is in force.
    #[arg(short, long)]
    verbose: bool,
    /// The program; everything after it is its own.
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

pub fn execute(args: &Args) -> anyhow::Result<ExitCode> {
    let in_kernel = is_for_the_kernel(args)?;
    let log = args.log.as_deref().map_or(Ok(Log::none()), open_log)?;
    if args.verbose {
        speak::notice(&format!("target {}", if in_kernel { "kernel" } else { "supervisor" }));
    }
    let (program, arguments) = args.program.split_first().context("no program")?;
    let mut command = Command::new(program);
    command.args(arguments);
    let ended = match in_kernel {
        true => {
            kernel::permit()?;
            landlock_supervisor::run_v7_kept(kernel::keeper, command)
        }
        false => landlock_supervisor::run_v7(log, command),
    };
    let ended = match ended {
        Err(Error::SupervisorDied) => {
            // The program is running, so it must not look as if it were not.
            speak::notice(&Error::SupervisorDied);
            Ended::Killed(SIGKILL)
        }
        ended => ended.context(NOTHING)?,
    };
    Ok(told(&ended, program))
}

/// Whether the kernel target was asked for, or works and is what `auto` means.
fn is_for_the_kernel(args: &Args) -> anyhow::Result<bool> {
    match args.target {
        Asked::Supervisor => Ok(false),
        Asked::Kernel if is_offered() => bail!("in a sandbox of the supervisor target there is no other"),
        Asked::Kernel if args.log.is_some() => {
            bail!("--log is of the supervisor target; what the kernel refuses, landlock log shows")
        }
        Asked::Kernel => Ok(true),
        Asked::Auto => Ok(args.log.is_none() && !is_offered() && kernel::works(args.verbose)),
    }
}
