// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asking the rules about pinned objects, and saying so when they refuse.

mod logs;

use landlock_compiler::abi::{Actions, Event};
use landlock_compiler::domain::Domain;
use landlock_compiler::evaluate::{Current, Input, Verdict};
use landlock_compiler::specialise::{Bits, Known, ObjectKnown};
use rustix::io::Errno;

use crate::denial::{self, Denial, Log, ObjectSeen, RuleSeen, Trace, escape, now};
use crate::filter;
use crate::object::Object;
use crate::request::Request;

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

    /// Whether the rules allow `ask` about an object of this mode (`None`: a name without an object) now.
    pub fn verdict(&self, request: &Request<'_>, ask: Ask, mode: Option<u32>) -> Verdict {
        let input = Input {
            event: ask.about.event(),
            arg2: ask.about.arg2(),
            mode,
            arch: request.notification.arch,
            syscall_nr: request.notification.nr.cast_unsigned(),
            current: if self.reads_current() { request.current() } else { Current::default() },
        };
        self.domain.decide_traced(&input, &mut |text| self.trace(request, text))
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
        match self.verdict(request, ask, Some(object.mode())) {
            Verdict::Allow => Ok(()),
            Verdict::Deny { rule, insn } => {
                let seen = || ObjectSeen {
                    path: object.path().map(|path| escape(path.as_os_str().as_encoded_bytes())),
                    dev: Some(object.stat().st_dev),
                    ino: Some(object.stat().st_ino),
                    mode: Some(format!("{:06o}", object.mode())),
                };
                self.refuse(request, ask, seen, Some((rule, insn)), None)
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
        match self.verdict(request, ask, Some(mode)) {
            Verdict::Allow => Ok(()),
            Verdict::Deny { rule, insn } => {
                let seen = || ObjectSeen { mode: Some(format!("{mode:06o}")), ..ObjectSeen::default() };
                self.refuse(request, ask, seen, Some((rule, insn)), None)
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
        match self.verdict(request, ask, mode) {
            Verdict::Allow => Ok(()),
            Verdict::Deny { rule, insn } => {
                let seen = || {
                    let parent = parent.path().map(|path| path.into_os_string().into_encoded_bytes());
                    let path = parent.map(|parent| escape(&[parent.as_slice(), name].join(&b'/')));
                    ObjectSeen { path, mode: mode.map(|mode| format!("{mode:06o}")), ..ObjectSeen::default() }
                };
                self.refuse(request, ask, seen, Some((rule, insn)), None)
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
        by: Option<(usize, usize)>,
        reason: Option<&'static str>,
    ) -> Result<T, Errno> {
        if self.logs.are_kept() {
            self.logs.write(&Denial {
                time: now(),
                pid: request.notification.tid,
                comm: request.comm().map_or_else(|| "?".to_owned(), |comm| escape(&comm)),
                syscall: request.name.into(),
                hook: ask.hook,
                action: ask.about.to_string(),
                object: object(),
                rule: by.map(|(index, insn)| RuleSeen::of(&self.domain, index, Some(insn))),
                reason,
                errno: "EPERM",
            });
        }
        Err(Errno::PERM)
    }
}
