// SPDX-License-Identifier: MIT OR Apache-2.0
//! Syscalls that cannot be decided here without a race or a privilege, and so are refused where a rule
//! might have refused them. Rare ones, each with its reason.

use landlock_compiler::abi::Actions;

use crate::judge::{Ask, Judge, actions};
use crate::request::{Answer, Request};

fn refuse(request: &Request<'_>, hook: &'static str, wanted: Actions, reason: &'static str) -> Answer {
    request.judge.refuse_because(request, actions(hook, wanted), reason)
}

macro_rules! closed {
    ($($(#[$doc:meta])* $name:ident: $hook:literal, $actions:ident, $reason:literal;)+) => {
        $($(#[$doc])* pub fn $name(request: &Request<'_>) -> Answer {
            refuse(request, $hook, Actions::$actions, $reason)
        })+
    };
}

closed! {
    /// io_setup, io_submit.
    asynchronous: "file_permission", READ, "asynchronous I/O reads its requests after any check";
    /// open_by_handle_at.
    by_handle: "file_open", GET, "opening by file handle is not supported under a rule that can deny an open";
    /// ustat.
    by_device: "sb_statfs", READ, "a device number does not name an object that could be judged";
    /// remap_file_pages, uselib.
    remap: "mmap_file", READ, "an obsolete way to map a file";
    /// personality with READ_IMPLIES_EXEC.
    personality: "mmap_file", EXEC, "READ_IMPLIES_EXEC would make every later mapping executable";
    /// fanotify_mark.
    fanotify: "inode_permission", READ, "fanotify is not supported under a rule that can deny reading";
    /// fanotify_init.
    events: "file_open", GET, "events of fanotify come with open files, which the kernel opens itself";
    /// swapon, swapoff.
    swap: "file_open", GET, "swap files are opened by the kernel itself";
    /// acct.
    accounting: "file_open", GET, "the accounting file is opened by the kernel itself";
    /// quotactl.
    quota: "inode_permission", EXEC, "the kernel walks to the device itself";
    /// mq_open, mq_unlink.
    message_queue: "inode_permission", WRITE, "message queues are not supported under a rule that can deny an open";
    /// bpf(BPF_OBJ_PIN), bpf(BPF_OBJ_GET).
    bpf: "inode_permission", WRITE, "pinned BPF objects are opened by the kernel itself";
}

/// Whether a persona would make mappings executable that a rule of the domain might deny to execute.
pub fn makes_readable_executable(judge: &Judge, persona: u32) -> bool {
    const READ_IMPLIES_EXEC: u32 = 0x0040_0000;
    const READ_EXEC: Actions = Actions::READ.union(Actions::EXEC);
    const MAPPINGS: [Ask; 3] = [
        actions("mmap_file", READ_EXEC),
        actions("mmap_file", Actions::EXEC),
        actions("file_mprotect", READ_EXEC),
    ];
    persona & READ_IMPLIES_EXEC != 0 && MAPPINGS.iter().any(|ask| judge.may_deny(*ask, None))
}
