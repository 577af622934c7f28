// SPDX-License-Identifier: MIT OR Apache-2.0
//! Another name for the object, or another object for the name.

use crate::attack::{Attack, attacks};
use crate::playground::{EXEC, GET, NEW, READ, REMOVE, Rule, SECRET, VAULT, WHOLE, WRITE};

fn attack(name: &'static str) -> Attack {
    Attack::of(include_str!("names.py"), name)
}

fn secret(actions: u32) -> Rule {
    Rule::on("secret", actions, WHOLE, SECRET)
}

fn vault(actions: u32) -> Rule {
    Rule::on("vault", actions, WHOLE, VAULT)
}

attacks! {
    hard_link: attack("hard_link"), secret(GET), "inode_permission";
    hard_link_is_refused: attack("hard_link"), secret(READ), "inode_link";
    hard_link_as_nobody: attack("hard_link").by_nobody(), secret(GET), "inode_permission";
    symbolic_links: attack("symbolic_links"), secret(GET), "inode_permission";
    renamed: attack("renamed"), secret(GET), "inode_permission";
    moved_directory: attack("moved_directory"), secret(GET), "inode_permission";
    exchanged_removing: attack("exchanged"), secret(REMOVE), "inode_rename";
    exchanged_creating: attack("exchanged"), secret(NEW), "inode_rename";
    overwritten: attack("overwritten"), secret(NEW), "inode_rename";
    into_vault: attack("into_vault"), vault(WRITE), "inode_permission";
    into_vault_as_nobody: attack("into_vault").by_nobody(), vault(WRITE), "inode_permission";
    created: attack("created"), Rule::always("creation", NEW), "inode_create";
    through_proc: attack("through_proc"), secret(GET), "inode_permission";
    through_proc_as_nobody: attack("through_proc").by_nobody(), secret(GET), "inode_permission";
    reopened: attack("reopened"), secret(GET), "inode_permission";
    reopened_to_read: attack("reopened"), secret(READ | WRITE), "inode_permission";
    inherited_number: attack("inherited_number").holding("secret"), secret(GET), "inode_permission";
    deep: attack("deep"), secret(GET), "inode_permission";
    looked_into: attack("looked_into").holding("vault"), vault(EXEC), "inode_permission";
    looked_into_as_nobody: attack("looked_into").holding("vault").by_nobody(), vault(EXEC), "inode_permission";
    started_inside: attack("started_inside").starting_in("vault"), vault(EXEC), "inode_permission";
    looked_at: attack("looked_at"), secret(READ), "inode_getattr";
    changed: attack("changed"), secret(WRITE), "inode_setattr";
    changed_as_nobody: attack("changed").by_nobody(), secret(WRITE), "inode_setattr";
    listed: attack("listed").holding("vault"), vault(READ), "file_permission";
    block_devices: attack("devices"), Rule::on("disks", GET, 0o170_000, 0o060_000), "inode_permission";
    bound: attack("bound"), vault(WRITE), "inode_permission";
    sockets: attack("sockets").with_an_accomplice(), Rule::on("sockets", WRITE, WHOLE, 0o141_777), "inode_permission";
    removed: attack("removed"), secret(REMOVE), "inode_unlink";
}
