// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors from before or from elsewhere, programs, terminals, and other doors into the kernel.

use crate::attack::{Attack, attacks};
use crate::playground::{EXEC, FCNTL, GET, LOCK, PROGRAM, READ, Rule, SECRET, WHOLE, WRITE};

fn attack(name: &'static str) -> Attack {
    Attack::of(include_str!("descriptors.py"), name)
}

fn holding(name: &'static str) -> Attack {
    attack(name).holding("secret")
}

fn secret(actions: u32) -> Rule {
    Rule::on("secret", actions, WHOLE, SECRET)
}

fn program() -> Rule {
    Rule::on("program", EXEC, WHOLE, PROGRAM)
}

/// Memory without a name in any directory has every permission bit.
fn anonymous() -> Rule {
    Rule::on("anonymous", EXEC, 0o170_022, 0o100_022)
}

attacks! {
    read: holding("read"), secret(READ), "file_permission";
    read_by_nobody: holding("read").by_nobody(), secret(READ), "file_permission";
    read_by_threads: holding("read_by_threads"), secret(READ), "file_permission";
    write: holding("write"), secret(WRITE), "file_permission";
    write_by_nobody: holding("write").by_nobody(), secret(WRITE), "file_permission";
    lock: holding("lock"), secret(LOCK), "file_lock";
    control: holding("control"), secret(FCNTL), "file_fcntl";
    own_signal: attack("own_signal"), Rule::on_command("owner", "FS_FCNTL", 8), "file_fcntl";
    passed: attack("passed").with_an_accomplice(), secret(GET), "file_receive";
    passed_to_nobody: attack("passed").by_nobody().with_an_accomplice(), secret(GET), "file_receive";
    passed_within: holding("passed_within"), secret(GET), "file_receive";
    peered: attack("peered"), Rule::during("opened", GET, 16), "file_open";
    pushed: attack("pushed"), Rule::on_command("push", "FS_IOCTL", 0x5412), "file_ioctl";
    pasted: attack("pasted"), Rule::on_command("paste", "FS_IOCTL", 0x541c), "file_ioctl";
    inputs: holding("inputs"), Rule::on_command("inputs", "FS_IOCTL", 0x541b), "file_ioctl";
    executed: attack("executed"), program(), "inode_permission";
    executed_by_nobody: attack("executed").by_nobody(), program(), "inode_permission";
    interpreted: attack("interpreted"), program(), "inode_permission";
    anonymous_programs: attack("anonymous"), anonymous(), "mmap_file";
    faulted: attack("faulted"), secret(GET), "inode_permission";
    crowded: attack("crowded"), secret(GET), "inode_permission";
}
