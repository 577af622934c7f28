// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock simulate`: one question put to rules, without a sandbox.

mod handles;

use std::process::ExitCode;

use landlock_compiler::abi::{AUDIT_ARCH_X86_64, Actions, Event};
use landlock_compiler::classic::{Filter, SyscallData};
use landlock_compiler::domain::{Domain, Layer};
use landlock_compiler::evaluate::{Current, HookCall, Input};
use landlock_compiler::simulate::{simulate, simulate_hook};

use crate::layers::Files;
use crate::{FAILED, load, speak};

/// Put one question to rules and say what they answer, and which rule and instruction decided.
///
/// Several rules are asked as `run` would: the last one first, up to the first that denies. Exits with 0
/// whatever the answer is (it is on standard output), 1 if there is none, 2 if misused.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    files: Files,
    /// With --filter: the number of the running system call of x86-64, of which the filters say something.
    #[arg(long, value_name = "NUMBER", value_parser = number, conflicts_with = "cookie")]
    syscall: Option<u32>,
    /// With --syscall: its arguments, as many as matter.
    #[arg(long, value_name = "NUMBER,…", value_delimiter = ',', value_parser = long, requires = "syscall")]
    args: Vec<u64>,
    /// The event: FS, FS_IOCTL, FS_LOCK, FS_FCNTL, FILE_OPEN, FILE_PERMISSION or MMAP_FILE.
    #[arg(long, value_name = "EVENT", value_parser = event)]
    event: Event,
    /// For FS: actions, by name, separated by commas; `none` for no action.
    #[arg(long, value_name = "ACTION,…", value_parser = actions, conflicts_with = "command")]
    action: Option<Actions>,
    /// For FS_IOCTL, FS_LOCK and FS_FCNTL: the command, decimal or 0x…
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    command: Option<u32>,
    /// For the hooks FILE_OPEN, FILE_PERMISSION and MMAP_FILE: the cookie that a filter has handed on.
    #[arg(long, value_name = "NUMBER", value_parser = cookie, conflicts_with_all = ["action", "command", "filter"])]
    cookie: Option<u16>,
    /// For FILE_PERMISSION: the mask (1 execute, 2 write, 4 read).
    #[arg(long, value_name = "NUMBER", value_parser = number, default_value_t = 4)]
    mask: u32,
    /// For MMAP_FILE: the protection the mapping gets (1 read, 2 write, 4 execute).
    #[arg(long, value_name = "NUMBER", value_parser = number, default_value_t = 1)]
    prot: u32,
    /// For MMAP_FILE: the protection asked for [default: the one it gets].
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    reqprot: Option<u32>,
    /// For MMAP_FILE: the flags (1 shared, 2 private).
    #[arg(long, value_name = "NUMBER", value_parser = number, default_value_t = 2)]
    flags: u32,
    /// For MMAP_FILE: nothing but memory is mapped.
    #[arg(long)]
    anonymous: bool,
    /// Put a handle into map MAP, to which the object (or the caller's cgroup) relates like this: `same`,
    /// `beneath`, `above`, or what it has in common: `dentry`, `inode`, `device`, `mount`. May be given several
    /// times; without any, maps are empty.
    #[arg(long = "match", value_name = "MAP=HOW,…", value_parser = handles::parsed)]
    matches: Vec<handles::Match>,
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
    let asked = match (args.event, args.action, args.command, args.cookie) {
        (Event::Fs, Some(actions), ..) => Asked::FileSystem(actions.bits()),
        (Event::FsIoctl | Event::FsLock | Event::FsFcntl, _, Some(command), _) => {
            Asked::FileSystem(command.into())
        }
        (Event::Fs, ..) => return misused("event FS takes --action"),
        (Event::FsIoctl | Event::FsLock | Event::FsFcntl, ..) => {
            return misused("this event takes --command");
        }
        (Event::FileOpen | Event::FilePermission | Event::MmapFile, ..) => Asked::Hook(hook_call(args)),
    };
    let data = match syscall(args) {
        Ok(data) => data,
        Err(why) => return misused(why),
    };
    let Some(domain) = args.files.domain_or_tell(&load::ANY) else { return Ok(FAILED.into()) };
    let relation = match handles::fill(domain.rules(), &args.matches) {
        Ok(relation) => relation,
        Err(why) => return misused(&why),
    };
    let simulation = match asked {
        Asked::Hook(call) => match (&data, args.cookie) {
            (Some(data), _) => simulate_hook(&domain, call, &domain.filtered(data), &relation),
            (None, Some(cookie)) => {
                let filter = Layer::Filter(Filter::always(cookie));
                let domain = Domain::layered(std::iter::once(filter).chain(domain.layers()));
                simulate_hook(&domain, call, &domain.filtered(&SyscallData::default()), &relation)
            }
            (None, None) => return misused("this event takes --cookie, or --filter and --syscall"),
        },
        Asked::FileSystem(arg2) => {
            let mode = (!args.no_object).then_some(args.mode);
            let current = Current::default();
            let input = Input { event: args.event, arg2, mode, arch: 0, syscall_nr: 0, current };
            simulate(&domain, &input, &relation)
        }
    };
    let simulation = match &data {
        Some(data) => simulation.within(&domain, data),
        None => simulation,
    };
    let text = if args.json { speak::json(&simulation)? } else { simulation.to_string() };
    speak::result(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The question.
enum Asked {
    /// With this `arg2`.
    FileSystem(u64),
    /// For the cookies there are.
    Hook(HookCall),
}

/// The running system call, if filters are to say something of one.
fn syscall(args: &Args) -> Result<Option<SyscallData>, &'static str> {
    let Some(nr) = args.syscall else {
        let filters = args.files.have_filters();
        return if filters {
            Err("--filter takes --syscall: of what call do they say something?")
        } else {
            Ok(None)
        };
    };
    let mut data = SyscallData { nr, arch: AUDIT_ARCH_X86_64, ..SyscallData::default() };
    let places = data.args.get_mut(..args.args.len()).ok_or("a system call has at most 6 arguments")?;
    places.copy_from_slice(&args.args);
    Ok(Some(data))
}

fn hook_call(args: &Args) -> HookCall {
    match args.event {
        Event::FilePermission => HookCall::FilePermission { mask: args.mask },
        Event::MmapFile => HookCall::MmapFile {
            anonymous: args.anonymous,
            reqprot: args.reqprot.unwrap_or(args.prot).into(),
            prot: args.prot.into(),
            flags: args.flags.into(),
        },
        _ => HookCall::FileOpen,
    }
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

fn cookie(text: &str) -> Result<u16, String> {
    u16::try_from(number(text)?).map_err(|_| format!("a cookie is at most {}", u16::MAX))
}

fn number(text: &str) -> Result<u32, String> {
    let too_large = |_| "number too large to fit in target type".to_owned();
    long(text).and_then(|number| u32::try_from(number).map_err(too_large))
}

fn long(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| error.to_string())
}

fn mode(text: &str) -> Result<u32, String> {
    const LARGEST: u32 = 0o177_777;
    let mode = u32::from_str_radix(text, 8).map_err(|error| error.to_string())?;
    if mode > LARGEST { Err(format!("a mode is at most {LARGEST:o}")) } else { Ok(mode) }
}
