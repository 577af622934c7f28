// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which questions of a syscall may be answered with no, whatever is in memory.

use std::collections::HashMap;

use landlock_compiler::abi::{Actions, Event};
use landlock_compiler::domain::{Domain, Foreseen};
use landlock_compiler::evaluate::HookCall;
use landlock_compiler::specialise::{Bits, Known, ObjectKnown};

use super::{ARCH, Plan, plan_of};
use crate::syscalls::{Case, Does, Half, Possible, PossiblyAbout, Row, Test, Types};

const ANONYMOUS: u32 = 0x20;
const FILE: HookCall = HookCall::MmapFile { anonymous: false, reqprot: 0, prot: 0, flags: 0 };
const MEMORY: HookCall = HookCall::MmapFile { anonymous: true, reqprot: 0, prot: 0, flags: 0 };

/// The questions each row of the table can ask, answered as far as the filter sees.
pub(super) struct Questions<'a> {
    /// The rules; `None`: any, so that every question may be answered with no.
    pub domain: Option<&'a Domain>,
    pub opens: Opens,
    answers: HashMap<(Event, Bits, ObjectKnown), bool>,
}

/// Whether the rules tied to `FILE_OPEN` are asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Opens {
    AreAsked,
    AreNot,
}

impl<'a> Questions<'a> {
    pub fn new(domain: Option<&'a Domain>, opens: Opens) -> Questions<'a> {
        Questions { domain, opens, answers: HashMap::new() }
    }
}

impl Questions<'_> {
    pub fn plan(&mut self, row: &Row) -> Plan {
        match row.does {
            Does::Nothing => Plan::Allow,
            Does::Missing => Plan::Missing,
            Does::Closed(_) | Does::Announces([], _) => Plan::Notify,
            Does::Announces(groups, _) => Plan::NotifyIf(groups.iter().map(|tests| tests.to_vec()).collect()),
            Does::Asks(cases, _) | Does::Renames(cases, _) => {
                let mut groups: Vec<_> = cases.iter().flat_map(|case| self.groups(row.nr, case)).collect();
                if row.name == "mmap" && self.foresee(row.nr, MEMORY, false).may_deny {
                    groups.push(vec![Test {
                        arg: 3,
                        half: Half::Low,
                        mask: ANONYMOUS,
                        value: 0,
                        equal: false,
                    }]);
                }
                plan_of(groups)
            }
        }
    }

    /// The registers for which a question of this case may be answered with no.
    fn groups(&mut self, nr: u32, case: &Case) -> Vec<Vec<Test>> {
        let mut groups = Vec::new();
        for ask in case.asks {
            if self.hook_may_deny(nr, ask) {
                groups.push(case.when.to_vec());
            }
            if !self.may_deny(ask) {
                continue;
            }
            match ask.about {
                PossiblyAbout::CommandIn(event, arg) => {
                    let tests = self.commands(event).into_iter().map(|(mask, value)| {
                        let test = Test { arg, half: Half::Low, mask, value, equal: true };
                        case.when.iter().copied().chain((mask != 0).then_some(test)).collect()
                    });
                    groups.extend(tests);
                }
                _ => groups.push(case.when.to_vec()),
            }
        }
        groups
    }

    /// The commands a rule may deny, as masks and values. Found by halving the 32-bit range until every part
    /// is a single command, or there are too many parts to be worth telling apart.
    fn commands(&mut self, event: Event) -> Vec<(u32, u32)> {
        const MOST: usize = 32;
        let object = ObjectKnown::Mode(Bits { value: 0, unknown: 0xffff });
        let mut mask = 0;
        let mut values = vec![0];
        for bit in (0..u32::BITS).rev().map(|bit| 1 << bit) {
            mask |= bit;
            values = values.into_iter().flat_map(|value| [value, value | bit]).collect();
            values.retain(|&value: &u32| {
                let arg2 = Bits { value: value.into(), unknown: (!mask).into() };
                self.answer(event, arg2, object)
            });
            if values.len() > MOST {
                return vec![(0, 0)];
            }
        }
        values.into_iter().map(|value| (mask, value)).collect()
    }

    /// What may come of the rules tied to the hook of a question.
    pub fn at_hook(&self, nr: u32, ask: &Possible) -> Foreseen {
        const MAY_WRITE: u32 = 2;
        const MAY_READ: u32 = 4;
        let PossiblyAbout::Actions(actions) = ask.about else { return Foreseen::default() };
        match ask.hook {
            "file_open" if self.opens == Opens::AreNot => Foreseen::default(),
            "file_open" => self.foresee(nr, HookCall::FileOpen, true),
            "file_permission" => {
                let mask = if actions.contains(Actions::WRITE) { MAY_WRITE } else { MAY_READ };
                self.foresee(nr, HookCall::FilePermission { mask }, true)
            }
            "mmap_file" => self.foresee(nr, FILE, false),
            _ => Foreseen::default(),
        }
    }

    fn hook_may_deny(&self, nr: u32, ask: &Possible) -> bool {
        self.at_hook(nr, ask).may_deny
    }

    fn foresee(&self, nr: u32, call: HookCall, numbers: bool) -> Foreseen {
        match self.domain {
            Some(domain) => domain.foresee(nr, ARCH, call, numbers),
            None => Foreseen { may_deny: true, on_file: true },
        }
    }

    pub fn may_deny(&mut self, ask: &Possible) -> bool {
        let event = ask.about.event();
        let arguments = match ask.about {
            PossiblyAbout::Actions(actions) => vec![Bits::exactly(actions.bits())],
            PossiblyAbout::CommandIn(..) => vec![Bits { value: 0, unknown: u64::from(u32::MAX) }],
            PossiblyAbout::CommandOf(_, commands) => {
                commands.iter().map(|&c| Bits::exactly(c.into())).collect()
            }
        };
        let any_mode = ObjectKnown::Mode(Bits { value: 0, unknown: 0xffff });
        arguments.into_iter().any(|arg2| {
            let any = self.answer(event, arg2, any_mode);
            let absent = ask.types.absent() && self.answer(event, arg2, ObjectKnown::Absent);
            absent || any && (ask.types.is_any() || self.some_type(ask.types, event, arg2))
        })
    }

    fn some_type(&mut self, types: Types, event: Event, arg2: Bits) -> bool {
        types.modes().any(|format| {
            let mode = Bits { value: format.into(), unknown: 0o7777 };
            self.answer(event, arg2, ObjectKnown::Mode(mode))
        })
    }

    fn answer(&mut self, event: Event, arg2: Bits, object: ObjectKnown) -> bool {
        let Some(domain) = self.domain else { return true };
        if domain.rules_of(event).next().is_none() {
            return false;
        }
        *self.answers.entry((event, arg2, object)).or_insert_with(|| {
            let arch = Bits::exactly(ARCH.into());
            let syscall_nr = Bits { value: 0, unknown: u32::MAX.into() };
            domain.may_deny(&Known { event, arg2, object, arch, syscall_nr })
        })
    }
}
