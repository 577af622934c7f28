// SPDX-License-Identifier: MIT OR Apache-2.0

use proptest::collection::vec;
use proptest::prelude::*;

use super::{parse, print, print_insn};
use crate::abi::Subtype;
use crate::abi::handles::ArrayKind;
use crate::insn::Insn;
use crate::map::{Definition, Map};
use crate::object::RuleObject;

/// A rule that holds these lines.
fn assemble(lines: &str) -> Vec<Insn> {
    let rules = parse(&format!(".rule test\n{lines}"), "test.s").unwrap_or_else(|errors| panic!("{errors}"));
    rules.into_iter().next().unwrap().insns
}

fn refused(text: &str) -> String {
    parse(text, "rule.s").expect_err("the text is wrong").to_string()
}

fn insn() -> impl Strategy<Value = Insn> {
    // Fields that most instructions want to be zero, or small, are so half of the time.
    let small = prop_oneof![Just(0i32), 0..3i32, Just(16), Just(64), Just(0xe1), any::<i32>()];
    let off = prop_oneof![Just(0i16), -4..8i16, any::<i16>()];
    let src = prop_oneof![Just(0u8), 0..16u8];
    (any::<u8>(), 0..16u8, src, off, small).prop_map(|(code, dst, src, off, imm)| Insn {
        code,
        dst,
        src,
        off,
        imm,
    })
}

fn rule() -> impl Strategy<Value = RuleObject> {
    let numbers = prop_oneof![0..5u32, any::<u32>()];
    let flags = prop_oneof![Just(0u64), Just(1), any::<u64>()];
    let subtype = (numbers.clone(), numbers, flags.clone(), flags)
        .prop_map(|(abi, event, ability, option)| Subtype { abi, event, ability, option });
    let parts = (any::<String>(), vec(insn(), 0..40), proptest::option::of(subtype), any::<String>());
    (parts, maps()).prop_map(|((name, insns, subtype, license), maps)| RuleObject {
        name,
        insns,
        subtype,
        license,
        maps,
        ..RuleObject::default()
    })
}

/// What a name says of a map is the same in every rule.
fn maps() -> impl Strategy<Value = Vec<Map>> {
    let names = proptest::collection::btree_set(any::<String>(), 0..4);
    names.prop_map(|names| names.into_iter().map(map).collect())
}

fn map(name: String) -> Map {
    let kind = ArrayKind::ALL[name.len() % 2];
    let max_entries = u32::try_from(name.len()).unwrap();
    Map::new(Definition { name, kind, max_entries })
}

proptest! {
    #[test]
    fn every_rule_prints_and_comes_back(rules in vec(rule(), 1..4)) {
        let text: String = rules.iter().map(print).collect();
        let mut back = parse(&text, "round.s").map_err(|errors| TestCaseError::fail(format!("{errors}\n{text}")))?;
        for rule in &mut back {
            prop_assert_eq!(rule.lines.len(), rule.insns.len());
            rule.lines.clear();
        }
        prop_assert_eq!(&back, &rules);
        prop_assert_eq!(back.iter().map(print).collect::<String>(), text);
    }

    #[test]
    fn every_single_instruction_prints_and_comes_back(insn in insn()) {
        let text = print_insn(&[insn], 0);
        prop_assert_eq!(assemble(&text), vec![insn], "{}", text);
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), words in vec(word(), 0..40)) {
        let _ = parse(&text, "any.s").map_err(|errors| errors.to_string());
        let _ = parse(&words.join(" "), "words.s").map_err(|errors| errors.to_string());
    }
}

/// Words of the language, to get further than random text does.
fn word() -> impl Strategy<Value = String> {
    let words = ".rule x .event FS .license \"GPL\" .insn r0 r1 w2 r11 = += s>>= == s> & * - + ( ) , : u64 u8 lock \
                 be16 xchg_64 atomic_fetch_add cmpxchg32_32 if goto call exit ll 0 1 0xffffffffffffffff \" # \\";
    let words: Vec<String> = words.split(' ').map(str::to_owned).chain(["\n".to_owned()]).collect();
    proptest::sample::select(words)
}

#[test]
fn the_documented_example_assembles() {
    let docs = include_str!("mod.rs").lines().filter_map(|line| line.strip_prefix("//! "));
    let example: Vec<&str> =
        docs.skip_while(|line| *line != "```text").skip(1).take_while(|line| *line != "```").collect();
    let rules = parse(&example.join("\n"), "docs").unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(
        (rules[0].name.as_str(), rules[0].license.as_str(), rules[0].insns.len()),
        ("deny_exec", "GPL", 6)
    );
    assert_eq!(rules[0].subtype, Some(Subtype { abi: 1, event: 1, ability: 0, option: 0 }));
}

#[test]
fn labels_become_distances_and_come_back_as_labels() {
    let text = "top: r0 = 1\nif r0 == 1 goto down\ngoto top\ndown:\nexit";
    let insns = assemble(text);
    assert_eq!(insns.iter().map(|insn| insn.off).collect::<Vec<_>>(), [0, 1, -3, 0]);
    let rule = RuleObject { name: "x".into(), insns, ..RuleObject::default() };
    let printed = ".rule x\nL0:\n    r0 = 1\n    if r0 == 1 goto L3\n    goto L0\nL3:\n    exit\n";
    assert_eq!(print(&rule), printed);
}

