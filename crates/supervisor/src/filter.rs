// SPDX-License-Identifier: MIT OR Apache-2.0
//! From rules to a seccomp filter: which syscalls must be asked about, by number and register arguments.
//!
//! A syscall is left to the kernel only if every question it can ask, given what the filter sees, is
//! always answered with yes. Anything else is notified, so that a denial has the errno order of the
//! kernel and a line in the log. Other architectures and x32 are notified (and refused); numbers the table does not know are
//! reported as not implemented.

mod layered;
mod lowered;
mod stacking;

use std::collections::HashMap;

use landlock_compiler::abi::{Actions, Event, helper};
use landlock_compiler::domain::{Domain, Foreseen};
use landlock_compiler::op::{Callee, Op};
use landlock_compiler::specialise::{Bits, Known, ObjectKnown};

use landlock_compiler::evaluate::HookCall;

use crate::syscalls::{Carry, Case, Does, Half, LOOKUP, Possible, PossiblyAbout, Row, TABLE, Test, Types};

pub use layered::{Filters, Installed, contend, installed};
pub use lowered::{OPENS, plan_lowered};
pub use stacking::{PREPEND_LANDLOCK_RULE, PROG_LOAD, Stacking, covers, plan_of_tree};

pub const ARCH: u32 = landlock_compiler::abi::AUDIT_ARCH_X86_64;
const X32_BIT: u32 = 0x4000_0000;
const OPENS_TO_READ: u32 = 0o3;
const O_PATH: u32 = 0o10_000_000;

const ANONYMOUS: u32 = 0x20;
const FILE: HookCall = HookCall::MmapFile { anonymous: false, reqprot: 0, prot: 0, flags: 0 };
const MEMORY: HookCall = HookCall::MmapFile { anonymous: true, reqprot: 0, prot: 0, flags: 0 };

/// What the filter does with a syscall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The kernel runs it.
    Allow,
    /// It is notified.
    Notify,
    /// It is notified if all tests of one group pass.
    NotifyIf(Vec<Vec<Test>>),
    /// It fails with ENOSYS.
    Missing,
}

impl PartialEq for Test {
    fn eq(&self, other: &Test) -> bool {
        let key = |test: &Test| (test.arg, test.half, test.mask, test.value, test.equal);
        key(self) == key(other)
    }
}

impl Eq for Test {}

/// The plan for every row of the table, in the table's order: what the rules of `domain` need.
pub fn plan(domain: &Domain) -> Vec<Plan> {
    plan_for(Some(domain))
}

/// `None`: for whatever rules may come.
fn plan_for(domain: Option<&Domain>) -> Vec<Plan> {
    plan_of_questions(&mut Questions { domain, opens: Opens::AreAsked, answers: HashMap::new() })
}

fn plan_of_questions(questions: &mut Questions<'_>) -> Vec<Plan> {
    let mut plans: Vec<Plan> = TABLE.iter().map(|row| questions.plan(row)).collect();
    couple_names(&mut plans);
    couple_descriptors(&mut plans, questions);
    couple_mappings(&mut plans);
    plans
}

struct Questions<'a> {
    /// The rules; `None`: any, so that every question may be answered with no.
    domain: Option<&'a Domain>,
    opens: Opens,
    answers: HashMap<(Event, Bits, ObjectKnown), bool>,
}

/// Whether the rules tied to `FILE_OPEN` are asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opens {
    AreAsked,
    AreNot,
}

/// The event of the rules tied to a hook, if rules can be.
pub fn hook_event(hook: &str) -> Option<Event> {
    match hook {
        "file_open" => Some(Event::FileOpen),
        "file_permission" => Some(Event::FilePermission),
        "mmap_file" => Some(Event::MmapFile),
        _ => None,
    }
}

/// Whether a rule of the event may ever be asked: it has an older filter.
pub fn is_heard(domain: &Domain, event: Event) -> bool {
    domain.filters().next().is_some() && domain.rules_of(event).next().is_some()
}

