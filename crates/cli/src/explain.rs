// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock explain`: what rules mean, operation by operation.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::{FAILED, load, speak};

/// Say which operations rules always allow, always deny, or decide case by case, and on what.
///
/// Several rules are explained together, as `run` would enforce them. Always allowed and always denied
/// are promises. Nothing is asked of this machine: the answer is the same everywhere.
#[derive(clap::Args)]
pub struct Args {
    /// Rule files: .c, .s or .o.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// For programs.
    #[arg(long)]
    json: bool,
}

pub fn execute(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(rules) = load::every_rule_or_tell(&args.files, &load::ANY) else { return Ok(FAILED.into()) };
    let explanation = landlock_compiler::explain::explain(&rules);
    let text = if args.json { speak::json(&explanation)? } else { explanation.to_string() };
    speak::result(&text)?;
    Ok(ExitCode::SUCCESS)
}
