// SPDX-License-Identifier: MIT OR Apache-2.0
//! Objects made by real clangs are read as what their source says; other objects are refused with a reason.

mod common;

use common::{clangs, compile, compile_text, newest_clang, shipped_c_rules};
use landlock_compiler::abi::Subtype;
use landlock_compiler::elf::{Fault, MAX_RULES, ReadError, read_elf};
use landlock_compiler::object::RuleObject;

const FS: Subtype = Subtype { abi: 1, event: 1, ability: 0, option: 0 };

fn refused(source: &str) -> ReadError {
    read_elf(&compile_text(&newest_clang(), source))
        .expect_err("the object holds something a rule cannot have")
}

fn rule(body: &str) -> String {
    format!("#include <landlock/rule.h>\n{body}\nLANDLOCK_LICENSE(\"GPL\");\n")
}

fn names(rules: &[RuleObject]) -> Vec<&str> {
    rules.iter().map(|rule| rule.name.as_str()).collect()
}

#[test]
fn every_clang_makes_readable_objects_of_the_shipped_rules() {
    for clang in clangs() {
        for source in shipped_c_rules() {
            let rules =
                read_elf(&compile(&clang, &source)).unwrap_or_else(|error| panic!("{source:?}: {error}"));
            assert!(!rules.is_empty(), "{source:?}");
            for rule in rules {
                let subtype = rule.subtype.expect("declares a subtype");
                let abi = if rule.maps.is_empty() { 1 } else { 2 };
                assert_eq!((subtype.abi, subtype.option), (abi, 0), "{source:?}");
                assert_eq!(rule.license, "Dual MIT/GPL", "{source:?}");
                assert_eq!(rule.insns.last().map(|insn| insn.code), Some(0x95), "{source:?} ends with exit");
            }
        }
    }
}

#[test]
fn several_rules_have_their_own_subtype_or_share_one() {
    for clang in clangs() {
        let rules = read_elf(&compile(&clang, "tests/rules/several.c".as_ref())).unwrap();
        assert_eq!(names(&rules), ["no_removal", "no_locks", "no_exec", "no_read"]);
        let subtypes: Vec<_> = rules.iter().map(|rule| rule.subtype.unwrap()).collect();
        let no_locks = Subtype { event: 3, ability: 1, ..FS };
        assert_eq!(subtypes, [FS, no_locks, FS, FS]);
        assert!(rules.iter().all(|rule| rule.license == "GPL"));
        let mask = |rule: &RuleObject| rule.insns.iter().find(|insn| insn.code == 0x57).map(|insn| insn.imm);
        assert_eq!(mask(&rules[2]), Some(1), "no_exec tests EXEC");
        assert!(rules[3].insns.iter().any(|insn| insn.imm == 4 || insn.imm == 2), "no_read tests READ");
    }
}

#[test]
fn instructions_know_their_source_lines() {
    for clang in clangs() {
        let source = "tests/rules/several.c";
        let text = std::fs::read_to_string(source).unwrap();
        for rule in read_elf(&compile(&clang, source.as_ref())).unwrap() {
            assert_eq!(rule.lines.len(), rule.insns.len());
            for line in rule.lines.iter().flatten() {
                assert!(line.file.ends_with("several.c"), "{line:?}");
                assert_eq!(text.lines().nth(line.line as usize - 1).unwrap().trim(), line.text);
            }
            let last = rule.lines.last().unwrap().as_ref().expect("the exit has a line");
            assert!(last.text.starts_with("return") || last.text == "}", "{last:?}");
        }
    }
}

#[test]
fn a_rule_without_metadata_is_left_to_the_verifier() {
    let source = "__attribute__((section(\"landlock\"), used)) static int bare(void *c) { return 0; }";
    let rules = read_elf(&compile_text(&newest_clang(), source)).unwrap();
    assert_eq!((names(&rules), rules[0].subtype, rules[0].license.as_str()), (vec!["bare"], None, ""));
}

#[test]
fn without_symbols_a_section_is_one_rule() {
    let object = compile(&newest_clang(), "../../rules/deny-write.c".as_ref());
    let rules = read_elf(&common::strip(&object)).unwrap();
    assert_eq!(names(&rules), ["deny_write"]);
    assert_eq!(rules[0].subtype, Some(FS));
    assert!(rules[0].lines.is_empty(), "stripped of BTF");
}

