// SPDX-License-Identifier: MIT OR Apache-2.0
//! A filter for more rules than there are yet: it can never be made to notify more later.

use landlock_compiler::domain::Domain;

use super::{Plan, add, plan, plan_for};
use crate::syscalls::{Half, TABLE, Test};

/// Which rules sandboxes inside a sandbox may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stacking {
    /// Rules that can deny nothing but what the filter notifies for the sandbox's own rules. Costs nothing.
    #[default]
    Covered,
    /// Any. Everything that any rule could deny is notified, from the start, which is slow; and what the supervisor
    /// refuses to decide at all (asynchronous I/O, message queues, file handles …) is refused to everybody.
    Any,
    /// Any, and the tree's own calls of v7, bpf(2) and seccomp(2), are answered: see [`run_v7`](crate::run_v7).
    V7,
}

/// The plan for the outermost domain of a tree.
pub fn plan_of_tree(domain: &Domain, stacking: Stacking) -> Vec<Plan> {
    match stacking {
        Stacking::Covered => plan(domain),
        Stacking::Any => plan_for(None),
        Stacking::V7 => {
            let mut plans = plan_for(None);
            for (row, plan) in TABLE.iter().zip(&mut plans) {
                let command = CALLS_OF_V7.iter().find(|(name, _)| *name == row.name);
                if let Some((_, command)) = command {
                    let test = Test { arg: 0, half: Half::Low, mask: u32::MAX, value: *command, equal: true };
                    add(plan, vec![vec![test]]);
                }
            }
            plans
        }
    }
}

/// The calls of v7, and the number each has in its first argument.
pub(super) const CALLS_OF_V7: [(&str, u32); 2] = [("bpf", PROG_LOAD), ("seccomp", PREPEND_LANDLOCK_RULE)];
/// `BPF_PROG_LOAD`.
pub const PROG_LOAD: u32 = 5;
/// `SECCOMP_PREPEND_LANDLOCK_RULE`; since Linux 4.14 `SECCOMP_GET_ACTION_AVAIL`.
pub const PREPEND_LANDLOCK_RULE: u32 = 2;

/// Whether everything is notified that `needed` wants notified.
pub fn covers(watched: &[Plan], needed: &[Plan]) -> bool {
    let covers = |(watched, needed): (&Plan, &Plan)| match (watched, needed) {
        (Plan::Notify, _) | (_, Plan::Allow) => true,
        // A group with fewer tests passes whenever one with more does.
        (Plan::NotifyIf(watched), Plan::NotifyIf(needed)) => {
            let passes =
                |group: &Vec<Test>| watched.iter().any(|w| w.iter().all(|test| group.contains(test)));
            needed.iter().all(passes)
        }
        (watched, needed) => watched == needed,
    };
    watched.len() == needed.len() && watched.iter().zip(needed).all(covers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscalls::Half;

    fn test(arg: u8, value: u32) -> Test {
        Test { arg, half: Half::Low, mask: u32::MAX, value, equal: true }
    }

    #[test]
    fn a_plan_covers_what_asks_for_less_and_nothing_else() {
        let [first, second] = [test(0, 1), test(1, 2)];
        let on = |groups: &[&[Test]]| Plan::NotifyIf(groups.iter().map(|group| group.to_vec()).collect());
        let covered = |watched: &Plan, needed: &Plan| {
            covers(std::slice::from_ref(watched), std::slice::from_ref(needed))
        };
        for plan in [Plan::Allow, Plan::Missing, Plan::Notify, on(&[&[first]])] {
            assert!(covered(&Plan::Notify, &plan) && covered(&plan, &Plan::Allow) && covered(&plan, &plan));
            assert_eq!(covered(&Plan::Allow, &plan), plan == Plan::Allow);
        }
        assert!(covered(&on(&[&[first]]), &on(&[&[first, second]])));
        assert!(covered(&on(&[&[second], &[first]]), &on(&[&[first], &[second]])));
        assert!(!covered(&on(&[&[first, second]]), &on(&[&[first]])));
        assert!(!covered(&on(&[&[first]]), &on(&[&[first], &[second]])));
        assert!(!covered(&on(&[&[first]]), &Plan::Notify));
        assert!(!covers(&[], &[Plan::Allow]));
    }
}