#[test]
fn what_no_rule_may_have_is_raw_but_comes_back() {
    let map = Insn { code: 0x18, dst: 1, src: 1, off: 0, imm: 5 };
    let text = print(&RuleObject { insns: vec![map, Insn::default()], ..RuleObject::default() });
    assert_eq!(text, ".rule \"\"\n    .insn 0x18, 1, 1, 0, 5\n    .insn 0x00, 0, 0, 0, 0\n");
    assert_eq!(print_insn(&[Insn { code: 0xff, dst: 11, ..Insn::default() }], 0), ".insn 0xff, 11, 0, 0, 0");
}

#[test]
fn several_rules_have_their_own_labels_and_declarations() {
    let text = ".rule a\n.event FS\nx: goto x\n.rule \"b c\"\n.event 7\n.ability DEBUG\n.abi 2\nx: goto x\n.rule c\nexit";
    let rules = parse(text, "rules.s").unwrap();
    let subtypes: Vec<_> = rules.iter().map(|rule| rule.subtype).collect();
    let subtype = |abi, event, ability| Some(Subtype { abi, event, ability, option: 0 });
    assert_eq!(subtypes, [subtype(1, 1, 0), subtype(2, 7, 1), None]);
    assert_eq!(rules[1].name, "b c");
    assert!(rules.iter().all(|rule| rule.insns.len() == 1));
}

#[test]
fn source_lines_are_those_of_the_text() {
    let rules = parse(".rule a\n\n  r1 = 5 ll ; five\nexit\n", "dir/rule.s").unwrap();
    let lines: Vec<_> = rules[0].lines.iter().flatten().map(|line| (line.line, line.text.as_str())).collect();
    assert_eq!(lines, [(3, "r1 = 5 ll ; five"), (3, "r1 = 5 ll ; five"), (4, "exit")]);
    assert!(
        print(&rules[0]).contains("; dir/rule.s:3: r1 = 5 ll ; five\n    r1 = 0x5 ll\n    ; dir/rule.s:4")
    );
}

#[test]
fn constants_are_as_wide_as_they_say() {
    assert_eq!(assemble("w1 = 0xffffffff")[0].imm, -1);
    assert_eq!(assemble("r1 = -1 ll"), assemble("r1 = 0xffffffffffffffff ll"));
    assert_eq!(assemble("r1 &= -4096")[0].imm, -4096);
    assert!(refused(".rule a\nr1 &= 0xfffff000").contains("put it into a register first"));
}

#[test]
fn errors_point_at_the_place() {
    assert_eq!(
        refused(".rule a\n\tr11 = 1\n"),
        "rule.s:2:2: unknown instruction `r11`; the registers are r0 to r10 and w0 to w10\n 2 | \tr11 = 1\n   | \t^^^"
    );
    let text = ".rule a\nr0 = w1\nif r1 goto x\ngoto x\nexit now\nexit ; fine\n.abi 1\n.abi 1";
    let expected = [
        "rule.s:2:6: 32-bit (w…) and 64-bit (r…) registers cannot be mixed\n 2 | r0 = w1\n   |      ^^",
        "rule.s:3:7: expected a comparison\n 3 | if r1 goto x\n   |       ^^^^",
        "rule.s:4:6: rule `a` has no label `x`\n 4 | goto x\n   |      ^",
        "rule.s:5:6: the statement should end here; one statement a line\n 5 | exit now\n   |      ^^^",
        "rule.s:8:1: the rule has declared this before\n 8 | .abi 1\n   | ^^^^",
    ];
    assert_eq!(refused(text), expected.join("\n"));
}

#[test]
fn nonsense_is_refused_with_the_way_out() {
    for (line, message) in [
        ("", "the text holds no rule: begin with `.rule NAME`"),
        ("exit", "no rule is open yet: begin with `.rule NAME`"),
        (".rule a\n.event NET", "unknown event `NET`; there are FS, FS_IOCTL, FS_LOCK, FS_FCNTL, FILE_OPEN"),
        (".rule a\n.foo", "unknown declaration `.foo`"),
        (".rule a\ncall open", "unknown helper `open`; there are handle_fs_get_mode"),
        (".rule a\nr0 = -r1", "this has to be the register that is assigned to"),
        (".rule a\nr1 = *(u64 *)(w1 + 0)", "a 64-bit register is needed here"),
        (".rule a\nr1 = *(u128 *)(r1)", "`u128` is not a size"),
        (".rule a\nr1 = *(u64 *)(r1 + 40000)", "an offset is between -32768 and 32767"),
        (".rule a\nw1 = *(u64 *)(r1)", "eight bytes need a 64-bit register"),
        (".rule a\nlock *(u8 *)(r1) += r2", "atomic operations have 4 or 8 bytes"),
        (".rule a\nr1 =", "the line ends where"),
        (".rule a\nr1 = 99999999999999999999", "is not a number of at most 64 bits"),
        (".rule a\n.license \"GPL", "a string without an end"),
        (".rule a\nx:\nx:", "the rule has another label `x`"),
        (&format!(".rule a\n{}", "(".repeat(100)), "the statement should have ended by now"),
        (".rule a\nr0 = 1 € 2", "unexpected character '€'"),
    ] {
        let refusal = refused(line);
        assert!(refusal.contains(message), "{line:?} gives {refusal:?}, not {message:?}");
    }
}

#[test]
fn a_flood_of_errors_is_cut() {
    assert_eq!(parse(&"!\n".repeat(1000), "x").unwrap_err().0.len(), 20);
    let huge = " ".repeat(super::MAX_SIZE + 1);
    assert!(refused(&huge).contains("the limit is 1048576"));
    let rules = ".rule a\n".repeat(super::MAX_RULES + 1);
    assert!(refused(&rules).contains("at most 64 rules"));
}
