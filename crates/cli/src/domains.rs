// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock domains`: who is confined by the kernel target.

use std::fmt::Write;
use std::process::ExitCode;

use landlock_kernel::{Engine, Living};
use serde::Serialize;

use crate::speak;

/// List the living domains of the kernel target: rules, threads, and the hooks they are enforced at. Needs root.
///
/// A thread counts until the kernel has freed it, a moment after its end. A domain without threads is there
/// until somebody comes to collect it.
#[derive(clap::Args)]
pub struct Args {
    /// For programs.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Domain {
    /// What denials bear; no other domain ever has it.
    number: u64,
    /// Names, newest first.
    rules: Vec<String>,
    threads: u64,
    /// Where it can deny.
    hooks: Vec<&'static str>,
    /// Where it could deny, were it in this kernel.
    lacking: Vec<&'static str>,
    /// The domain it extends.
    parent: Option<u64>,
    /// Whether its denials are in a log of their own, and not for `landlock log`.
    own_log: bool,
}

pub fn execute(args: &Args) -> anyhow::Result<ExitCode> {
    let domains: Vec<Domain> = Engine::open()?.domains()?.into_iter().map(Domain::of).collect();
    let text = match args.json {
        true => speak::json(&domains)?,
        false => domains.iter().map(Domain::text).collect(),
    };
    speak::result(&text)?;
    Ok(ExitCode::SUCCESS)
}

impl Domain {
    fn of(living: Living) -> Domain {
        let Living { number, rules, threads, hooks, lacking, parent, own_denials, .. } = living;
        Domain { number, rules, threads, hooks, lacking, parent, own_log: own_denials }
    }

    fn text(&self) -> String {
        let mut text = format!("domain {}: {} threads", self.number, self.threads);
        if let Some(parent) = self.parent {
            let _ = write!(text, "; extends domain {parent}");
        }
        if self.own_log {
            text.push_str("; logs apart");
        }
        let _ = write!(text, "\n  rules, newest first: {}", speak::plain(&self.rules.join(", ")));
        let _ = write!(text, "\n  hooks: {}\n", self.hooks.join(", "));
        if !self.lacking.is_empty() {
            let _ = writeln!(text, "  not in this kernel: {}", self.lacking.join(", "));
        }
        text
    }
}
