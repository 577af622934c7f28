// SPDX-License-Identifier: MIT OR Apache-2.0
//! Denials made visible: one line each, for machines (JSON) or for people, the same on every target.

use std::borrow::Cow;
use std::io::Write;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::abi::{Actions, Event, hook};
use crate::domain::Domain;
use crate::emit::denial::{Asked, Record};

/// A refused action. Every string that a confined process chose is escaped before it gets here.
#[derive(Clone, Debug, Serialize)]
pub struct Denial {
    /// Seconds since the epoch, with microseconds.
    pub time: f64,
    /// Thread id of the caller.
    pub pid: u32,
    /// Its command name, escaped.
    pub comm: String,
    /// Name of the syscall, or `-` when there was none.
    pub syscall: Cow<'static, str>,
    /// LSM hook whose question was answered with no, or `-` when no rule was asked.
    pub hook: &'static str,
    /// What was attempted: action names, or the command of a sub-event.
    pub action: String,
    /// The object.
    pub object: ObjectSeen,
    /// The rule that said no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleSeen>,
    /// Why it was refused when no rule said no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The errno the caller got, by name.
    pub errno: &'static str,
}

impl Denial {
    /// What a program of the kernel target recorded, with what only its reader knows: the time in seconds
    /// since the epoch, the name of the syscall, and the rule.
    pub fn recorded(record: &Record, time: f64, syscall: Cow<'static, str>, rule: RuleSeen) -> Denial {
        const THREAD: u64 = 0xffff_ffff;
        let comm = record.comm.split(|byte| *byte == 0).next().unwrap_or_default();
        let mode = record.mode.map(|mode| format!("{mode:06o}"));
        let (action, errno) = match record.asked {
            Asked::Instance { instance, arg2 } => (attempted(instance.event, arg2), "EPERM"),
            Asked::Hook { errno, cookie } => (handed_on(cookie), hook::errno_name(errno)),
        };
        Denial {
            time,
            pid: u32::try_from(record.pid_tgid & THREAD).unwrap_or_default(),
            comm: escape(comm),
            syscall,
            hook: record.hook.name,
            action,
            object: ObjectSeen { mode, ..ObjectSeen::default() },
            rule: Some(rule),
            reason: None,
            errno,
        }
    }
}

/// For which filter a rule tied to a hook was run.
fn handed_on(cookie: Option<u16>) -> String {
    cookie.map_or("outside of a system call".to_owned(), |cookie| format!("cookie {cookie}"))
}

/// The object of a denial, as far as it is known.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ObjectSeen {
    /// Path, escaped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Device number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev: Option<u64>,
    /// Inode number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ino: Option<u64>,
    /// Whole mode, octal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// The rule of a denial.
#[derive(Clone, Debug, Serialize)]
pub struct RuleSeen {
    /// Its name.
    pub name: String,
    /// Its place in the domain, 0 for the newest.
    pub index: usize,
    /// The exit instruction that decided, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insn: Option<usize>,
    /// `file:line`, when the rule object had line information.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// The map of handles it had compared with last, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,
    /// The cookie it ran for, at a hook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<u16>,
    /// The number of its domain, in a log of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<u64>,
}

impl RuleSeen {
    /// The rule of the domain that made the record.
    pub fn recorded(domain: &Domain, record: &Record) -> RuleSeen {
        RuleSeen::of(domain, record.rule, record.insn)
    }

    /// The rule at `index` of the domain, and the instruction of it that decided.
    pub fn of(domain: &Domain, index: usize, insn: Option<usize>) -> RuleSeen {
        let rule = domain.rules().get(index);
        let line = rule.zip(insn).and_then(|(rule, insn)| rule.line(insn));
        let map = rule.zip(insn).and_then(|(rule, insn)| rule.decided_by(insn));
        RuleSeen {
            name: rule.map_or("?", |rule| rule.name()).to_owned(),
            index,
            insn,
            line: line.map(|line| format!("{}:{}", line.file, line.line)),
            map: map.map(|map| map.definition().name.clone()),
            cookie: None,
            domain: None,
        }
    }
}

