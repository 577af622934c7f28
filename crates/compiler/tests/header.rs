// SPDX-License-Identifier: MIT OR Apache-2.0
//! `<landlock/rule.h>` has v7's names, our numbers, and gets along with the system's headers.

mod common;

use std::fmt::Write;

use common::{clangs, compile_text, run};
use landlock_compiler::abi::handles::{self, ArrayKind, HandleType, Options, Properties};
use landlock_compiler::abi::{self, Abilities, Actions, Event, Subtype, context, helper, hook};
use landlock_compiler::elf::read_elf;

/// One C assertion for each number and layout that `abi` has.
fn assertions() -> String {
    let mut text = String::from("#include <stddef.h>\n");
    let mut equal = |expression: &str, value: u64| {
        writeln!(text, "_Static_assert({expression} == {value}ULL, \"{}\");", expression.replace('"', ""))
            .unwrap();
    };
    for event in Event::ALL {
        equal(&format!("LANDLOCK_SUBTYPE_EVENT_{}", event.name()), event as u64);
    }
    equal("LANDLOCK_SUBTYPE_EVENT_UNSPEC", 0);
    equal("_LANDLOCK_SUBTYPE_EVENT_LAST", *Event::ALL.last().unwrap() as u64);
    for (name, action) in Actions::all().iter_names() {
        equal(&format!("LANDLOCK_ACTION_FS_{name}"), action.bits());
    }
    equal("_LANDLOCK_ACTION_FS_MASK", Actions::all().bits());
    for (name, ability) in Abilities::all().iter_names() {
        equal(&format!("LANDLOCK_SUBTYPE_ABILITY_{name}"), ability.bits());
    }
    equal("_LANDLOCK_SUBTYPE_ABILITY_MASK", Abilities::all().bits());
    equal("_LANDLOCK_SUBTYPE_OPTION_MASK", 0);
    equal("_LANDLOCK_SUBTYPE_STATUS_MASK", 0);
    equal("BPF_PROG_TYPE_LANDLOCK_RULE", abi::PROG_TYPE_LANDLOCK_RULE.into());

    for (field, offset) in [
        ("status", context::STATUS),
        ("event", context::EVENT),
        ("arg1", context::ARG1),
        ("arg2", context::ARG2),
        ("arch", context::ARCH),
        ("syscall_nr", context::SYSCALL_NR),
    ] {
        equal(&format!("offsetof(struct landlock_context, {field})"), u64::try_from(offset).unwrap());
        equal(&format!("sizeof(((struct landlock_context *)0)->{field})"), 8);
    }
    equal("sizeof(struct landlock_context)", u64::try_from(context::SIZE).unwrap());
    for (field, offset, size) in [("abi", 0, 4), ("event", 4, 4), ("ability", 8, 8), ("option", 16, 8)] {
        equal(&format!("offsetof(union bpf_prog_subtype, landlock_rule.{field})"), offset);
        equal(&format!("sizeof(((union bpf_prog_subtype *)0)->landlock_rule.{field})"), size);
    }
    of_hooks(&mut equal);
    of_handles(&mut equal);
    equal("sizeof(union bpf_prog_subtype)", Subtype::SIZE as u64);
    equal("_Alignof(union bpf_prog_subtype)", 8);
    text
}

fn of_hooks(equal: &mut impl FnMut(&str, u64)) {
    for event in Event::HOOKS {
        equal(&format!("BPF_PROG_TYPE_LANDLOCK_{}", event.name()), event as u64);
    }
    for (field, offset, size) in
        [("hook", hook::HOOK, 4), ("cookie", hook::COOKIE, 2), ("args", hook::ARGS, 8 * hook::ARGS_COUNT)]
    {
        equal(&format!("offsetof(struct landlock_data, {field})"), u64::try_from(offset).unwrap());
        equal(&format!("sizeof(((struct landlock_data *)0)->{field})"), size as u64);
    }
    equal("sizeof(struct landlock_data)", u64::try_from(hook::SIZE).unwrap());
    equal("SECCOMP_RET_LANDLOCK", hook::RET_LANDLOCK.into());
    equal("_ERRNO_LAST", hook::ERRNO_LAST.into());
}

