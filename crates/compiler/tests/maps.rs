// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps in objects and in assembly: defined in both ways, loaded by their names, shared by the rules of a file.

mod common;

use std::path::Path;

use common::{clang_names, clangs, compile, compile_text, newest_clang, run};
use landlock_compiler::abi::Event;
use landlock_compiler::abi::handles::ArrayKind;
use landlock_compiler::asm;
use landlock_compiler::elf::{Fault, MAX_MAPS, read_elf};
use landlock_compiler::map::{Definition, Map};
use landlock_compiler::object::RuleObject;
use landlock_compiler::verify::{Loader, verify_newest};

const SOURCE: &str = "tests/rules/handles.c";

fn definition(name: &str, kind: ArrayKind, max_entries: u32) -> Definition {
    Definition { name: name.into(), kind, max_entries }
}

fn names(rule: &RuleObject) -> Vec<&str> {
    rule.maps.iter().map(|map| map.definition().name.as_str()).collect()
}

fn check(rules: &[RuleObject]) {
    assert_eq!(
        rules.iter().map(|rule| (rule.name.as_str(), names(rule))).collect::<Vec<_>>(),
        [
            ("opened", vec!["allowed", "sandboxed"]),
            ("accessed", vec!["allowed", "sandboxed"]),
            ("mapped", vec!["allowed", "sandboxed"]),
            ("written", vec!["trusted", "allowed"]),
        ]
    );
    assert_eq!(*rules[0].maps[0].definition(), definition("allowed", ArrayKind::Fs, 10));
    assert_eq!(*rules[0].maps[1].definition(), definition("sandboxed", ArrayKind::Cgroup, 4));
    assert_eq!(*rules[3].maps[0].definition(), definition("trusted", ArrayKind::Fs, 2));
    let is = |a: &Map, b: &Map| a.is(b);
    assert!(is(&rules[0].maps[0], &rules[3].maps[1]) && is(&rules[0].maps[1], &rules[2].maps[1]));
    let events = [Event::FileOpen, Event::FilePermission, Event::MmapFile, Event::Fs];
    for (rule, event) in rules.iter().zip(events) {
        let rule =
            verify_newest(rule.clone(), &Loader::default()).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!((rule.event(), rule.abi()), (event, 2));
    }
}

#[test]
fn every_clang_s_maps_are_read_and_accepted() {
    for clang in clangs() {
        check(&read_elf(&compile(&clang, SOURCE.as_ref())).unwrap());
    }
    for clang in clang_names() {
        for cpu in ["-mcpu=v1", "-mcpu=v3"] {
            for level in ["-O1", "-Os", "-O3"] {
                let folder = tempfile::tempdir().unwrap();
                let object = folder.path().join("rule.o");
                let options = ["-target", "bpf", "-I", "../../include", "-g", "-c", "-o"];
                let mut args: Vec<_> = [cpu, level].into_iter().chain(options).map(Into::into).collect();
                args.extend([object.clone().into(), Path::new(SOURCE).into()]);
                run(&clang, args);
                check(&read_elf(&std::fs::read(&object).unwrap()).unwrap());
            }
        }
    }
}

#[test]
fn rules_with_maps_print_and_come_back() {
    let rules = read_elf(&compile(&newest_clang(), SOURCE.as_ref())).unwrap();
    let text: String = rules.iter().map(asm::print).collect();
    assert!(text.contains(".map allowed fs 10\n.map sandboxed cgroup 4\n"), "{text}");
    assert!(text.contains("    r2 = map sandboxed\n"), "{text}");
    let back = asm::parse(&text, "handles.s").unwrap_or_else(|errors| panic!("{errors}"));
    check(&back);
    for (back, rule) in back.into_iter().zip(rules) {
        assert_eq!(RuleObject { lines: rule.lines.clone(), ..back }, rule);
    }
}

fn fault(map: &str, rule: &str) -> Fault {
    let rule = if rule.is_empty() { "LANDLOCK_RULE(r, FS, 0) { return 0; }" } else { rule };
    let source = format!("#include <landlock/rule.h>\n{map}\n{rule}\nLANDLOCK_LICENSE(\"GPL\");\n");
    read_elf(&compile_text(&newest_clang(), &source)).expect_err("it should be refused").fault
}

#[test]
fn what_is_no_array_of_handles_is_refused() {
    let with = |members: &str| fault(&format!("struct {{ {members} }} m SEC(\".maps\");"), "");
    let refusal = |what: &str| Fault::Map { map: "m".into(), what: what.into() };
    let (ours, fs, ten) = ("int (*type)[8];", "int (*array_type)[1];", "int (*max_entries)[10];");
    assert_eq!(
        with(&format!("int (*type)[1]; {fs} {ten}")),
        refusal("its type is not that of an array of handles")
    );
    assert_eq!(with(&format!("{fs} {ten}")), refusal("its type is not that of an array of handles"));
    for array_type in ["", "int (*array_type)[3];"] {
        let refused = with(&format!("{ours} {array_type} {ten}"));
        assert_eq!(refused, refusal("its array_type is neither files nor cgroups"));
    }
    let refused = with(&format!("{ours} {fs}"));
    assert_eq!(refused, refusal("it does not say how many entries it has"));
    for (member, name) in [
        ("int (*key_size)[8];", "key_size"),
        ("__u64 *key;", "key"),
        ("__u32 *value;", "value"),
        ("int (*map_flags)[1];", "map_flags"),
        ("int (*pinning)[1];", "pinning"),
        ("__u32 type2;", "definition"),
    ] {
        let refused = with(&format!("{ours} {fs} {ten} {member}"));
        let Fault::Map { map, what } = &refused else { panic!("{refused}") };
        assert!(map == "m" && what.contains(name), "{refused}");
    }
    assert_eq!(fault("int m SEC(\".maps\");", ""), refusal("not a definition of handles"));
    let old = "SEC(\"maps\") struct landlock_map_def m = { .type = 8, .key_size = 4, .value_size = 16 };";
    assert_eq!(fault(old, ""), refusal("its array_type is neither files nor cgroups"));
}