/// What was attempted, in words: the names of actions, or the command of a sub-event.
pub fn attempted(event: Event, arg2: u64) -> String {
    let actions = Actions::from_bits_truncate(arg2);
    match event {
        Event::Fs if actions.is_empty() => "no action".to_owned(),
        Event::Fs => actions.iter_names().map(|(name, _)| name).collect::<Vec<_>>().join("|"),
        _ => format!("{} {arg2:#x}", event.name()),
    }
}

/// What a rule with ability DEBUG wrote by `trace_printk`.
#[derive(Clone, Debug, Serialize)]
pub struct Trace {
    /// Seconds since the epoch, with microseconds.
    pub time: f64,
    /// Thread id of the caller.
    pub pid: u32,
    /// Its command name, escaped.
    pub comm: String,
    /// The text, escaped.
    pub trace: String,
}

/// Denials that came faster than they were read.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Lost {
    /// Seconds since the epoch, with microseconds.
    pub time: f64,
    /// How many.
    pub lost: u64,
}

/// Where denials are written, and how.
#[derive(Debug)]
pub struct Log {
    sink: Option<Mutex<std::fs::File>>,
    format: Format,
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Json,
    Text,
}

impl Log {
    /// Denials are not written anywhere.
    pub fn none() -> Log {
        Log { sink: None, format: Format::Text }
    }

    /// One JSON object per line.
    pub fn json(file: std::fs::File) -> Log {
        Log { sink: Some(Mutex::new(file)), format: Format::Json }
    }

    /// One sentence per line, for people.
    pub fn text(file: std::fs::File) -> Log {
        Log { sink: Some(Mutex::new(file)), format: Format::Text }
    }

    /// The number of the file it is written to, and whether as sentences for people.
    pub fn descriptor(&self) -> Option<(std::os::fd::RawFd, bool)> {
        use std::os::fd::AsRawFd;
        let sink = self.sink.as_ref()?.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Some((sink.as_raw_fd(), matches!(self.format, Format::Text)))
    }

    /// Whether anybody reads it: describing an object costs system calls.
    pub fn is_kept(&self) -> bool {
        self.sink.is_some()
    }

    /// Writes one line in a single write. A log that cannot be written does not turn a denial into anything else.
    pub fn write(&self, entry: &(impl Serialize + std::fmt::Display)) {
        let Some(sink) = &self.sink else { return };
        let mut line = match self.format {
            Format::Json => serde_json::to_string(entry).unwrap_or_default(),
            Format::Text => entry.to_string(),
        };
        line.push('\n');
        let mut sink = sink.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        drop(sink.write_all(line.as_bytes()));
    }
}

impl std::fmt::Display for Denial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "landlock: {}: {}[{}] {}", self.errno, self.comm, self.pid, self.syscall)?;
        write!(f, ": {} on {}", self.action, self.object.path.as_deref().unwrap_or("(unnamed)"))?;
        if let Some(mode) = &self.object.mode {
            write!(f, " (mode {mode})")?;
        }
        write!(f, " at {}", self.hook)?;
        if let Some(rule) = &self.rule {
            let name = rule.name.escape_debug();
            write!(f, ": denied by rule {} '{name}'", rule.index)?;
            if let Some(insn) = rule.insn {
                write!(f, ", instruction {insn}")?;
            }
            if let Some(line) = &rule.line {
                write!(f, " ({})", line.escape_debug())?;
            }
            if let Some(map) = &rule.map {
                write!(f, ", by map '{}'", map.escape_debug())?;
            }
            if let Some(cookie) = rule.cookie {
                write!(f, ", cookie {cookie}")?;
            }
            if let Some(domain) = rule.domain {
                write!(f, ", domain {domain}")?;
            }
        }
        match self.reason {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

impl std::fmt::Display for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "landlock: trace: {}[{}]: {}", self.comm, self.pid, self.trace)
    }
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "landlock: denials that came faster than they were read, and are lost: {}", self.lost)
    }
}

/// Seconds since the epoch.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Bytes a confined process chose, made safe for a terminal and a line: printable ASCII stays, all else
/// becomes `\xNN`.
pub fn escape(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len()), |mut text, &byte| {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => drop(write!(text, "\\x{byte:02x}")),
        }
        text
    })
}
