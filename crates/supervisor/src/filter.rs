// SPDX-License-Identifier: MIT OR Apache-2.0
//! From rules to a seccomp filter: which syscalls must be asked about, by number and register arguments.
//!
//! A syscall is left to the kernel only if every question it can ask, given what the filter sees, is
//! always answered with yes. Anything else is notified, so that a denial has the errno order of the
//! kernel and a line in the log. Other architectures and x32 are notified (and refused); numbers the table does not know are
//! reported as not implemented.

mod compose;
mod couple;
mod layered;
mod lowered;
mod questions;
mod stacking;

use landlock_compiler::abi::{Event, helper};
use landlock_compiler::domain::Domain;
use landlock_compiler::op::{Callee, Op};

use crate::syscalls::{LOOKUP, TABLE, Test};

pub use compose::{compose, only_openat, only_v7};
pub use layered::{Filters, Installed, contend, installed};
pub use lowered::{OPENS, plan_lowered};
use questions::{Opens, Questions};
pub use stacking::{PREPEND_LANDLOCK_RULE, PROG_LOAD, Stacking, covers, plan_of_tree};

pub const ARCH: u32 = landlock_compiler::abi::AUDIT_ARCH_X86_64;
const OPENS_TO_READ: u32 = 0o3;
const O_PATH: u32 = 0o10_000_000;

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
    plan_of_questions(&mut Questions::new(domain, Opens::AreAsked))
}

fn plan_of_questions(questions: &mut Questions<'_>) -> Vec<Plan> {
    let mut plans: Vec<Plan> = TABLE.iter().map(|row| questions.plan(row)).collect();
    couple::names(&mut plans);
    couple::descriptors(&mut plans, questions);
    couple::mappings(&mut plans);
    plans
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

/// Whether a rule of `event` looks at the object, so that the verdict can depend on it.
pub fn object_matters(domain: &Domain, event: Event) -> bool {
    const LOOKS: [i32; 3] = [helper::HANDLE_FS_GET_MODE, helper::CMP_FS_PROP, helper::CMP_FS_BENEATH];
    let looks = |op: &Op| matches!(op, Op::Call(Callee::Helper(number)) if LOOKS.contains(number));
    domain.rules_of(event).any(|(_, rule)| rule.ops().iter().flatten().any(looks))
}

/// Whether a rule can deny walking through a directory or following a link.
pub fn walks_matter(domain: &Domain) -> bool {
    let mut questions = Questions::new(Some(domain), Opens::AreAsked);
    LOOKUP.iter().flat_map(|case| case.asks).any(|ask| questions.may_deny(ask))
}

#[cfg(test)]
mod tests;