#[test]
fn a_map_is_loaded_whole_and_for_helpers_only() {
    let map = "LANDLOCK_HANDLES(m, FS, 10);";
    let reads = "LANDLOCK_RULE_ABI2(r, FS, 0) { return *(volatile int *)&m; }";
    let source = format!("#include <landlock/rule.h>\n{map}\n{reads}\nLANDLOCK_LICENSE(\"GPL\");\n");
    let rule = read_elf(&compile_text(&newest_clang(), &source)).unwrap().remove(0);
    let problems = verify_newest(rule, &Loader::default()).unwrap_err().to_string();
    assert!(problems.contains("which holds a map of files"), "{problems}");
    let inside =
        "LANDLOCK_RULE_ABI2(r, FS, 0) { return bpf_landlock_cmp_cgroup_beneath(0, (char *)&m + 8, 1); }";
    let source = format!("#include <landlock/rule.h>\n{map}\n{inside}\nLANDLOCK_LICENSE(\"GPL\");\n");
    let rule = read_elf(&compile_text(&newest_clang(), &source)).unwrap().remove(0);
    let problems = verify_newest(rule, &Loader::default()).unwrap_err().to_string();
    assert!(problems.contains("arithmetic on a map of files"), "{problems}");
    let data =
        "static const int table[2] = {1, 2}; LANDLOCK_RULE_ABI2(r, FS, 0) { return table[ctx->arg2 & 1]; }";
    assert!(matches!(fault(map, data), Fault::DataReference { .. }), "a map is no excuse for other data");
}

#[test]
fn the_number_of_maps_is_limited() {
    let many =
        |count: usize| (0..count).map(|i| format!("LANDLOCK_HANDLES(m{i}, FS, 1);\n")).collect::<String>();
    assert_eq!(fault(&many(MAX_MAPS + 1), ""), Fault::TooManyMaps);
    let source =
        format!("#include <landlock/rule.h>\n{}LANDLOCK_RULE(r, FS, 0) {{ return 0; }}\n", many(MAX_MAPS));
    assert!(read_elf(&compile_text(&newest_clang(), &source)).unwrap()[0].maps.is_empty(), "none is used");
}

#[test]
fn without_types_a_map_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let object = folder.path().join("rule.o");
    let options = ["-target", "bpf", "-O2", "-I", "../../include", "-c", SOURCE, "-o"];
    run(&common::newest_clang_name(), options.into_iter().map(Into::into).chain([object.clone().into()]));
    let error = read_elf(&std::fs::read(&object).unwrap()).expect_err("there is no BTF");
    assert_eq!(error.fault, Fault::MapsWithoutBtf);
    assert!(error.help().unwrap().contains("-g"));
}

fn refused(text: &str) -> String {
    asm::parse(text, "rule.s").expect_err("the text is wrong").to_string()
}

#[test]
fn assembly_declares_maps_before_it_loads_them() {
    let text = ".rule a\n.map m fs 3\n.map \"odd name\" cgroup 1\nr1 = map m\nr2 = map \"odd name\"\n.rule b\n.event FILE_OPEN\n.map m fs 3\nr3 = map m\n";
    let rules = asm::parse(text, "rule.s").unwrap();
    assert_eq!((names(&rules[0]), names(&rules[1])), (vec!["m", "odd name"], vec!["m"]));
    assert!(rules[0].maps[0].is(&rules[1].maps[0]));
    assert_eq!(rules[1].subtype.unwrap().abi, 2, "the lowest that has the event");
    let loads: Vec<_> = rules[0].insns.iter().map(|insn| (insn.src, insn.imm)).collect();
    assert_eq!(loads, [(1, 0), (0, 0), (1, 1), (0, 0)]);
    for (text, message) in [
        (".rule a\nr1 = map m", "rule.s:2:10: the rule has no map `m`; declare it first: `.map m fs 10`"),
        (".rule a\n.map m fs 1\n.map m fs 1", "rule.s:3:1: the rule has declared this before"),
        (
            ".rule a\n.map m fs 1\n.rule b\n.map m fs 2",
            "another rule has declared a map of this name otherwise",
        ),
        (".rule a\n.map m files 1", "unknown kind of handle `files`; there are fs and cgroup"),
        (".rule a\n.map m fs", "the line ends where"),
        (".rule a\n.map m fs 4294967296", "the number does not fit into 32 bits"),
        (".rule a\n.map m fs 1\nw1 = map m", "unknown operation `map`"),
        (".map m fs 1", "no rule is open yet"),
    ] {
        let refusal = refused(text);
        assert!(refusal.contains(message), "{text:?} gives {refusal:?}, not {message:?}");
    }
}