fn of_handles(equal: &mut impl FnMut(&str, u64)) {
    for (name, property) in Properties::all().iter_names() {
        equal(&format!("LANDLOCK_FLAG_FS_{name}"), property.bits());
    }
    equal("_LANDLOCK_FLAG_FS_MASK", Properties::all().bits());
    for (name, option) in Options::all().iter_names() {
        equal(&format!("LANDLOCK_FLAG_OPT_{name}"), option.bits());
    }
    equal("_LANDLOCK_FLAG_OPT_MASK", Options::all().bits());
    equal("BPF_MAP_TYPE_LANDLOCK_ARRAY", handles::MAP_TYPE.into());
    equal("BPF_MAP_ARRAY_OP_OR", handles::OP_OR);
    for (name, kind) in [("FS", ArrayKind::Fs), ("CGROUP", ArrayKind::Cgroup)] {
        equal(&format!("BPF_MAP_ARRAY_TYPE_LANDLOCK_{name}"), kind as u64);
    }
    let types = [HandleType::FsFd, HandleType::FsGlob, HandleType::CgroupFd];
    for (name, handle_type) in ["FS_FD", "FS_GLOB", "CGROUP_FD"].into_iter().zip(types) {
        equal(&format!("BPF_MAP_HANDLE_TYPE_LANDLOCK_{name}"), handle_type as u64);
    }
    for (field, offset, size) in [("type", 0, 4), ("fd", 8, 4), ("glob", 8, 8)] {
        equal(&format!("offsetof(struct landlock_handle, {field})"), offset);
        equal(&format!("sizeof(((struct landlock_handle *)0)->{field})"), size);
    }
    equal("sizeof(struct landlock_handle)", handles::VALUE_SIZE.into());
    for (name, number) in [
        ("cmp_fs_prop_with_struct_file", helper::CMP_FS_PROP),
        ("cmp_fs_beneath_with_struct_file", helper::CMP_FS_BENEATH),
        ("cmp_cgroup_beneath", helper::CMP_CGROUP_BENEATH),
    ] {
        equal(&format!("BPF_FUNC_landlock_{name}"), u64::try_from(number).unwrap());
    }
}

/// Compiles with the host's C compiler, every warning being an error.
fn compiles_natively(source: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("host.c");
    std::fs::write(&file, source).unwrap();
    let include = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/../../include");
    let args = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", include, "-fsyntax-only"];
    run("cc", args.into_iter().map(Into::into).chain([file.into()]));
}

#[test]
fn numbers_and_layouts_are_those_of_abi() {
    compiles_natively(&format!("#include <landlock/rule.h>\n{}", assertions()));
    let rule = "LANDLOCK_RULE(r, FS, 0) { return 0; }\n";
    for clang in clangs() {
        compile_text(&clang, &format!("#include <landlock/rule.h>\n{}{rule}", assertions()));
    }
}

#[test]
fn modes_are_those_of_the_system() {
    let header = "#define _GNU_SOURCE\n#include <sys/stat.h>\nenum { ";
    let names = [
        "S_IFMT", "S_IFSOCK", "S_IFLNK", "S_IFREG", "S_IFBLK", "S_IFDIR", "S_IFCHR", "S_IFIFO", "S_ISUID",
        "S_ISGID", "S_ISVTX",
    ];
    let theirs: String = names.iter().map(|name| format!("SYSTEM_{name} = {name}, ")).collect();
    let undefined: String = names.iter().map(|name| format!("#undef {name}\n")).collect();
    let equal: String =
        names.iter().map(|name| format!("_Static_assert({name} == SYSTEM_{name}, \"\");\n")).collect();
    compiles_natively(&format!("{header}{theirs} }};\n{undefined}#include <landlock/rule.h>\n{equal}"));
}

