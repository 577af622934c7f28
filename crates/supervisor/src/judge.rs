// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asking the rules about pinned objects, and saying so when they refuse.

mod logs;

use landlock_compiler::abi::hook;
use landlock_compiler::abi::{Actions, Event};
use landlock_compiler::classic::SyscallData;
use landlock_compiler::domain::Domain;
use landlock_compiler::evaluate::{Current, HookCall, HookVerdict, Input, Verdict};
use landlock_compiler::specialise::{Bits, Known, ObjectKnown};
use rustix::io::Errno;

use crate::denial::{self, Denial, Log, ObjectSeen, RuleSeen, Trace, escape, now};
use crate::filter;
use crate::object::Object;
use crate::relate::{Related, Subject};
use crate::request::Request;
use crate::sys;

pub use logs::Logs;

/// One question: the hook it belongs to, and what `arg2` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Name of the LSM hook.
    pub hook: &'static str,
    /// Action bits or command.
    pub about: About,
}

/// What a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Actions of the FS event.
    Actions(Actions),
    /// A command of a sub-event.
    Command(Event, u32),
}

impl About {
    /// The event whose rules are asked.
    pub fn event(self) -> Event {
        match self {
            About::Actions(_) => Event::Fs,
            About::Command(event, _) => event,
        }
    }

    /// What `arg2` holds.
    pub fn arg2(self) -> u64 {
        match self {
            About::Actions(actions) => actions.bits(),
            About::Command(_, command) => u64::from(command),
        }
    }
}

impl std::fmt::Display for About {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&denial::attempted(self.event(), self.arg2()))
    }
}

/// An action question of a hook.
pub const fn actions(hook: &'static str, actions: Actions) -> Ask {
    Ask { hook, about: About::Actions(actions) }
}

/// A rule that said no: its place, the instruction it ended at, and what its caller is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct No {
    rule: usize,
    insn: usize,
    errno: u32,
    cookie: Option<u16>,
}

const EPERM: u32 = 1;

/// The rules in force on a thread and the logs of their refusals.
#[derive(Debug)]
pub struct Judge {
    /// The rules.
    pub domain: Domain,
    /// Whether a rule can deny walking through a directory or following a link.
    pub walks_matter: bool,
    /// Where refusals are written.
    pub logs: Logs,
    /// The number of the domain: see [`crate::stack`].
    pub number: u32,
}

impl Judge {
    /// A judge over the outermost domain, that writes its refusals to `log`.
    pub fn new(domain: Domain, log: Log) -> Judge {
        Judge { walks_matter: filter::walks_matter(&domain), domain, logs: Logs::of(log), number: 0 }
    }

    /// A judge over a domain inside this one, that also writes to `log`, if there is one.
    pub fn inside(&self, domain: Domain, log: Option<Log>, number: u32) -> Judge {
        let logs = log.map_or_else(|| self.logs.clone(), |log| self.logs.and(log));
        Judge { walks_matter: filter::walks_matter(&domain), domain, logs, number }
    }

    /// Whether the rules allow `ask` about the subject now: those of the event, and then those tied to the hook.
    pub fn verdict(&self, request: &Request<'_>, ask: Ask, subject: Subject<'_>) -> Result<(), No> {
        self.verdict_on(request, ask, &Related::new(request, subject))
    }

    fn verdict_on(&self, request: &Request<'_>, ask: Ask, related: &Related<'_>) -> Result<(), No> {
        let input = Input {
            event: ask.about.event(),
            arg2: ask.about.arg2(),
            mode: related.subject.mode(),
            arch: request.notification.arch,
            syscall_nr: request.notification.nr.cast_unsigned(),
            current: if self.reads_current() { request.current() } else { Current::default() },
        };
        match self.domain.decide_among(&input, related, &mut |text| self.trace(request, text)) {
            Verdict::Deny { rule, insn } => return Err(No { rule, insn, errno: EPERM, cookie: None }),
            Verdict::Allow => {}
        }
        calls(request, ask).into_iter().try_for_each(|call| self.at_hook(request, call, related))
    }

    /// Asks the rules tied to a hook, with the cookies of the running system call.
    fn at_hook(&self, request: &Request<'_>, call: HookCall, related: &Related<'_>) -> Result<(), No> {
        if self.domain.rules_of(call.event()).next().is_none() {
            return Ok(());
        }
        let filtered = self.domain.filtered(&syscall(request));
        match self.domain.decide_hook(call, Some(&filtered), related) {
            HookVerdict::Allow => Ok(()),
            HookVerdict::Deny { errno, rule, insn, cookie } => Err(No { rule, insn, errno, cookie }),
        }
    }

    /// Whether a filter hands the system call on to somebody who is not there: a tracer, a listener. Seccomp answers
    /// `ENOSYS` then; it would have, had we not been asked before.
    pub fn is_handed_on(&self, request: &Request<'_>) -> bool {
        self.domain.filters().next().is_some()
            && self.domain.filtered(&syscall(request)).action.is_handed_on()
    }

