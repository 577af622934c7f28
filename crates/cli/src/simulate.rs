// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock simulate`: one question put to rules, without a sandbox.

use std::path::PathBuf;
use std::process::ExitCode;

use landlock_compiler::abi::{Actions, Event};
use landlock_compiler::domain::Domain;
use landlock_compiler::evaluate::{Current, Input};
use landlock_compiler::simulate::simulate;

use crate::{FAILED, load, speak};

/// Put one question to rules and say what they answer, and which rule and instruction decided.
///
/// Several rules are asked as `run` would: the last one first, up to the first that denies. Exits with 0
/// whatever the answer is (it is on standard output), 1 if there is none, 2 if misused.
#[derive(clap::Args)]
pub struct Args {
    /// Rule files: .c, .s or .o.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The event: FS, FS_IOCTL, FS_LOCK or FS_FCNTL.
    #[arg(long, value_name = "EVENT", value_parser = event)]
    event: Event,
    /// For FS: actions, by name, separated by commas; `none` for no action.
    #[arg(long, value_name = "ACTION,…", value_parser = actions,
        required_unless_present = "command", conflicts_with = "command")]
    action: Option<Actions>,
    /// For the other events: the command, decimal or 0x…
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    command: Option<u32>,
    /// Mode of the object in octal, type included (0100644 is a regular file).
    #[arg(long, value_name = "OCTAL", value_parser = mode, default_value = "0100644")]
    mode: u32,
    /// There is no object: the name does not exist yet.
    #[arg(long, conflicts_with = "mode")]
    no_object: bool,
    /// For programs.
    #[arg(long)]
    json: bool,
}

pub fn execute(args: &Args) -> anyhow::Result<ExitCode> {
    let arg2 = match (args.event, args.action, args.command) {
        (Event::Fs, Some(actions), _) => actions.bits(),
        (Event::FsIoctl | Event::FsLock | Event::FsFcntl, _, Some(command)) => command.into(),
        (Event::Fs, ..) => return misused("event FS takes --action"),
        _ => return misused("this event takes --command"),
    };
    let Some(rules) = load::every_rule_or_tell(&args.files, &load::ANY) else { return Ok(FAILED.into()) };
    let domain = Domain::prepended(rules);
    let input = Input {
        event: args.event,
        arg2,
        mode: (!args.no_object).then_some(args.mode),
        arch: 0,
        syscall_nr: 0,
        current: Current::default(),
    };
    let simulation = simulate(&domain, &input);
    let text = if args.json { speak::json(&simulation)? } else { simulation.to_string() };
    speak::result(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn misused(why: &str) -> anyhow::Result<ExitCode> {
    speak::notice(&why);
    Ok(crate::MISUSED.into())
}

fn event(name: &str) -> Result<Event, String> {
    let known = Event::ALL.into_iter().find(|event| event.name().eq_ignore_ascii_case(name));
    known.ok_or_else(|| format!("events are {}", Event::ALL.map(Event::name).join(", ")))
}

fn actions(names: &str) -> Result<Actions, String> {
    if names.eq_ignore_ascii_case("none") {
        return Ok(Actions::empty());
    }
    names.split(',').map(|name| action(name.trim())).collect()
}

fn action(name: &str) -> Result<Actions, String> {
    let known = Actions::all().iter_names().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let names = || Actions::all().iter_names().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
    known.map(|(_, action)| action).ok_or_else(|| format!("actions are {}, and none", names()))
}

fn number(text: &str) -> Result<u32, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| error.to_string())
}

fn mode(text: &str) -> Result<u32, String> {
    const LARGEST: u32 = 0o177_777;
    let mode = u32::from_str_radix(text, 8).map_err(|error| error.to_string())?;
    if mode > LARGEST { Err(format!("a mode is at most {LARGEST:o}")) } else { Ok(mode) }
}
