// SPDX-License-Identifier: MIT OR Apache-2.0
//! landlock-rule(5) lists the events, actions, fields and helpers there are, with their numbers.

use std::collections::BTreeMap;

use landlock_compiler::abi::{Actions, Event, MAX_INSNS, STACK_SIZE, context, helper};

const PAGE: &str = include_str!("../../../man/landlock-rule.5");

/// What a section lists: entries of the form `.BR NAME " (NUMBER)"`, in whatever brackets.
fn listed(section: &str) -> BTreeMap<String, String> {
    let text = PAGE.split(".SH ").find(|part| part.starts_with(section)).expect("the section");
    let entries = text.lines().filter_map(|line| line.strip_prefix(".BR ")?.split_once(" \" "));
    let number = |text: &str| text.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned();
    entries
        .filter(|(_, number)| number.starts_with(['(', '[', '{']))
        .map(|(name, text)| (name.to_owned(), number(text)))
        .collect()
}

fn table<'a, N: std::fmt::Display>(
    entries: impl IntoIterator<Item = (&'a str, N)>,
) -> BTreeMap<String, String> {
    entries.into_iter().map(|(name, number)| (name.to_owned(), number.to_string())).collect()
}

#[test]
fn events_actions_and_fields_are_all_there() {
    assert_eq!(listed("EVENTS"), table(Event::ALL.map(|event| (event.name(), event as u32))));
    let actions = Actions::all().iter_names().map(|(name, bit)| (name, format!("0x{:x}", bit.bits())));
    assert_eq!(listed("ACTIONS"), table(actions));
    let fields = [
        ("status", context::STATUS),
        ("event", context::EVENT),
        ("arg1", context::ARG1),
        ("arg2", context::ARG2),
        ("arch", context::ARCH),
        ("syscall_nr", context::SYSCALL_NR),
    ];
    assert_eq!(fields.len(), usize::try_from(context::SIZE).unwrap() / 8);
    assert_eq!(listed("CONTEXT"), table(fields));
}

#[test]
fn helpers_are_all_there() {
    let helpers = [
        ("bpf_handle_fs_get_mode", helper::HANDLE_FS_GET_MODE),
        ("bpf_trace_printk", helper::TRACE_PRINTK),
        ("bpf_get_current_pid_tgid", helper::GET_CURRENT_PID_TGID),
        ("bpf_get_current_uid_gid", helper::GET_CURRENT_UID_GID),
        ("bpf_get_current_comm", helper::GET_CURRENT_COMM),
        ("bpf_landlock_cmp_fs_prop", helper::CMP_FS_PROP),
        ("bpf_landlock_cmp_fs_beneath", helper::CMP_FS_BENEATH),
        ("bpf_landlock_cmp_cgroup_beneath", helper::CMP_CGROUP_BENEATH),
    ];
    assert_eq!(listed("HELPERS"), table(helpers));
    // None is left out: the header declares each that there is.
    let header = include_str!("../../../include/landlock/rule.h");
    let declared =
        header.lines().filter(|line| line.contains("(*bpf_") || line.contains("(*const bpf_")).count();
    assert_eq!(declared, helpers.len(), "functions the header declares");
}

#[test]
fn limits_are_the_verifier_s() {
    let limits = format!("At most {MAX_INSNS} instructions and {STACK_SIZE} bytes of stack");
    assert!(PAGE.contains(&limits), "{limits}");
}
