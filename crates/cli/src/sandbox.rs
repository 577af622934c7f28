// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock sandbox`: the sample program of the RFC of August 2016.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use landlock_compiler::asm;
use landlock_compiler::classic::Filter;
use landlock_compiler::domain::{Domain, Layer};
use landlock_compiler::verify::verify_newest;
use landlock_supervisor::Ended;

use crate::{FAILED, run, speak};

/// The rules, which `check`, `explain` and `simulate` take as well.
const RULES: &str = include_str!("../../../rules/sandbox.s");
/// What the cookie says: which lists there are.
const SANDBOXED: u16 = 4;
const PATHS: u16 = 1;
const CGROUPS: u16 = 2;

/// Run a command that reaches only the files of LANDLOCK_ALLOWED, everywhere or in the cgroups of
/// LANDLOCK_CGROUPS.
///
/// Both are lists of paths, separated by colons, ten at most. What is not at or beneath one of
/// LANDLOCK_ALLOWED cannot be opened, read, written or mapped (EACCES). With LANDLOCK_CGROUPS (directories of
/// cgroups of version 2), only processes in or beneath one of these are held to it, from the moment they are
/// there. Without LANDLOCK_ALLOWED nothing is allowed. Looking at names and attributes is not restricted.
///
/// Exits with the command's own code; 1 if it could not be started.
#[derive(clap::Args)]
#[command(
    override_usage = "[LANDLOCK_ALLOWED=PATH:…] [LANDLOCK_CGROUPS=PATH:…] landlock sandbox <COMMAND> [ARG]..."
)]
pub struct Args {
    #[command(flatten)]
    how: run::How,
    /// The path of the command; everything after it is its own.
    #[arg(trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub fn execute(args: &Args) -> anyhow::Result<ExitCode> {
    let Some((program, arguments)) = args.command.split_first() else {
        let usage = "[LANDLOCK_ALLOWED=PATH:…] [LANDLOCK_CGROUPS=PATH:…] landlock sandbox <COMMAND> [ARG]...";
        speak::notice(&format!("usage: {usage}"));
        return Ok(FAILED.into());
    };
    let paths = list("LANDLOCK_ALLOWED");
    let cgroups = list("LANDLOCK_CGROUPS");
    let has = |list: &[OsString], bit| if list.is_empty() { 0 } else { bit };
    let domain = domain(SANDBOXED | has(&paths, PATHS) | has(&cgroups, CGROUPS))?;
    for (variable, map, list) in
        [("LANDLOCK_ALLOWED", "allowed", paths), ("LANDLOCK_CGROUPS", "cgroups", cgroups)]
    {
        for path in list {
            landlock_handles::append(&domain, map, Path::new(&path)).with_context(|| variable.to_owned())?;
        }
    }
    let mut command = Command::new(as_path(program));
    command.arg0(program).args(arguments);
    let ended = args.how.run(domain, command)?;
    let code = run::told(&ended, program);
    Ok(if matches!(ended, Ended::NotStarted(_)) { FAILED.into() } else { code })
}

/// The items of a variable; none if it is not set. An empty item is a path that leads nowhere.
fn list(variable: &str) -> Vec<OsString> {
    let items = |value: OsString| -> Vec<OsString> {
        value.into_vec().split(|byte| *byte == b':').map(|item| OsString::from_vec(item.to_vec())).collect()
    };
    env::var_os(variable).map(items).unwrap_or_default()
}

fn domain(cookie: u16) -> anyhow::Result<Domain> {
    let mut layers = vec![Layer::Filter(Filter::always(cookie))];
    for object in asm::parse(RULES, "sandbox.s")? {
        match verify_newest(object, &ebpf_landlock::loader()) {
            Ok(rule) => layers.push(Layer::Rule(rule)),
            Err(problems) => bail!("{problems}"),
        }
    }
    Ok(Domain::layered(layers))
}

/// As execve takes it: a name alone is one in the working directory.
fn as_path(program: &OsStr) -> OsString {
    if program.as_bytes().contains(&b'/') {
        return program.to_owned();
    }
    Path::new(".").join(program).into_os_string()
}