    /// Asks the rules tied to the hook about a mapping of memory, for which the kernel may have made a file.
    pub fn ask_memory(&self, request: &Request<'_>, has_file: bool) -> Result<(), Errno> {
        let ask = actions("mmap_file", Actions::empty());
        let related = Related::new(request, Subject::Unnamed(0));
        let calls = mappings(request, ask, !has_file);
        match calls.into_iter().try_for_each(|call| self.at_hook(request, call, &related)) {
            Ok(()) => Ok(()),
            Err(no) => self.refuse(request, ask, ObjectSeen::default, Some(no), None),
        }
    }

    /// What a debug rule traces goes to the log.
    fn trace(&self, request: &Request<'_>, text: &str) {
        if self.logs.are_kept() {
            let comm = request.comm().map_or_else(|| "?".to_owned(), |comm| escape(&comm));
            let text = escape(text.trim_end().as_bytes());
            self.logs.write(&Trace { time: now(), pid: request.notification.tid, comm, trace: text });
        }
    }

    fn reads_current(&self) -> bool {
        self.domain.rules().iter().any(|rule| !rule.abilities().is_empty())
    }

    /// Asks about an object; a refusal is logged and becomes `EPERM`.
    pub fn ask(&self, request: &Request<'_>, ask: Ask, object: &Object) -> Result<(), Errno> {
        self.ask_each(request, &[ask], object)
    }

    /// Asks several questions about an object, with nothing between them: where it is, is looked up once.
    pub fn ask_each(&self, request: &Request<'_>, asks: &[Ask], object: &Object) -> Result<(), Errno> {
        let related = Related::new(request, Subject::Object(object));
        asks.iter().try_for_each(|ask| self.ask_related(request, *ask, object, &related))
    }

    fn ask_related(
        &self,
        request: &Request<'_>,
        ask: Ask,
        object: &Object,
        related: &Related<'_>,
    ) -> Result<(), Errno> {
        match self.verdict_on(request, ask, related) {
            Ok(()) => Ok(()),
            Err(no) => {
                let seen = || ObjectSeen {
                    path: object.path().map(|path| escape(path.as_os_str().as_encoded_bytes())),
                    dev: Some(object.stat().st_dev),
                    ino: Some(object.stat().st_ino),
                    mode: Some(format!("{:06o}", object.mode())),
                };
                self.refuse(request, ask, seen, Some(no), None)
            }
        }
    }

    /// Asks about a name in `parent` that no object has yet.
    pub fn ask_new(
        &self,
        request: &Request<'_>,
        ask: Ask,
        parent: &Object,
        name: &[u8],
    ) -> Result<(), Errno> {
        self.ask_named(request, ask, parent, name, None)
    }

    /// Asks about an object that is about to get `name` in `parent`, with this mode.
    pub fn ask_mode(
        &self,
        request: &Request<'_>,
        ask: Ask,
        parent: &Object,
        name: &[u8],
        mode: u32,
    ) -> Result<(), Errno> {
        self.ask_named(request, ask, parent, name, Some(mode))
    }

    /// Asks about an object of which nothing but the mode is known.
    pub fn ask_anonymous(&self, request: &Request<'_>, ask: Ask, mode: u32) -> Result<(), Errno> {
        match self.verdict(request, ask, Subject::Unnamed(mode)) {
            Ok(()) => Ok(()),
            Err(no) => {
                let seen = || ObjectSeen { mode: Some(format!("{mode:06o}")), ..ObjectSeen::default() };
                self.refuse(request, ask, seen, Some(no), None)
            }
        }
    }

    /// Whether the rules can deny `ask` about an object of this file type, or of any.
    pub fn may_deny(&self, ask: Ask, file_type: Option<u32>) -> bool {
        let mode = match file_type {
            Some(format) => Bits { value: format.into(), unknown: 0o7777 },
            None => Bits { value: 0, unknown: 0xffff },
        };
        self.domain.may_deny(&Known {
            event: ask.about.event(),
            arg2: Bits::exactly(ask.about.arg2()),
            object: ObjectKnown::Mode(mode),
            arch: Bits::exactly(filter::ARCH.into()),
            syscall_nr: Bits { value: 0, unknown: u32::MAX.into() },
        }) || filter::hook_event(ask.hook).is_some_and(|event| filter::is_heard(&self.domain, event))
    }

    /// Whether the answer may depend on which object it is, not only on its mode.
    pub fn compares(&self, ask: Ask) -> bool {
        let known = Known::new(ask.about.event(), Bits::exactly(ask.about.arg2()));
        self.domain.specialise(&known).compares()
            || filter::hook_event(ask.hook).is_some_and(|event| {
                filter::is_heard(&self.domain, event) && filter::object_matters(&self.domain, event)
            })
    }

