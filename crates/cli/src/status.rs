// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock status`: what this machine can enforce.

mod kernel;

use std::fmt::Write;
use std::process::ExitCode;

use landlock_supervisor::probe::{Answer, Report, probe};
use serde::Serialize;

use crate::{FAILED, speak};

/// Say what this machine can enforce, found out by trying it in throw-away children.
///
/// Each answer is yes, no (with what would have to change), or unknown if it could not be tried. Exits
/// with 0 if `run --target auto` has a target here, else with 1.
#[derive(clap::Args)]
pub struct Args {
    /// For programs.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Status {
    /// What `--target auto` takes.
    auto: Option<&'static str>,
    kernel: kernel::Kernel,
    supervisor: Supervisor,
}

#[derive(Serialize)]
struct Supervisor {
    #[serde(flatten)]
    verdict: Answer,
    checks: Report,
}

pub fn execute(args: &Args) -> anyhow::Result<ExitCode> {
    let report = probe();
    let kernel = kernel::ask();
    let auto = match (kernel.works_for_us(), report.verdict()) {
        (true, _) => Some("kernel"),
        (_, Answer::Yes) => Some("supervisor"),
        _ => None,
    };
    let works = auto.is_some();
    let status =
        Status { auto, kernel, supervisor: Supervisor { verdict: report.verdict().clone(), checks: report } };
    let text = if args.json { speak::json(&status)? } else { status.text() };
    speak::result(&text)?;
    Ok(if works { ExitCode::SUCCESS } else { FAILED.into() })
}

impl Status {
    fn text(&self) -> String {
        let mut text = String::new();
        line(&mut text, 0, "supervisor target", &self.supervisor.verdict);
        for check in &self.supervisor.checks.checks {
            line(&mut text, 1, check.what, &check.answer);
        }
        self.kernel.text(&mut text);
        let auto = self.auto.unwrap_or("nothing: `landlock run` would refuse to run anything");
        let _ = writeln!(text, "--target auto takes: {auto}");
        text
    }
}

fn line(text: &mut String, depth: usize, what: &str, answer: &Answer) {
    let indent = "  ".repeat(depth);
    let _ = match answer {
        Answer::Yes => writeln!(text, "{indent}yes      {what}"),
        Answer::No { found, change } => {
            writeln!(
                text,
                "{indent}no       {what}\n{indent}         found: {found}\n{indent}         to change: {change}"
            )
        }
        Answer::Unknown { why } => writeln!(text, "{indent}unknown  {what}\n{indent}         why: {why}"),
    };
}
