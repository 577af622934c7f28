// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ways that only the kernel target leaves open, and decides. Run by `cargo xtask guest-test`, like every other
//! test here but those of `supervisor`.

use crate::attack::Attack;
use crate::playground::{EXEC, GET, PROGRAM, READ, Rule, SECRET, User, VAULT, WHOLE, WRITE};

fn attack(name: &'static str) -> Attack {
    Attack::of(include_str!("kernel.py"), name)
}

fn descriptors(name: &'static str) -> Attack {
    Attack::of(include_str!("descriptors.py"), name)
}

fn secret(actions: u32) -> Rule {
    Rule::on("secret", actions, WHOLE, SECRET)
}

fn vault(actions: u32) -> Rule {
    Rule::on("vault", actions, WHOLE, VAULT)
}

macro_rules! attacks {
    ($($name:ident: $attack:expr, $rule:expr, $hook:literal;)+) => {
        $(#[test]
        #[ignore = "needs the kernel target: cargo xtask guest-test"]
        fn $name() {
            $attack.is_denied($rule, $hook);
        })+
    };
}

attacks! {
    by_handle: Attack::of(include_str!("names.py"), "by_handle"), secret(GET), "inode_permission";
    read_implies_exec: descriptors("implied"), Rule::on("program", EXEC, WHOLE, PROGRAM), "mmap_file";
    asynchronous: descriptors("asynchronous").holding("secret"), secret(READ), "file_permission";
    int80: descriptors("int80"), secret(GET), "inode_permission";
    uring_opens: attack("uring_opens"), secret(GET), "inode_permission";
    uring_opens_by_nobody: attack("uring_opens").by_nobody(), secret(GET), "inode_permission";
    uring_reads: attack("uring_reads").holding("secret"), secret(READ), "file_permission";
    uring_writes: attack("uring_writes").holding("secret"), secret(WRITE), "file_permission";
    uring_names: attack("uring_names"), vault(WRITE), "inode_permission";
    uring_connects: attack("uring_connects").with_an_accomplice(), Rule::on("sockets", WRITE, WHOLE, 0o141_777), "inode_permission";
    uring_commands: attack("uring_commands"), Rule::on_command("discard", "FS_IOCTL", 0x1277), "uring_cmd";
    mounted: attack("mounted"), secret(GET), "inode_permission";
    mounted_over: attack("mounted_over"), vault(WRITE), "sb_mount";
    moved_over: attack("moved_over"), vault(WRITE), "move_mount";
    set_user_id_programs: attack("set_user_id").by_nobody(), secret(GET), "inode_permission";
    left_a_mount: attack("left_a_mount"), secret(GET), "inode_permission";
}

/// Numbers that lead nowhere lead nowhere here either.
#[test]
#[ignore = "needs the kernel target: cargo xtask guest-test"]
fn no_other_doors() {
    for name in ["x32", "unknown"] {
        descriptors(name).is_the_same_plain_and_confined("stopped: ENOSYS");
    }
}

/// Whoever started the command and reads its denials is outside.
#[test]
#[ignore = "needs the kernel target: cargo xtask guest-test"]
fn the_waiter_is_out_of_reach() {
    for user in [User::Ours, User::Nobody] {
        Attack::of(include_str!("processes.py"), "of_the_waiter").of_user(user).is_never_possible("EPERM");
    }
}

#[test]
#[ignore = "needs the kernel target: cargo xtask guest-test"]
fn killing_the_waiter_opens_nothing() {
    for user in [User::Ours, User::Nobody] {
        let attack = Attack::of(include_str!("processes.py"), "survived").of_user(user);
        let outcome = attack.carry_out_and_kill(&secret(GET), 1);
        assert!(!outcome.stdout.contains("reached"), "{outcome:#?}");
    }
}