#[test]
fn a_call_between_functions_is_refused_and_the_inlined_one_is_not() {
    let with = |how: &str| {
        rule(&format!(
            "{how} int odd(__u64 x) {{ return x & 1; }}
             LANDLOCK_RULE(calls, FS, 0) {{ return odd(ctx->arg2) + odd(ctx->arch); }}"
        ))
    };
    let error = refused(&with("SEC(\"landlock/odd\") static __attribute__((noinline))"));
    assert_eq!(error.fault, Fault::Call { callee: "odd".into() });
    assert_eq!(error.section.as_deref(), Some("landlock/calls"));
    assert!(error.help().unwrap().contains("__always_inline"));

    let error = refused(&with("SEC(\"landlock/calls\") static __attribute__((noinline))"));
    assert_eq!(error.fault, Fault::Call { callee: "odd".into() }, "in the same section");

    let object = compile_text(&newest_clang(), &with("static __always_inline"));
    assert_eq!(names(&read_elf(&object).unwrap()), ["calls"]);
}

#[test]
fn code_outside_of_a_rule_section_is_refused() {
    let error = refused(&rule(
        "LANDLOCK_RULE(good, FS, 0) { return 0; }
         SEC(\"landlok/typo\") static int typo(struct landlock_context *ctx) { return 1; }",
    ));
    assert_eq!(error.fault, Fault::StrayCode { function: Some("typo".into()) });
    let error = refused(&rule("int forgotten(struct landlock_context *ctx) { return 1; }"));
    assert_eq!(error.fault, Fault::StrayCode { function: Some("forgotten".into()) });
    assert_eq!(refused(&rule("")).fault, Fault::NoRule);
}

#[test]
fn data_maps_and_foreign_functions_are_refused() {
    let error = refused(&rule("int global; LANDLOCK_RULE(reads, FS, 0) { return global; }"));
    assert_eq!(error.fault, Fault::DataReference { symbol: "global".into() });
    let error = refused(&rule("extern int other(void); LANDLOCK_RULE(calls, FS, 0) { return other(); }"));
    assert_eq!(error.fault, Fault::UndefinedCall { callee: "other".into() });
    let map = "SEC(\"maps\") int table[5] = {1};";
    let error = refused(&rule(&format!("{map} LANDLOCK_RULE(alone, FS, 0) {{ return 0; }}")));
    assert_eq!(error.fault, Fault::Map { map: "table".into(), what: "not a definition of handles".into() });
}

#[test]
fn core_is_refused() {
    let error = refused(&rule(
        "struct kernel { int a, b; } __attribute__((preserve_access_index));
         LANDLOCK_RULE(peeks, FS, 0) { return ((struct kernel *)ctx)->b; }",
    ));
    assert_eq!(error.fault, Fault::CoRe);
}

#[test]
fn metadata_must_fit() {
    let bare = "SEC(\"landlock1\") static int r(struct landlock_context *ctx) { return 0; }";
    let error = refused(&rule(&format!("{bare} SEC(\"subtype\") static int four = 4;")));
    assert_eq!(error.fault, Fault::SubtypeSize { size: 4 });
    let two = "static const union bpf_prog_subtype";
    let error = refused(&rule(&format!("{bare} SEC(\"subtype\") {two} a; SEC(\"subtype\") {two} b;")));
    assert_eq!(error.fault, Fault::SubtypeSize { size: 48 });
    let error = refused(&rule(&format!("{bare} SEC(\"subtype/other\") {two} a;")));
    assert_eq!(error.fault, Fault::SubtypeWithoutRule { name: "other".into() });
    let error = refused(&format!(
        "#include <landlock/rule.h>\n{bare} SEC(\"license\") static const char text[] = \"a\\nb\";"
    ));
    assert!(matches!(error.fault, Fault::BadLicense { .. }));
}

#[test]
fn the_number_of_rules_is_limited() {
    let rules = |count: usize| {
        let all: String =
            (0..count).map(|i| format!("LANDLOCK_RULE(r{i}, FS, 0) {{ return {i}; }}\n")).collect();
        compile_text(&newest_clang(), &rule(&all))
    };
    assert_eq!(read_elf(&rules(MAX_RULES)).unwrap().len(), MAX_RULES);
    assert_eq!(read_elf(&rules(MAX_RULES + 1)).unwrap_err().fault, Fault::TooManyRules);
}

#[test]
fn other_files_are_refused() {
    assert_eq!(read_elf(b"").unwrap_err().fault, Fault::NotElf);
    assert_eq!(read_elf(b"#include <landlock/rule.h>").unwrap_err().fault, Fault::NotElf);
    let native = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    assert!(matches!(read_elf(&native).unwrap_err().fault, Fault::TooLarge { .. }));
    assert!(matches!(read_elf(&native[..1 << 20]).unwrap_err().fault, Fault::NotBpf { .. }));
}