impl Questions<'_> {
    fn plan(&mut self, row: &Row) -> Plan {
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
    fn at_hook(&self, nr: u32, ask: &Possible) -> Foreseen {
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

    fn may_deny(&mut self, ask: &Possible) -> bool {
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

fn plan_of(mut groups: Vec<Vec<Test>>) -> Plan {
    groups.dedup();
    if groups.iter().any(Vec::is_empty) {
        Plan::Notify
    } else if groups.is_empty() {
        Plan::Allow
    } else {
        Plan::NotifyIf(groups)
    }
}

fn add(plan: &mut Plan, mut more: Vec<Vec<Test>>) {
    let mut groups = match std::mem::replace(plan, Plan::Allow) {
        Plan::Allow => Vec::new(),
        Plan::NotifyIf(groups) => groups,
        other => {
            *plan = other;
            return;
        }
    };
    more.retain(|group| !groups.contains(group));
    groups.append(&mut more);
    *plan = plan_of(groups);
}

/// A name that is judged here must not be swapped by a syscall that is not: see [`Does::Renames`].
fn couple_names(plans: &mut [Plan]) {
    let changes = |case: &&Case| {
        let names = Actions::NEW | Actions::REMOVE;
        case.asks.iter().any(|ask| matches!(ask.about, PossiblyAbout::Actions(a) if a.intersects(names)))
    };
    let groups = |row: &Row| match row.does {
        Does::Renames(cases, _) => cases.iter().filter(changes).map(|case| case.when.to_vec()).collect(),
        _ => Vec::new(),
    };
    let decided = TABLE.iter().zip(plans.iter()).any(|(row, plan)| match plan {
        Plan::Notify => !groups(row).is_empty(),
        Plan::NotifyIf(tests) => groups(row).iter().any(|group| tests.contains(group)),
        _ => false,
    });
    if decided {
        for (row, plan) in TABLE.iter().zip(plans) {
            add(plan, groups(row));
        }
    }
}

/// Where the kernel acts on a descriptor after our verdict, no file that the verdict would not hold for may get
/// into the table of descriptors unseen: then everything that could bring one is notified.
fn couple_descriptors(plans: &mut [Plan], questions: &mut Questions<'_>) {
    let mut reading = false;
    let mut writing = false;
    for row in TABLE {
        let Does::Asks(cases, Carry::On(_)) = row.does else { continue };
        // These name a path, or give nothing by themselves.
        let not_of_a_descriptor = matches!(row.name, "execve" | "execveat" | "chdir" | "fchdir" | "shmat");
        for ask in cases.iter().flat_map(|case| case.asks).filter(|_| !not_of_a_descriptor) {
            if ask.hook == "file_open" {
                // About what an ioctl opens.
                continue;
            }
            let of_event = questions.domain.is_none_or(|domain| object_matters(domain, ask.about.event()));
            let of_hook = questions.at_hook(row.nr, ask);
            if !(of_event && questions.may_deny(ask) || of_hook.may_deny && of_hook.on_file) {
                continue;
            }
            // Files are written, and mapped to be written, only through a descriptor opened for writing.
            let writes = matches!(ask.about, PossiblyAbout::Actions(a) if a.contains(Actions::WRITE));
            if writes { writing = true } else { reading = true }
        }
    }
    let test = |arg, mask, value, equal| Test { arg, half: Half::Low, mask, value, equal };
    for (row, plan) in TABLE.iter().zip(plans) {
        let flags = match row.name {
            "open" => 1,
            "openat" => 2,
            "openat2" | "creat" | "open_by_handle_at" | "mq_open" | "recvmsg" | "recvmmsg"
            | "pidfd_getfd"
                if reading || writing =>
            {
                *plan = Plan::Notify;
                continue;
            }
            _ => continue,
        };
        if reading {
            add(plan, vec![vec![test(flags, O_PATH, 0, true)]]);
        } else if writing {
            add(plan, vec![vec![test(flags, O_PATH, 0, true), test(flags, OPENS_TO_READ, 0, false)]]);
        }
    }
}

/// Whether a rule of `event` looks at the object, so that the verdict can depend on it.
pub fn object_matters(domain: &Domain, event: Event) -> bool {
    const LOOKS: [i32; 3] = [helper::HANDLE_FS_GET_MODE, helper::CMP_FS_PROP, helper::CMP_FS_BENEATH];
    let looks = |op: &Op| matches!(op, Op::Call(Callee::Helper(number)) if LOOKS.contains(number));
    domain.rules_of(event).any(|(_, rule)| rule.ops().iter().flatten().any(looks))
}

/// mprotect is decided quickly as long as nobody has mapped a file shared, so that is made visible.
fn couple_mappings(plans: &mut [Plan]) {
    let plan_of_row = |name: &str| TABLE.iter().position(|row| row.name == name);
    let (Some(mprotect), Some(mmap), Some(shmat)) =
        (plan_of_row("mprotect"), plan_of_row("mmap"), plan_of_row("shmat"))
    else {
        return;
    };
    if plans[mprotect] != Plan::Allow {
        let test = |mask, value, equal| Test { arg: 3, half: Half::Low, mask, value, equal };
        add(&mut plans[mmap], vec![vec![test(0x20, 0, true), test(0xf, 2, false)]]);
        plans[shmat] = Plan::Notify;
    }
}

/// Whether a rule can deny walking through a directory or following a link.
pub fn walks_matter(domain: &Domain) -> bool {
    let mut questions = Questions { domain: Some(domain), opens: Opens::AreAsked, answers: HashMap::new() };
    LOOKUP.iter().flat_map(|case| case.asks).any(|ask| questions.may_deny(ask))
}

/// The filter that follows the plan, as the kernel takes it.
pub fn compose(plans: Vec<Plan>) -> Vec<libc::sock_filter> {
    let mut segments: Vec<(u32, Plan)> = vec![];
    let mut next = 0;
    for (row, plan) in TABLE.iter().zip(plans) {
        if row.nr != next {
            push(&mut segments, next, Plan::Missing);
        }
        push(&mut segments, row.nr, plan);
        next = row.nr + 1;
    }
    push(&mut segments, next, Plan::Missing);
    push(&mut segments, X32_BIT, Plan::Notify);

    let mut filter =
        vec![load(4), jump(libc::BPF_JEQ, ARCH, 1, 0), ret(libc::SECCOMP_RET_USER_NOTIF), load(0)];
    filter.extend(search(&segments));
    filter
}

/// A filter that notifies nothing but openat.
pub fn only_openat() -> Vec<libc::sock_filter> {
    const OPENAT: u32 = 257;
    let [notify, allow] = [libc::SECCOMP_RET_USER_NOTIF, libc::SECCOMP_RET_ALLOW].map(ret);
    vec![load(0), jump(libc::BPF_JEQ, OPENAT, 0, 1), notify, allow]
}

/// A filter that notifies nothing but what may be v7's own calls.
pub fn only_v7() -> Vec<libc::sock_filter> {
    const FIRST: u32 = 16;
    let [notify, allow] = [libc::SECCOMP_RET_USER_NOTIF, libc::SECCOMP_RET_ALLOW].map(ret);
    let mut filter = vec![load(4), jump(libc::BPF_JEQ, ARCH, 1, 0), allow];
    for (name, command) in stacking::CALLS_OF_V7 {
        let nr = TABLE.iter().find(|row| row.name == name).map_or(u32::MAX, |row| row.nr);
        filter.extend([load(0), jump(libc::BPF_JEQ, nr, 0, 3), load(FIRST)]);
        filter.extend([jump(libc::BPF_JEQ, command, 0, 1), notify]);
    }
    filter.push(allow);
    filter
}

fn push(segments: &mut Vec<(u32, Plan)>, nr: u32, plan: Plan) {
    if segments.last().is_none_or(|(_, last)| *last != plan || matches!(plan, Plan::NotifyIf(_))) {
        segments.push((nr, plan));
    }
}

/// A binary search for the segment the number in the accumulator belongs to, then that segment's plan.
fn search(segments: &[(u32, Plan)]) -> Vec<libc::sock_filter> {
    let (left, right) = segments.split_at(segments.len() / 2);
    let (Some(_), Some((start, _))) = (left.first(), right.first()) else {
        return segments
            .first()
            .map_or_else(|| vec![ret(libc::SECCOMP_RET_USER_NOTIF)], |(_, plan)| leaf(plan));
    };
    let left = search(left);
    let far = u32::try_from(left.len()).unwrap_or(u32::MAX);
    let mut code = vec![jump(libc::BPF_JGE, *start, 0, 1), statement(libc::BPF_JMP | libc::BPF_JA, far)];
    code.extend(left);
    code.extend(search(right));
    code
}

fn leaf(plan: &Plan) -> Vec<libc::sock_filter> {
    match plan {
        Plan::Allow => vec![ret(libc::SECCOMP_RET_ALLOW)],
        Plan::Notify => vec![ret(libc::SECCOMP_RET_USER_NOTIF)],
        Plan::Missing => vec![ret(libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned())],
        Plan::NotifyIf(groups) => {
            let mut code: Vec<_> = groups.iter().flat_map(|tests| group(tests)).collect();
            code.push(ret(libc::SECCOMP_RET_ALLOW));
            code
        }
    }
}

/// Notifies if every test passes, else falls through behind the group.
fn group(tests: &[Test]) -> Vec<libc::sock_filter> {
    const ARGS: u32 = 16;
    const LEN: usize = 3;
    let mut code = Vec::with_capacity(tests.len() * LEN + 1);
    for (index, test) in tests.iter().enumerate() {
        // Behind this test: the remaining ones and the return.
        let skip = u8::try_from((tests.len() - index - 1) * LEN + 1).unwrap_or(u8::MAX);
        let half = if test.half == Half::High { 4 } else { 0 };
        code.push(load(ARGS + 8 * u32::from(test.arg) + half));
        code.push(statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, test.mask));
        let (equal, differs) = if test.equal { (0, skip) } else { (skip, 0) };
        code.push(jump(libc::BPF_JEQ, test.value, equal, differs));
    }
    code.push(ret(libc::SECCOMP_RET_USER_NOTIF));
    code
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    jump_raw(code, k, 0, 0)
}

fn load(offset: u32) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn ret(k: u32) -> libc::sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, k)
}

fn jump(compare: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    jump_raw(libc::BPF_JMP | compare | libc::BPF_K, k, jt, jf)
}

fn jump_raw(code: u32, k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt, jf, k }
}

#[cfg(test)]
mod tests;