    fn ask_named(
        &self,
        request: &Request<'_>,
        ask: Ask,
        parent: &Object,
        name: &[u8],
        mode: Option<u32>,
    ) -> Result<(), Errno> {
        match self.verdict(request, ask, Subject::New(parent, mode)) {
            Ok(()) => Ok(()),
            Err(no) => {
                let seen = || {
                    let parent = parent.path().map(|path| path.into_os_string().into_encoded_bytes());
                    let path = parent.map(|parent| escape(&[parent.as_slice(), name].join(&b'/')));
                    ObjectSeen { path, mode: mode.map(|mode| format!("{mode:06o}")), ..ObjectSeen::default() }
                };
                self.refuse(request, ask, seen, Some(no), None)
            }
        }
    }

    /// Refuses something that no rule was asked about, or could not be asked about without a race.
    pub fn refuse_because<T>(
        &self,
        request: &Request<'_>,
        ask: Ask,
        reason: &'static str,
    ) -> Result<T, Errno> {
        self.refuse(request, ask, ObjectSeen::default, None, Some(reason))
    }

    fn refuse<T>(
        &self,
        request: &Request<'_>,
        ask: Ask,
        object: impl FnOnce() -> ObjectSeen,
        by: Option<No>,
        reason: Option<&'static str>,
    ) -> Result<T, Errno> {
        let errno = by.map_or(EPERM, |no| no.errno);
        if self.logs.are_kept() {
            self.logs.write(&Denial {
                time: now(),
                pid: request.notification.tid,
                comm: request.comm().map_or_else(|| "?".to_owned(), |comm| escape(&comm)),
                syscall: request.name.into(),
                hook: ask.hook,
                action: ask.about.to_string(),
                object: object(),
                rule: by.map(|no| RuleSeen {
                    cookie: no.cookie,
                    ..RuleSeen::of(&self.domain, no.rule, Some(no.insn))
                }),
                reason,
                errno: hook::errno_name(errno),
            });
        }
        Err(Errno::from_raw_os_error(errno.cast_signed()))
    }
}

/// The waiting system call, as filters see it.
fn syscall(request: &Request<'_>) -> SyscallData {
    let sys::Notification { nr, arch, instruction_pointer, args, .. } = request.notification;
    SyscallData { nr: nr.cast_unsigned(), arch, instruction_pointer, args }
}

/// The calls of the RFC's hooks that come with a question. A question may stand for several.
fn calls(request: &Request<'_>, ask: Ask) -> Vec<HookCall> {
    const MAY_WRITE: u32 = 2;
    const MAY_READ: u32 = 4;
    let About::Actions(actions) = ask.about else { return Vec::new() };
    match ask.hook {
        "file_open" => vec![HookCall::FileOpen],
        "file_permission" => [(Actions::READ, MAY_READ), (Actions::WRITE, MAY_WRITE)]
            .into_iter()
            .filter(|(action, _)| actions.contains(*action))
            .map(|(_, mask)| HookCall::FilePermission { mask })
            .collect(),
        "mmap_file" => mappings(request, ask, false),
        _ => Vec::new(),
    }
}

/// The mappings a question stands for: the one of an mmap(2), or those the kernel makes to run a program, of which
/// the protections and flags differ from kernel to kernel.
fn mappings(request: &Request<'_>, ask: Ask, anonymous: bool) -> Vec<HookCall> {
    let map = |prot: u64, flags: u64| HookCall::MmapFile { anonymous, reqprot: prot, prot, flags };
    let About::Actions(actions) = ask.about else { return Vec::new() };
    let [read, write, exec] =
        [libc::PROT_READ, libc::PROT_WRITE, libc::PROT_EXEC].map(i64::from).map(i64::cast_unsigned);
    match request.name {
        "mmap" => vec![map(request.arg(2), request.arg(3))],
        "shmat" => {
            let bits = [(Actions::READ, read), (Actions::WRITE, write), (Actions::EXEC, exec)];
            let prot = bits.iter().filter(|(action, _)| actions.contains(*action)).map(|(_, bit)| bit).sum();
            let fixed = if request.arg(1) == 0 { 0 } else { FIXED };
            vec![map(prot, SHARED | fixed)]
        }
        _ => {
            let prots = [0, read, read | write, read | exec, read | write | exec, exec, write];
            let flags = [0, FIXED, FIXED_NOREPLACE, FIXED | FIXED_NOREPLACE].map(|fixed| PRIVATE | fixed);
            prots.into_iter().flat_map(|prot| flags.map(|flags| map(prot, flags))).collect()
        }
    }
}

const SHARED: u64 = 1;
const PRIVATE: u64 = 2;
const FIXED: u64 = 0x10;
const FIXED_NOREPLACE: u64 = 0x10_0000;
