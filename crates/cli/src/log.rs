// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock log`: what the kernel target refused.

use std::fmt::Display;
use std::process::ExitCode;

use anyhow::Context;
use landlock_compiler::denial::{Lost, RuleSeen, now};
use landlock_compiler::emit::denial::Record;
use landlock_kernel::Engine;
use rustix::event::{PollFd, PollFlags, poll};
use serde::Serialize;

use crate::{denials, speak};

/// Show what the kernel target refused to commands that were run without a log of their own. Needs root.
///
/// The kernel keeps denials until somebody reads them, up to a limit, and as long as any domain lives or this
/// command runs: what is to be kept for long is followed. Each is shown once. There is one reader at a time.
#[derive(clap::Args)]
pub struct Args {
    /// Go on with what comes.
    #[arg(short, long)]
    follow: bool,
    /// For programs: one JSON object per line.
    #[arg(long)]
    json: bool,
}

pub fn execute(args: &Args) -> anyhow::Result<ExitCode> {
    let engine = Engine::open()?;
    let mut ring = engine.denials().context("cannot read the denials")?;
    let mut told = 0;
    loop {
        let mut lines = String::new();
        denials::take(&mut ring, |record| {
            lines += &line(args, &denials::denial(record, rule(&engine, record)))
        });
        let lost = engine.lost_denials()?;
        if lost > told {
            lines += &line(args, &Lost { time: now(), lost: lost - told });
            told = lost;
        }
        speak::result(&lines)?;
        let out = std::io::stdout();
        let mut ready = [PollFd::new(&ring, PollFlags::IN), PollFd::new(&out, PollFlags::empty())];
        if args.follow {
            poll(&mut ready, None).context("cannot wait for denials")?;
        }
        let nobody_listens = !ready[1].revents().is_empty();
        if !args.follow || nobody_listens {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

/// The rule, by the names that are remembered; the domain may be gone.
fn rule(engine: &Engine, record: &Record) -> RuleSeen {
    let number = u32::try_from(record.rule);
    let name = number.ok().and_then(|rule| engine.rule_name(record.domain, rule).ok()).flatten();
    RuleSeen {
        name: name.unwrap_or_else(|| "?".to_owned()),
        index: record.rule,
        insn: record.insn,
        line: None,
        cookie: None,
        domain: Some(record.domain),
    }
}

fn line(args: &Args, entry: &(impl Serialize + Display)) -> String {
    let text = match args.json {
        true => serde_json::to_string(entry).unwrap_or_default(),
        false => entry.to_string(),
    };
    text + "\n"
}
