// SPDX-License-Identifier: MIT OR Apache-2.0
//! Golden disassembly: one file per hook, with the program for each saved kernel.
//!
//! The domain makes use of everything: the mode, computed actions, commands, the syscall, and a rule
//! whose answer is known beforehand at most hooks.

use landlock_compiler::asm;
use landlock_compiler::domain::Domain;
use landlock_compiler::emit::{Attachment, Layout, MapSlot, Report, emit};
use landlock_compiler::hooks::{self, Hook};
use landlock_compiler::insn::Insn;
use landlock_compiler::verify::{Loader, verify};

const RULES: &str = r#"
.rule no_new_names
.event FS
.license "GPL"
    r2 = *(u64 *)(r1 + 24)
    r0 = 0
    r2 &= 0x28
    if r2 == 0 goto allow
    r0 = 1
allow:
    exit

.rule devices_only
.event FS
.license "GPL"
    r1 = *(u64 *)(r1 + 16)
    call handle_fs_get_mode
    r0 &= 0xf000
    if r0 == 0x2000 goto device
    r0 = 1
    exit
device:
    r0 = 0
    exit

.rule not_from_32_bits
.event FS
.license "GPL"
    r2 = *(u64 *)(r1 + 32)
    r3 = 0x40000003 ll
    r0 = 1
    if r2 == r3 goto deny
    r0 = 0
deny:
    exit

.rule no_tiocsti
.event FS_IOCTL
.license "GPL"
    r2 = *(u64 *)(r1 + 24)
    r0 = 1
    if r2 == 0x5412 goto deny
    r0 = 0
deny:
    exit

.rule no_setlk
.event FS_FCNTL
.license "GPL"
    r2 = *(u64 *)(r1 + 24)
    r0 = 0
    if r2 != 6 goto allow
    r0 = 1
allow:
    exit

.rule no_write_lock
.event FS_LOCK
.license "GPL"
    r0 = *(u32 *)(r1 + 24)
    w0 &= 1
    exit
"#;

/// Of each saved kernel, for programs at `bpf_lsm_*` and at `security_*`.
const LAYOUTS: [(&str, [&str; 2]); 3] = [
    ("6.1", [include_str!("../layouts/6.1.json"), include_str!("../layouts/6.1-modify-return.json")]),
    ("6.12", [include_str!("../layouts/6.12.json"), include_str!("../layouts/6.12-modify-return.json")]),
    ("7.3", [include_str!("../layouts/7.3.json"), include_str!("../layouts/7.3-modify-return.json")]),
];

/// Hooks whose `security_*` function takes other arguments, and one of the many that skip private inodes.
const WRAPPED: [&str; 4] = ["inode_rename", "inode_setattr", "inode_follow_link", "mmap_file"];

fn domain() -> Domain {
    let loader = Loader { cap_sys_admin: true };
    let rules = asm::parse(RULES, "rules.s").unwrap_or_else(|errors| panic!("{errors}"));
    Domain::prepended(rules.into_iter().map(|rule| verify(rule, &loader).unwrap_or_else(|e| panic!("{e}"))))
}

fn disassembled(insns: &[Insn]) -> String {
    asm::listing(insns).map(|(_, line)| line + "\n").collect()
}

/// The hook's program on each saved kernel, equal ones together.
fn programs(hook: &'static Hook, attachment: Attachment) -> String {
    let domain = domain();
    let mut golden: Vec<(Vec<&str>, String)> = Vec::new();
    for (series, layouts) in LAYOUTS {
        let layout: Layout = serde_json::from_str(layouts[attachment as usize]).unwrap();
        assert_eq!(layout.attachment, attachment);
        let text = match emit(hook, &domain, &layout, Report::Record { domain: 7 }) {
            Ok(Some(program)) => disassembled(&program.insns(|slot| match slot {
                MapSlot::Denials => 100,
                MapSlot::Lost => 101,
            })),
            Ok(None) => "no program\n".to_owned(),
            Err(error) => format!("{error}\n"),
        };
        match golden.iter_mut().find(|(_, known)| *known == text) {
            Some((known, _)) => known.push(series),
            None => golden.push((vec![series], text)),
        }
    }
    let sections: Vec<String> =
        golden.iter().map(|(series, text)| format!("{}\n{text}", series.join(", "))).collect();
    sections.join("\n")
}

fn snapshot(name: &str, text: &str) {
    insta::with_settings!({snapshot_path => "snapshots/emit", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn every_hook_has_its_program() {
    for hook in hooks::TABLE {
        snapshot(hook.name, &programs(hook, Attachment::Lsm));
    }
}

#[test]
fn programs_in_the_place_of_a_function_do_its_work() {
    for hook in hooks::TABLE {
        let text = programs(hook, Attachment::ModifyReturn);
        let passes_on = !hook.name.starts_with("inode_") && hook.name != "mmap_file"
            || hook.name.starts_with("inode_file_");
        assert_eq!(text == programs(hook, Attachment::Lsm), passes_on, "{}", hook.name);
        if WRAPPED.contains(&hook.name) {
            snapshot(&Attachment::ModifyReturn.function(hook.name), &text);
        }
    }
}
