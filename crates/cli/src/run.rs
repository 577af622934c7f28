// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock run`: a command with rules in force.
//!
//! Fails closed: whatever keeps a rule from being enforced keeps the command from being started.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use ebpf_landlock::{Choice, Ready};
use landlock_compiler::denial::Log;
use landlock_compiler::domain::Domain;
use landlock_supervisor::{Ended, Error, Lowered, Stacking};
use rustix::io::Errno;

use crate::layers::Layers;
use crate::speak;

/// The sandbox could not be established, or the command line is wrong; nothing ran.
pub const NOTHING_RAN: u8 = 125;
/// The command was found, but cannot be executed.
const NOT_EXECUTABLE: u8 = 126;
/// There is no such command.
const NOT_FOUND: u8 = 127;
/// Added to the number of the signal that ended the command.
const SIGNALLED: i32 = 128;
pub const SIGKILL: i32 = 9;

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
    #[command(flatten)]
    layers: Layers,
    #[command(flatten)]
    how: How,
    /// The command; everything after it is its own.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// How rules are enforced on a command.
#[derive(clap::Args)]
pub struct How {
    /// What enforces the rules.
    #[arg(long, value_name = "TARGET", default_value = "auto")]
    target: Asked,
    /// Append refusals to FILE, one JSON object per line; `-` tells them on standard error, in words.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// On the supervisor target, let sandboxes inside have any rules, not only those that deny nothing more
    /// than these could: slow, because the supervisor is asked about everything. Implied where the command
    /// is landlock.
    #[arg(long)]
    stackable: bool,
    /// On the supervisor target, let mainline Landlock decide about opens: several times as fast, and not quite the
    /// same. It takes rules on FILE_OPEN that refuse, with EACCES, what is not at or beneath a handle of one map;
    /// with others nothing is run (`explain` says which). What differs: deleted files count where they last were,
    /// pipes and memory can be opened again through /proc, what could not be told is decided, and refused opens
    /// are not logged.
    #[arg(long, conflicts_with_all = ["log", "stackable"])]
    lower: bool,
    /// Say on standard error which target is in force, and with which rules; `--log -` does too.
    #[arg(short, long)]
    verbose: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Asked {
    /// The kernel target where it works, else the supervisor.
    Auto,
    /// The kernel itself, at its LSM hooks; needs root or landlockd, see `landlock status`.
    Kernel,
    /// A process beside the command: no privileges needed.
    Supervisor,
}

impl From<Asked> for Choice {
    fn from(asked: Asked) -> Choice {
        match asked {
            Asked::Auto => Choice::Auto,
            Asked::Kernel => Choice::Kernel,
            Asked::Supervisor => Choice::Supervisor,
        }
    }
}

fn in_force(target: &Ready, domain: &Domain, lowered: bool) -> String {
    let names: Vec<&str> = domain.rules().iter().map(|rule| rule.name()).collect();
    let rules = format!("rules, newest first: {}", names.join(", "));
    match target {
        Ready::Supervisor { .. } if lowered => {
            format!("target supervisor, mainline Landlock decides about opens; {rules}")
        }
        Ready::Supervisor { .. } => format!("target supervisor; {rules}"),
        Ready::Kernel(prepared) => match prepared.lacking() {
            [] => format!("target kernel; {rules}"),
            lacking => format!("target kernel; {rules}; not in this kernel: {}", lacking.join(", ")),
        },
    }
}

fn run(
    target: Ready,
    domain: Domain,
    log: Log,
    command: Command,
    stacking: Stacking,
    lowered: Option<Lowered>,
) -> anyhow::Result<Ended> {
    match target {
        Ready::Kernel(prepared) => {
            let outcome = prepared.run(log, command).context(NOTHING)?;
            if !outcome.kept {
                speak::notice(&"the process that writes the log was killed; the log is not complete");
            }
            Ok(outcome.ended)
        }
        Ready::Supervisor { .. } => {
            let ended = match lowered {
                Some(lowered) => landlock_supervisor::run_lowered(domain, log, command, lowered),
                None => landlock_supervisor::run_stacking(domain, log, command, stacking),
            };
            match ended {
                Err(Error::SupervisorDied) => {
                    // The command is running, so it must not look as if it were not.
                    speak::notice(&Error::SupervisorDied);
                    Ok(Ended::Killed(SIGKILL))
                }
                ended => ended.context(NOTHING),
            }
        }
    }
}

pub const NOTHING: &str = "the sandbox could not be established, nothing was run";

pub fn execute(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(domain) = args.layers.domain_or_tell(&ebpf_landlock::loader()) else { bail!("nothing was run") };
    let (program, arguments) = args.command.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(told(&args.how.run(domain, command)?, program))
}

impl How {
    /// Runs the command in the domain.
    pub fn run(&self, domain: Domain, command: Command) -> anyhow::Result<Ended> {
        let to_people = self.log.as_deref() == Some(Path::new("-"));
        let log = self.log.as_deref().map_or(Ok(Log::none()), open_log)?;
        let program = command.get_program().to_owned();
        let lowered =
            self.lower.then(|| Lowered::of(&domain).context("--lower")).transpose().context(NOTHING)?;
        let target = Choice::from(self.target).ready(&domain, log.is_kept()).context(NOTHING)?;
        // Nobody is less confined for it.
        if let Ready::Supervisor { instead: Some(why) } = &target
            && self.verbose
        {
            speak::notice(&format!("not on the kernel target: {why}"));
        }
        if self.verbose || to_people {
            speak::notice(&in_force(&target, &domain, self.lower));
        }
        let any = self.stackable || is_ourselves(&program);
        let stacking = if any { Stacking::Any } else { Stacking::Covered };
        run(target, domain, log, command, stacking, lowered)
    }
}

/// The exit code for the end of `program`, after telling why it could not even begin.
pub fn told(ended: &Ended, program: &OsStr) -> ExitCode {
    if let Ended::NotStarted(errno) = ended {
        let why = std::io::Error::from_raw_os_error(*errno);
        speak::notice(&format!("cannot execute {}: {why}", program.display()));
    }
    code(ended)
}

/// Whether a command is `landlock` again, which will want to prepend rules that nobody knows yet.
fn is_ourselves(program: &OsStr) -> bool {
    let file = |path: &Path| path.metadata().ok().map(|file| (file.dev(), file.ino()));
    let in_path = || {
        let folders = std::env::var_os("PATH")?;
        std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file())
    };
    let path = if program.as_bytes().contains(&b'/') { Some(program.into()) } else { in_path() };
    path.and_then(|path| file(&path)).is_some_and(|found| file(Path::new("/proc/self/exe")) == Some(found))
}

/// Opened before anything is confined: the command need not be able to.
pub fn open_log(path: &Path) -> anyhow::Result<Log> {
    if path == Path::new("-") {
        let error = std::io::stderr().as_fd().try_clone_to_owned();
        return Ok(Log::text(File::from(error.context("cannot log to standard error")?)));
    }
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    Ok(Log::json(file.with_context(|| format!("cannot open the log {}", path.display()))?))
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
