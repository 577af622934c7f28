// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock explain`: what rules mean, operation by operation.

use std::process::ExitCode;

use crate::layers::Files;
use crate::{FAILED, load, speak};

/// Say which operations rules always allow, always deny, or decide case by case, and on what.
///
/// Several rules are explained together, as `run` would enforce them. Always allowed and always denied
/// are promises. Rules tied to a hook
/// are told with the cookies that the filters before them may hand on. Nothing is asked of this machine: the answer is the same everywhere.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    files: Files,
    /// For programs.
    #[arg(long)]
    json: bool,
}

pub fn execute(args: &Args) -> anyhow::Result<ExitCode> {
    let Some(domain) = args.files.domain_or_tell(&load::ANY) else { return Ok(FAILED.into()) };
    let explanation = landlock_compiler::explain::explain(&domain);
    let text = if args.json { speak::json(&explanation)? } else { explanation.to_string() };
    speak::result(&text)?;
    Ok(ExitCode::SUCCESS)
}
