// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock log`: what the kernel target refused.

use std::fmt::Display;
use std::process::ExitCode;

use anyhow::Context;
use ebpf_landlock::records;
use landlock_compiler::denial::{Lost, now};
use landlock_kernel::Engine;
use rustix::event::{PollFd, PollFlags, poll};
use serde::Serialize;

use crate::speak;

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
        let mut records = Vec::new();
        records::take(&mut ring, |record| records.push(record.clone()));
        for record in &records {
            let rule = engine.rule(record.domain, record.rule, record.insn)?;
            lines += &line(args, &records::denial(record, rule));
        }
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

fn line(args: &Args, entry: &(impl Serialize + Display)) -> String {
    let text = match args.json {
        true => serde_json::to_string(entry).unwrap_or_default(),
        false => entry.to_string(),
    };
    text + "\n"
}
