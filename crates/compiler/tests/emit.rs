// SPDX-License-Identifier: MIT OR Apache-2.0
//! Golden disassembly: one file per hook, with the program for each saved kernel.
//!
//! The domain makes use of everything: the mode, computed actions, commands, the syscall, and a rule
//! whose answer is known beforehand at most hooks.

use landlock_compiler::asm;
use landlock_compiler::classic::{ClassicInsn, Filter};
use landlock_compiler::domain::{Domain, Layer};
use landlock_compiler::emit::{Attachment, Layout, MapSlot, Report, emit};
use landlock_compiler::hooks::{self, Hook};
use landlock_compiler::insn::Insn;
use landlock_compiler::verify::{Loader, verify, verify_newest};

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

/// Of ABI 2: tied to hooks.
const HOOK_RULES: &str = r#"
.rule only_cookie_five
.abi 2
.event FILE_OPEN
.license "GPL"
    r0 = *(u16 *)(r1 + 4)
    if r0 == 5 goto allow
    r0 = 13
    exit
allow:
    r0 = 0
    exit

.rule no_writing
.abi 2
.event FILE_PERMISSION
.license "GPL"
    r0 = *(u64 *)(r1 + 16)
    r0 &= 2
    exit

.rule no_anonymous_code
.abi 2
.event MMAP_FILE
.license "GPL"
    r2 = *(u64 *)(r1 + 8)
    r0 = 0
    if r2 != 0 goto end
    r0 = *(u64 *)(r1 + 24)
    r0 &= 4
end:
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

/// The rules behind a filter that hands on the low half of the first argument of openat, and behind one that hands on
/// 5 at every system call.
fn domain_of_hooks() -> Domain {
    let insns = [(0x20, 0, 0, 4), (0x15, 0, 6, 0xc000_003e), (0x20, 0, 0, 0), (0x15, 0, 4, 257)];
    let answer = [(0x20, 0, 0, 16), (0x54, 0, 0, 0xffff), (0x44, 0, 0, 0x7_0000), (0x16, 0, 0, 0)];
    let insns = insns.into_iter().chain(answer);
    let mut insns: Vec<_> = insns.map(|(code, jt, jf, k)| ClassicInsn { code, jt, jf, k }).collect();
    insns.insert(7, ClassicInsn { code: 0x05, jt: 0, jf: 0, k: 1 });
    insns.insert(8, ClassicInsn { code: 0x06, jt: 0, jf: 0, k: 0x7fff_0000 });
    let filters = [Filter::new(insns).unwrap_or_else(|error| panic!("{error}")), Filter::always(5)];
    let objects = asm::parse(HOOK_RULES, "rules.s").unwrap_or_else(|errors| panic!("{errors}"));
    let verified = |object| verify_newest(object, &Loader::default()).unwrap_or_else(|e| panic!("{e}"));
    let rules = objects.into_iter().map(|object| Layer::Rule(verified(object)));
    Domain::layered(filters.map(Layer::Filter).into_iter().chain(rules))
}

/// The domain's programs at the hook on each saved kernel, equal ones together.
fn programs_of(domain: &Domain, hook: &'static Hook, attachment: Attachment) -> String {
    let mut golden: Vec<(Vec<&str>, String)> = Vec::new();
    for (series, layouts) in LAYOUTS {
        let layout: Layout = serde_json::from_str(layouts[attachment as usize]).unwrap();
        assert_eq!(layout.attachment, attachment);
        let text = match emit(hook, domain, &layout, Report::Record { domain: 7 }) {
            Ok(Some(program)) => disassembled(&program.insns(|slot| match slot {
                MapSlot::Denials => 100,
                MapSlot::Lost => 101,
                MapSlot::LostHandles => 102,
                MapSlot::Handles(number) => 200 + i32::try_from(number).unwrap(),
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

fn programs(hook: &'static Hook, attachment: Attachment) -> String {
    programs_of(&domain(), hook, attachment)
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

#[test]
fn hooks_that_rules_are_tied_to_have_their_programs() {
    for name in ["file_open", "file_permission", "mmap_file"] {
        let hook = hooks::by_name(name).unwrap();
        for attachment in [Attachment::Lsm, Attachment::ModifyReturn] {
            let text = programs_of(&domain_of_hooks(), hook, attachment);
            if attachment == Attachment::Lsm || name == "mmap_file" {
                snapshot(&format!("{}-abi2", attachment.function(name)), &text);
            }
        }
    }
}

/// All three comparisons, with two maps of two handles.
const COMPARING: &str = r#"
.rule beneath_allowed
.abi 2
.event FILE_OPEN
.license "GPL"
.map allowed fs 2
    r4 = *(u64 *)(r1 + 8)
    r1 = 0
    r2 = map allowed
    r3 = 1
    call cmp_fs_beneath
    exit

.rule known
.abi 2
.event FILE_OPEN
.license "GPL"
.map allowed fs 2
.map sandboxed cgroup 2
    r6 = r1
    r1 = 0
    r2 = map sandboxed
    r3 = 1
    call cmp_cgroup_beneath
    if r0 != 0 goto allow
    r4 = *(u64 *)(r6 + 8)
    r1 = 6
    r2 = map allowed
    r3 = 1
    call cmp_fs_prop
    exit
allow:
    r0 = 0
    exit
"#;

#[test]
fn comparisons_have_their_programs() {
    let objects = asm::parse(COMPARING, "rules.s").unwrap_or_else(|errors| panic!("{errors}"));
    let verified = |object| verify_newest(object, &Loader::default()).unwrap_or_else(|e| panic!("{e}"));
    let rules = objects.into_iter().map(|object| Layer::Rule(verified(object)));
    let domain = Domain::layered([Layer::Filter(Filter::always(5))].into_iter().chain(rules));
    let programs = |hook| programs_of(&domain, hooks::by_name(hook).unwrap(), Attachment::Lsm);
    snapshot("bpf_lsm_file_open-handles", &programs("file_open"));
    // Nobody in the domain mounts: that would change what is beneath what.
    assert!(programs("sb_mount").contains("exit") && programs("sb_umount") == "6.1, 6.12, 7.3\nno program\n");
}
