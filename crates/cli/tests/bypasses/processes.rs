// SPDX-License-Identifier: MIT OR Apache-2.0
//! Other processes, and being somebody else.

use crate::attack::{Attack, attacks};
use crate::playground::{GET, Rule, SECRET, WHOLE};

fn attack(name: &'static str) -> Attack {
    Attack::of(include_str!("processes.py"), name)
}

fn secret() -> Rule {
    Rule::on("secret", GET, WHOLE, SECRET)
}

attacks! {
    user_namespace: attack("in_namespace"), secret(), "inode_permission";
    user_namespace_as_nobody: attack("in_namespace").by_nobody(), secret(), "inode_permission";
    mount_namespace: attack("in_mount_namespace"), secret(), "inode_permission";
    other_root: attack("in_other_root"), secret(), "inode_permission";
    out_of_other_root: attack("out_of_other_root"), secret(), "inode_permission";
    as_other_user: attack("as_other_user"), secret(), "inode_permission";
    under_own_filter: attack("under_own_filter"), secret(), "inode_permission";
    under_own_filter_as_nobody: attack("under_own_filter").by_nobody(), secret(), "inode_permission";
    rewritten_by_a_tracer: attack("rewritten"), secret(), "inode_permission";
    rewritten_by_a_tracer_as_nobody: attack("rewritten").by_nobody(), secret(), "inode_permission";
}

#[test]
fn outside_is_out_of_reach() {
    attack("outsider").with_an_accomplice().is_closed("EPERM");
}

#[test]
fn outside_is_out_of_reach_of_nobody() {
    attack("outsider").with_an_accomplice().by_nobody().is_closed("EPERM");
}

#[test]
fn the_waiter_is_out_of_reach() {
    attack("of_the_waiter").is_never_possible("EPERM");
    attack("of_the_waiter").by_nobody().is_never_possible("EPERM");
}

#[test]
fn processes_of_one_sandbox_may_reach_each_other() {
    attack("own_child").works_without_the_rule();
    attack("own_child").by_nobody().works_without_the_rule();
}

/// What the kernel denies somebody without `landlock`, nobody gets from the supervisor.
#[test]
fn identity_is_kept() {
    for (name, result) in [
        ("other_user", "stopped: EACCES"),
        ("other_user_and_back", "reached"),
        ("one_thread_as_another_user", "reached"),
        ("without_capabilities", "stopped: EACCES"),
        ("bounding_set", "stopped: EACCES"),
        ("no_root", "stopped: EACCES"),
        ("own_namespace", "stopped: EACCES"),
        ("own_namespace_by_clone", "stopped: EACCES"),
    ] {
        attack(name).is_the_same_plain_and_confined(result);
    }
}

#[test]
fn orphans_stay_confined() {
    attack("orphaned").result_is_left_in("orphan").is_denied(secret(), "inode_permission");
}
