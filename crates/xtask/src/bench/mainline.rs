// SPDX-License-Identifier: MIT OR Apache-2.0
//! The same list enforced by mainline Landlock alone, to compare with.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use landlock::{
    AccessFs, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, path_beneath_rules,
};

/// `cargo xtask bench-mainline`: runs a command that may open what is at or beneath these paths.
#[derive(clap::Args)]
pub struct Options {
    #[arg(long = "path")]
    paths: Vec<PathBuf>,
    #[arg(required = true, trailing_var_arg = true)]
    command: Vec<OsString>,
}

/// The words that run a command so.
pub fn command(paths: &[OsString], command: &[OsString]) -> Result<Vec<OsString>> {
    let mut words = vec![std::env::current_exe()?.into(), "bench-mainline".into()];
    for path in paths {
        words.extend(["--path".into(), path.clone()]);
    }
    words.push("--".into());
    words.extend(command.iter().cloned());
    Ok(words)
}

/// Confines this process, and becomes the command.
pub fn run(options: &Options) -> Result<()> {
    restrict(&options.paths, AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::ReadDir)?;
    let (program, arguments) = options.command.split_first().context("no command")?;
    Err(Command::new(program).args(arguments).exec().into())
}

/// Refuses `rights` to the calling thread but at and beneath `paths`.
pub fn restrict(paths: &[impl AsRef<Path>], rights: BitFlags<AccessFs>) -> Result<()> {
    let ruleset = Ruleset::default().handle_access(rights)?.create()?;
    let status = ruleset.add_rules(path_beneath_rules(paths, rights))?.restrict_self()?;
    ensure!(status.ruleset == RulesetStatus::FullyEnforced, "mainline Landlock: {:?}", status.ruleset);
    Ok(())
}
