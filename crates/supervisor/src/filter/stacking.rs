// SPDX-License-Identifier: MIT OR Apache-2.0
//! A filter for more rules than there are yet: it can never be made to notify more later.

use landlock_compiler::domain::Domain;

use super::{Plan, plan, plan_for};
use crate::syscalls::Test;

/// Which rules sandboxes inside a sandbox may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stacking {
    /// Rules that can deny nothing but what the filter notifies for the sandbox's own rules. Costs nothing.
    #[default]
    Covered,
    /// Any. Everything that any rule could deny is notified, from the start, which is slow; and what the supervisor
    /// refuses to decide at all (asynchronous I/O, message queues, file handles …) is refused to everybody.
    Any,
}

/// The plan for the outermost domain of a tree.
pub fn plan_of_tree(domain: &Domain, stacking: Stacking) -> Vec<Plan> {
    match stacking {
        Stacking::Covered => plan(domain),
        Stacking::Any => plan_for(None),
    }
}

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
