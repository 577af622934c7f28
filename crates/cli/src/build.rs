// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock build`: a rule object from C.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use landlock_compiler::clang;

/// Build a rule written in C into an object, once the verifier accepts it.
///
/// `run` and the other commands take the source as well; an object starts faster and needs no clang.
#[derive(clap::Args)]
pub struct Args {
    /// The C source; `#include <landlock/rule.h>` is provided.
    #[arg(value_name = "RULE.c")]
    source: PathBuf,
    /// The object to write [default: the source's name with .o, beside it].
    #[arg(short, long, value_name = "RULE.o")]
    output: Option<PathBuf>,
}

pub fn execute(args: &Args) -> anyhow::Result<ExitCode> {
    let is_c = args.source.extension().is_some_and(|extension| extension == "c");
    ensure!(is_c, "{}: only C is built; assembly is used as it is", args.source.display());
    let output = args.output.clone().unwrap_or_else(|| args.source.with_extension("o"));
    ensure!(!is_same(&args.source, &output), "{}: the object would replace the source", output.display());
    clang::build(&args.source, Some(&output)).with_context(|| args.source.display().to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
