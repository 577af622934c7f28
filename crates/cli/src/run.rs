// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock run`: a command with rules in force.
//!
//! Fails closed: whatever keeps a rule from being enforced keeps the command from being started.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use landlock_compiler::domain::Domain;
use landlock_supervisor::denial::Log;
use landlock_supervisor::{Ended, Error};
use rustix::io::Errno;

use crate::{load, speak};

/// The sandbox could not be established, or the command line is wrong; nothing ran.
pub const NOTHING_RAN: u8 = 125;
/// The command was found, but cannot be executed.
const NOT_EXECUTABLE: u8 = 126;
/// There is no such command.
const NOT_FOUND: u8 = 127;
/// Added to the number of the signal that ended the command.
const SIGNALLED: i32 = 128;
const SIGKILL: i32 = 9;

/// Run a command with rules in force on it and on everything it starts, for ever.
///
/// A refused action fails with EPERM. Rules are prepended in the order given, several rules of a file in
/// the file's order; the last one is asked first.
///
/// Exits with the command's own code; 125 if the sandbox could not be established (nothing ran), 126 if
/// the command cannot be executed, 127 if there is none, 128 + N if signal N ended it. Standard output
/// is the command's alone.
#[derive(clap::Args)]
#[command(override_usage = "landlock run [OPTIONS] --rule <FILE>... [--] <COMMAND> [ARG]...")]
pub struct Args {
    /// What enforces the rules.
    #[arg(long, value_name = "TARGET", default_value = "auto")]
    target: Asked,
    /// A rule file: .c, .s or .o; may be given several times.
    #[arg(long = "rule", value_name = "FILE", required = true)]
    rules: Vec<PathBuf>,
    /// Append refusals to FILE, one JSON object per line; `-` tells them on standard error, in words.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Say on standard error which target is in force, and with which rules; `--log -` does too.
    #[arg(short, long)]
    verbose: bool,
    /// The command; everything after it is its own.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Asked {
    /// The kernel target where it works, else the supervisor.
    Auto,
    /// The kernel itself, at its LSM hooks (not in this version).
    Kernel,
    /// A process beside the command: no privileges needed.
    Supervisor,
}

/// What enforces the rules.
#[derive(Clone, Copy)]
enum Target {
    Supervisor,
}

impl Target {
    fn choose(asked: Asked) -> anyhow::Result<Target> {
        match asked {
            Asked::Auto | Asked::Supervisor => Ok(Target::Supervisor),
            Asked::Kernel => bail!("this version has no kernel target yet; take --target supervisor or auto"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Target::Supervisor => "supervisor",
        }
    }

    fn run(self, domain: Domain, log: Log, command: Command) -> Result<Ended, Error> {
        match self {
            Target::Supervisor => landlock_supervisor::run(domain, log, command),
        }
    }
}

pub fn execute(args: &Args) -> anyhow::Result<ExitCode> {
    let target = Target::choose(args.target)?;
    let rules = load::every_rule_or_tell(&args.rules, &load::ourselves());
    let Some(domain) = rules.map(Domain::prepended) else { bail!("nothing was run") };
    let to_people = args.log.as_deref() == Some(Path::new("-"));
    let log = args.log.as_deref().map_or(Ok(Log::none()), open_log)?;
    let (program, arguments) = args.command.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(arguments);
    if args.verbose || to_people {
        speak::notice(&in_force(target, &domain));
    }
    match target.run(domain, log, command) {
        Err(Error::SupervisorDied) => {
            // The command is running, so it must not look as if it were not.
            speak::notice(&Error::SupervisorDied);
            Ok(code(&Ended::Killed(SIGKILL)))
        }
        ended => {
            let ended = ended.context("the sandbox could not be established, nothing was run")?;
            if let Ended::NotStarted(errno) = ended {
                let why = std::io::Error::from_raw_os_error(errno);
                speak::notice(&format!("cannot execute {}: {why}", program.display()));
            }
            Ok(code(&ended))
        }
    }
}

/// Opened before anything is confined: the command need not be able to.
fn open_log(path: &Path) -> anyhow::Result<Log> {
    if path == Path::new("-") {
        let error = std::io::stderr().as_fd().try_clone_to_owned();
        return Ok(Log::text(File::from(error.context("cannot log to standard error")?)));
    }
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    Ok(Log::json(file.with_context(|| format!("cannot open the log {}", path.display()))?))
}

fn in_force(target: Target, domain: &Domain) -> String {
    let names: Vec<&str> = domain.rules().iter().map(|rule| rule.name()).collect();
    format!("target {}; rules, newest first: {}", target.name(), names.join(", "))
}

fn code(ended: &Ended) -> ExitCode {
    let code = match ended {
        Ended::Exited(code) => *code,
        Ended::Killed(signal) => SIGNALLED + signal,
        Ended::NotStarted(errno) if *errno == Errno::NOENT.raw_os_error() => NOT_FOUND.into(),
        Ended::NotStarted(_) => NOT_EXECUTABLE.into(),
    };
    u8::try_from(code).unwrap_or(u8::MAX).into()
}
