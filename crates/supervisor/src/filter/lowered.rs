// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is left to notify where mainline Landlock decides about opens (see [`crate::lowered`]).

use landlock_compiler::domain::Domain;

use super::{O_PATH, OPENS_TO_READ, Opens, Plan, Questions, add, plan_of_questions};
use crate::syscalls::{Half, TABLE, Test};

/// open, creat and openat: what the kernel goes on with by itself. Whatever else opens something is notified as ever.
pub const OPENS: [u32; 3] = [2, 85, 257];

/// What changes names, which a layer that handles opens would also refuse: it compares what may be opened before and
/// after. The supervisor, which is not in that layer, does it for the caller; nothing is asked that was not before.
const NAMES: [&str; 7] = ["rename", "renameat", "renameat2", "link", "linkat", "mknod", "mknodat"];

/// The plan for `domain`, but for its rules on `FILE_OPEN` at [`OPENS`].
pub fn plan_lowered(domain: &Domain) -> Vec<Plan> {
    let mut questions = Questions::new(Some(domain), Opens::AreNot);
    let mut plans = plan_of_questions(&mut questions);
    questions.opens = Opens::AreAsked;
    for (row, plan) in TABLE.iter().zip(&mut plans) {
        match row.name {
            "open" => add(plan, vec![neither_reads_nor_writes(1)]),
            "openat" => add(plan, vec![neither_reads_nor_writes(2)]),
            name if NAMES.contains(&name) => *plan = Plan::Notify,
            _ if OPENS.contains(&row.nr) => {}
            _ => match questions.plan(row) {
                Plan::NotifyIf(groups) => add(plan, groups),
                Plan::Notify => *plan = Plan::Notify,
                Plan::Allow | Plan::Missing => {}
            },
        }
    }
    plans
}

/// An open with access mode 3, for ioctls only: mainline Landlock has no right for it.
fn neither_reads_nor_writes(flags: u8) -> Vec<Test> {
    vec![Test { arg: flags, half: Half::Low, mask: OPENS_TO_READ | O_PATH, value: 3, equal: true }]
}

#[cfg(test)]
mod tests {
    use landlock_compiler::classic::Filter;
    use landlock_compiler::domain::Layer;
    use landlock_compiler::{asm, verify};

    use super::*;
    use crate::filter::{covers, plan};
    use crate::syscalls::row;

    fn domain() -> Domain {
        let text = ".rule r\n.event FILE_OPEN\n.abi 2\n.license \"GPL\"\n.map list fs 4\nr6 = r1\nr1 = 0\nr2 = map list\n\
                    r3 = 1\nr4 = *(u64 *)(r6 + 8)\ncall cmp_fs_beneath\nif r0 == 0 goto allow\nr0 = 13\nexit\n\
                    allow:\nr0 = 0\nexit\n";
        let object = asm::parse(text, "r.s").unwrap().remove(0);
        let rule = verify::verify_newest(object, &verify::Loader { cap_sys_admin: false }).unwrap();
        Domain::layered([Layer::Filter(Filter::always(1)), Layer::Rule(rule)])
    }

    fn of(plans: &[Plan], name: &str) -> Plan {
        let at = TABLE.iter().position(|row| row.name == name).unwrap();
        plans[at].clone()
    }

    #[test]
    fn opens_go_on_in_the_kernel_and_nothing_else_that_was_notified() {
        let (domain, names) = (domain(), OPENS.map(|nr| row(nr).unwrap().name));
        assert_eq!(names, ["open", "creat", "openat"]);
        let (before, lowered) = (plan(&domain), plan_lowered(&domain));
        for name in names {
            assert!(!covers(&[of(&lowered, name)], &[of(&before, name)]), "{name}");
        }
        assert_eq!(of(&lowered, "creat"), Plan::Allow);
        assert!(matches!(of(&lowered, "openat"), Plan::NotifyIf(groups) if groups.len() == 1));
        for name in
            ["openat2", "open_by_handle_at", "execve", "execveat", "mq_open", "rename", "linkat", "mknodat"]
        {
            assert_eq!(of(&lowered, name), Plan::Notify, "{name}");
        }
    }

    #[test]
    fn everything_else_that_opens_is_notified_as_before() {
        let domain = domain();
        let lowered = plan_lowered(&domain);
        for row in TABLE.iter().filter(|row| !OPENS.contains(&row.nr)) {
            let mut asked = Questions::new(Some(&domain), Opens::AreAsked);
            let needed = asked.plan(row);
            assert!(covers(&[of(&lowered, row.name)], &[needed]), "{}", row.name);
        }
    }
}
