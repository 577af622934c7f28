// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock check`.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::{Folder, LANDLOCK, all_shipped, filter, root, rule_in_c};

/// Denies creating, and so is not warned about.
const GOOD: &str = ".rule good\n.event FS\n.license \"GPL\"\n r0 = *(u64 *)(r1 + 24)\n r0 &= 8\n exit\n";

#[test]
fn every_shipped_rule_is_accepted_without_a_warning() {
    let folder = Folder::new();
    let rules = all_shipped();
    let arguments = std::iter::once(OsStr::new("check")).chain(rules.iter().map(|rule| rule.as_os_str()));
    let ran = folder.landlock(arguments).exits(0).quiet();
    let named = |rule: &PathBuf| ran.stdout().contains(&format!("{}: rule ", rule.display()));
    assert!(rules.iter().all(named), "{ran}");
    assert!(
        ran.stdout()
            .lines()
            .all(|line| line.contains(": accepted (event F") || line.contains(": accepted (event MMAP_FILE")),
        "{ran}"
    );
    ran.says("rule landlock1: accepted (event FS, 45 instructions; to load it, CAP_SYS_ADMIN is needed)");
}

#[test]
fn rules_of_abi_2_are_accepted_with_their_maps() {
    let rules = root().join("crates/compiler/tests/rules/handles.c");
    let ran = Folder::new().landlock(["check", rules.to_str().unwrap()]).exits(0).quiet();
    let ran = ran.says("rule handles/opened: accepted (event FILE_OPEN, ");
    ran.says(" instructions, maps: allowed sandboxed; ABI 2)\n");
}

#[test]
fn filters_are_checked_as_the_kernel_would() {
    let folder = Folder::new();
    folder.write("good.s", GOOD);
    folder.write("five.bpf", filter(257, 0x0007_0005));
    let ran = folder.landlock(["check", "--filter", "five.bpf", "good.s"]).exits(0).quiet();
    ran.says("five.bpf: filter: accepted (4 instructions)\n").says("rule good: accepted");
    folder
        .landlock(["check", "--filter", "five.bpf"])
        .exits(0)
        .prints("five.bpf: filter: accepted (4 instructions)\n");
    // It ends without a return.
    folder.write("endless.bpf", &filter(257, 0)[..16]);
    let ran =
        folder.landlock(["check", "good.s", "--filter", "endless.bpf"]).exits(1).says("rule good: accepted");
    ran.complains("endless.bpf: ");
}

#[test]
fn hooks_rules_that_deny_nothing_or_everything_are_warned_about() {
    let folder = Folder::new();
    let rule = |result| format!(".rule odd\n.event FILE_OPEN\n r0 = {result}\n exit\n");
    for (result, warning) in [(0, "denies nothing"), (13, "denies everything")] {
        folder.write("odd.s", rule(result));
        folder.landlock(["check", "odd.s"]).exits(0).complains(warning);
    }
    folder.write("odd.s", ".rule odd\n.event FILE_OPEN\n r0 = *(u16 *)(r1 + 4)\n exit\n");
    folder.landlock(["check", "odd.s"]).exits(0).quiet();
}

#[test]
fn a_refusal_says_where_what_and_what_to_do() {
    let folder = Folder::new();
    folder.write("unset.s", ".rule unset\n.event FS\n.license \"GPL\"\n    r0 = r7\n    exit\n");
    let ran = folder.landlock(["check", "unset.s"]).exits(1).prints("");
    insta::assert_snapshot!(ran.stderr(), @r"
    landlock: unset.s: rule unset: refused (EACCES)
      instruction 0: r0 = r7
        at unset.s:4: r0 = r7
        r7 is read, and was never written
        help: only r1 (the context) and r10 (the frame pointer) are set on entry
    ");
}

#[test]
fn every_problem_of_every_file_is_told() {
    let folder = Folder::new();
    folder.write("two.s", ".rule two\n.event FS\n.license \"GPL\"\n r0 = r7\n r0 = r8\n exit\n");
    folder.write("good.s", GOOD);
    folder.write("text.o", "no object");
    folder.write("notes.txt", "no rule");
    folder
        .landlock(["check", "two.s", "nowhere.c", "good.s", "text.o", "notes.txt", "."])
        .exits(1)
        .prints("good.s: rule good: accepted (event FS, 3 instructions)\n")
        .complains("r7 is read")
        .complains("r8 is read")
        .complains("nowhere.c: No such file")
        .complains("text.o: not an ELF object")
        .complains("notes.txt: not a rule file")
        .complains(".: not a regular file");
}

#[test]
fn the_source_line_of_a_c_rule_is_shown() {
    let folder = Folder::new();
    folder.write("leak.c", rule_in_c("FS", "return ctx->arg1;"));
    folder.landlock(["check", "leak.c"]).exits(1).complains("leak.c:4: return ctx->arg1;");
}

#[test]
fn rules_that_can_hardly_be_meant_are_warned_about_and_accepted() {
    let folder = Folder::new();
    folder.write("nothing.s", ".rule nothing\n.event FS\n.license \"GPL\"\n r0 = 0\n exit\n");
    folder.write("everything.c", rule_in_c("FS_LOCK", "return 1;"));
    let ran = folder.landlock(["check", "nothing.s", "everything.c"]).exits(0);
    insta::assert_snapshot!(ran.stderr(), @"
    landlock: nothing.s: rule nothing: warning: this rule denies nothing
    landlock: everything.c: rule everything: warning: this rule denies everything its event covers
    ");
}

/// A rule is named after its file.
#[test]
fn names_cannot_draw_on_the_terminal() {
    let folder = Folder::new();
    folder.write("\u{1b}[2J.s", GOOD);
    let ran = folder.landlock(["check", "\u{1b}[2J.s", "\u{9b}2J.s"]).exits(1);
    let said = ran.stdout() + &ran.stderr();
    assert!(said.contains("rule \\u{1b}[2J: accepted") && said.contains("\\u{9b}2J.s: No such"), "{said:?}");
    assert!(!said.chars().any(|letter| letter.is_control() && letter != '\n'), "{said:?}");
}

#[test]
fn no_file_is_a_mistake() {
    let folder = Folder::new();
    folder.landlock(["check"]).exits(2).complains("required");
    folder.landlock(["chek"]).exits(2).complains("unrecognized subcommand");
    folder.landlock([] as [&str; 0]).exits(2).complains("Usage");
    folder.landlock(["--help"]).exits(0).says("Usage").quiet();
    folder.landlock(["--version"]).exits(0).says("landlock ").quiet();
}

#[test]
fn a_reader_that_goes_away_is_no_reason_to_panic() {
    let folder = Folder::new();
    folder.write("good.s", GOOD);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut check = Command::new(LANDLOCK);
    check.args(["check", "good.s"]).current_dir(folder.path(".")).stdout(writer).stderr(Stdio::piped());
    let output = check.spawn().unwrap().wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()), "{output:?}");
}

#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    let folder = Folder::new();
    folder.write("good.s", GOOD);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut check = Command::new(LANDLOCK);
    check.args(["check", "good.s"]).current_dir(folder.path(".")).stdout(full).stderr(Stdio::piped());
    let output = check.spawn().unwrap().wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}