#[test]
fn system_headers_may_come_before_and_after() {
    let system = "#include <linux/types.h>\n#include <linux/bpf.h>\n#include <linux/stat.h>\n#include <linux/landlock.h>\n";
    let ours = "#include <landlock/rule.h>\n";
    let libc = "#include <sys/stat.h>\n#include <fcntl.h>\n#include <errno.h>\n";
    for order in [
        [ours, system, libc],
        [system, ours, libc],
        [libc, system, ours],
        [ours, libc, system],
        [ours, ours, ""],
    ] {
        compiles_natively(&order.concat());
    }
    let rule = "LANDLOCK_RULE(r, FS, 0) { return S_ISCHR(bpf_handle_fs_get_mode((void *)ctx->arg1)); }\n";
    for clang in clangs() {
        for order in [[ours, system, rule], [system, ours, rule]] {
            assert_eq!(read_elf(&compile_text(&clang, &order.concat())).unwrap().len(), 1);
        }
    }
}

#[test]
fn helpers_have_their_numbers() {
    let source = "#include <landlock/rule.h>
        LANDLOCK_RULE(r, FS, LANDLOCK_SUBTYPE_ABILITY_DEBUG) {
            char text[16] = \"\";
            bpf_handle_fs_get_mode((void *)ctx->arg1);
            bpf_trace_printk(text, sizeof(text), 1, 2);
            bpf_get_trace_printk(text, sizeof(text));
            bpf_get_current_pid_tgid();
            bpf_get_current_uid_gid();
            bpf_get_current_comm(text, sizeof(text));
            bpf_landlock_cmp_fs_prop_with_struct_file(1, text, 1, text);
            bpf_landlock_cmp_fs_beneath_with_struct_file(1, text, 1, text);
            bpf_landlock_cmp_cgroup_beneath(1, text, 1);
            return text[0];
        }";
    let expected = [
        helper::HANDLE_FS_GET_MODE,
        helper::TRACE_PRINTK,
        helper::TRACE_PRINTK,
        helper::GET_CURRENT_PID_TGID,
        helper::GET_CURRENT_UID_GID,
        helper::GET_CURRENT_COMM,
        helper::CMP_FS_PROP,
        helper::CMP_FS_BENEATH,
        helper::CMP_CGROUP_BENEATH,
    ];
    for clang in clangs() {
        let rule = read_elf(&compile_text(&clang, source)).unwrap().remove(0);
        let calls: Vec<i32> =
            rule.insns.iter().filter(|insn| insn.code == 0x85).map(|insn| insn.imm).collect();
        assert_eq!(calls, expected);
    }
}

/// The user documentation's two fragments, word for word, with v7's sections in front.
#[test]
fn the_documentations_fragments_compile() {
    let source = r#"
#include <landlock/rule.h>

SEC("landlock1")
    static int deny_file_creation(struct landlock_context *ctx)
    {
        if (ctx->event != LANDLOCK_SUBTYPE_EVENT_FS)
            return 1;
        if (ctx->arg2 & LANDLOCK_ACTION_FS_NEW)
            return 1;
        return 0;
    }

SEC("subtype")
    static union bpf_prog_subtype subtype = {
        .landlock_rule = {
            .abi = 1,
            .event = LANDLOCK_SUBTYPE_EVENT_FS,
        }
    };

SEC("license")
    static const char license[] = "GPL";
"#;
    for clang in clangs() {
        let rules = read_elf(&compile_text(&clang, source)).unwrap();
        assert_eq!(
            (rules.len(), rules[0].name.as_str(), rules[0].license.as_str()),
            (1, "deny_file_creation", "GPL")
        );
        assert_eq!(rules[0].subtype, Some(Subtype { abi: 1, event: 1, ability: 0, option: 0 }));
    }
}
