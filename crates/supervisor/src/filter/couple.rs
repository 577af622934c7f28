// SPDX-License-Identifier: MIT OR Apache-2.0
//! What has to be notified because something else is: it could change what a verdict was about.

use landlock_compiler::abi::Actions;

use super::questions::Questions;
use super::{O_PATH, OPENS_TO_READ, Plan, add, object_matters};
use crate::syscalls::{Carry, Case, Does, Half, PossiblyAbout, Row, TABLE, Test};

/// A name that is judged here must not be swapped by a syscall that is not: see [`Does::Renames`].
pub(super) fn names(plans: &mut [Plan]) {
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
pub(super) fn descriptors(plans: &mut [Plan], questions: &mut Questions<'_>) {
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

/// mprotect is decided quickly as long as nobody has mapped a file shared, so that is made visible.
pub(super) fn mappings(plans: &mut [Plan]) {
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
