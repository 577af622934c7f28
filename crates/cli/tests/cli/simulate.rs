// SPDX-License-Identifier: MIT OR Apache-2.0
//! `landlock simulate`.

use crate::support::{Folder, Ran, filter, root, shipped};

fn simulate(rule: &str, arguments: &[&str]) -> Ran {
    let rule = shipped(rule);
    let all = ["simulate", rule.to_str().unwrap()].into_iter().chain(arguments.iter().copied());
    Folder::new().landlock(all)
}

#[test]
fn the_deciding_rule_instruction_and_line_are_named() {
    simulate("read-only.c", &["--event", "FS", "--action", "WRITE"])
        .exits(0)
        .quiet()
        .says("denied by rule read-only\n")
        .says("rules/read-only.c:24: return !(S_ISCHR(mode) || S_ISFIFO(mode));\n")
        .says("by the exit at instruction 17, ");
}

#[test]
fn the_mode_decides_and_is_a_regular_file_s_unless_given() {
    let write = ["--event", "FS", "--action", "WRITE"];
    let with = |more: &[&str]| simulate("read-only.c", &[&write, more].concat());
    with(&["--mode", "0100600"]).exits(0).says("denied");
    with(&["--mode", "020666"]).exits(0).says("allowed\n");
    with(&["--mode", "010600"]).exits(0).says("allowed\n");
}

#[test]
fn a_name_without_an_object_has_no_mode() {
    let execute = ["--event", "FS", "--action", "EXEC"];
    let with = |more: &[&str]| simulate("no-setuid-files.c", &[&execute, more].concat());
    with(&[]).exits(0).says("allowed\n");
    with(&["--no-object"]).exits(0).says("denied");
}

#[test]
fn actions_are_a_set() {
    let with = |action| simulate("deny-file-creation.c", &["--event", "fs", "--action", action]);
    with("READ,new").exits(0).says("denied");
    with("READ,WRITE").exits(0).says("allowed\n");
    with("none").exits(0).says("allowed\n");
}

#[test]
fn sub_events_take_a_command() {
    let with = |command| {
        let ran = simulate("no-tiocsti.c", &["--event", "FS_IOCTL", "--command", command, "--json"]).exits(0);
        let answer: serde_json::Value = serde_json::from_str(&ran.stdout()).unwrap();
        assert_eq!(answer["event"], "FS_IOCTL");
        assert_eq!(answer["asked"][0]["name"], "no-tiocsti");
        answer["denied"].as_bool().unwrap()
    };
    assert!(with("0x5412"));
    assert!(!with("0x5413"));
    assert!(with("21522"));
}

#[test]
fn what_a_debug_rule_traces_is_shown() {
    let ran = simulate("landlock1.c", &["--event", "FS", "--action", "WRITE"]);
    ran.exits(0).says("tracing: landlock1: access denied");
}

#[test]
fn the_last_rule_is_asked_first() {
    let folder = Folder::new();
    let (old, new) = (shipped("deny-write.c"), shipped("read-only.c"));
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    let question = ["--event", "FS", "--action", "WRITE", "--mode"];
    let ask = |mode| folder.landlock(["simulate", old, new].iter().chain(&question).chain(&[mode]));
    ask("0100644").exits(0).says("denied by rule read-only\n").says("  rule 0 (read-only) denies\n");
    ask("020666").exits(0).says("  rule 0 (read-only) allows\n").says("  rule 1 (deny-write) denies\n");
}

#[test]
fn a_question_that_no_rule_is_asked_is_told() {
    let ran = simulate("read-only.c", &["--event", "FS_LOCK", "--command", "1"]);
    ran.exits(0).prints("allowed: no rule has event FS_LOCK\n");
}

#[test]
fn questions_that_make_no_sense_are_mistakes() {
    let misused = |arguments: &[&str], why: &str| {
        simulate("read-only.c", arguments).exits(2).prints("").complains(why);
    };
    misused(&["--event", "FS"], "--action");
    misused(&["--event", "NET", "--action", "WRITE"], "events are FS, FS_IOCTL, FS_LOCK, FS_FCNTL");
    misused(&["--event", "FS", "--action", "wite"], "actions are EXEC, WRITE");
    misused(&["--event", "FS", "--command", "1"], "event FS takes --action");
    misused(&["--event", "FS_LOCK", "--action", "LOCK"], "this event takes --command");
    misused(&["--event", "FS", "--action", "READ", "--mode", "9"], "invalid digit");
    misused(&["--event", "FS", "--action", "READ", "--mode", "7777777"], "a mode is at most 177777");
    misused(&["--event", "FS", "--action", "READ", "--mode", "644", "--no-object"], "--no-object");
    misused(&["--event", "FS_LOCK", "--command", "4294967296"], "too large");
}

#[test]
fn a_rule_that_is_refused_gives_no_answer() {
    let folder = Folder::new();
    folder.write("bad.s", ".rule bad\n.event FS\n.license \"GPL\"\n exit\n");
    let ran = folder.landlock(["simulate", "bad.s", "--event", "FS", "--action", "READ"]);
    ran.exits(1).prints("").complains("rule bad: refused");
}

/// Rules of ABI 2, with maps `allowed`, `sandboxed` and `trusted`.
fn with_handles(arguments: &[&str]) -> Ran {
    let rule = root().join("crates/compiler/tests/rules/handles.c");
    let all = ["simulate", rule.to_str().unwrap()].into_iter().chain(arguments.iter().copied());
    Folder::new().landlock(all)
}

#[test]
fn a_hook_s_rule_is_asked_for_a_cookie_and_says_its_errno() {
    let open = |more: &[&str]| with_handles(&[&["--event", "FILE_OPEN"], more].concat()).exits(0).quiet();
    let sandboxed = ["--match", "sandboxed=beneath"];
    open(&[&["--cookie", "5"], &sandboxed[..]].concat())
        .says("denied by rule handles/opened\n")
        .says("rule 3 (handles/opened) denies with EACCES, for cookie 5\n");
    open(&[&["--cookie", "6"], &sandboxed[..]].concat()).says("allowed\n").says("allows, for cookie 6\n");
    open(&["--cookie", "5"]).says("allowed\n");
}

#[test]
fn what_matches_is_what_the_user_says() {
    let denied = |matches: &[&str]| {
        let all: Vec<&str> = matches.iter().flat_map(|how| ["--match", how]).collect();
        let question = ["--event", "file_permission", "--cookie", "0x5", "--mask", "2", "--json"];
        let ran = with_handles(&[&question[..], &all].concat()).exits(0);
        let answer: serde_json::Value = serde_json::from_str(&ran.stdout()).unwrap();
        assert_eq!(answer["asked"][0]["cookie"], 5);
        answer["denied"].as_bool().unwrap()
    };
    assert!(denied(&["sandboxed=same"]));
    assert!(denied(&["sandboxed=beneath", "allowed=above,dentry"]));
    assert!(!denied(&["sandboxed=beneath", "allowed=beneath"]));
    assert!(!denied(&["sandboxed=beneath", "allowed=above", "allowed=same"]));
    assert!(!denied(&["sandboxed=above"]));
}

#[test]
fn file_system_rules_of_abi_2_compare_too() {
    let write = ["--event", "FS", "--action", "WRITE"];
    let with = |how: &str| with_handles(&[&write[..], &["--match", how]].concat()).exits(0);
    with_handles(&write).exits(0).says("denied by rule handles/written\n");
    with("allowed=beneath").says("allowed\n");
    with("trusted=dentry,inode").says("allowed\n");
    with("trusted=dentry").says("denied");
}

#[test]
fn a_mapping_may_be_of_nothing() {
    let map = ["--event", "MMAP_FILE", "--cookie", "5", "--match", "sandboxed=beneath", "--prot", "5"];
    with_handles(&map).exits(0).says("denied by rule handles/mapped\n");
    with_handles(&[&map[..], &["--anonymous"]].concat()).exits(0).says("allowed\n");
}

#[test]
fn mistakes_about_hooks_and_handles_are_told() {
    let misused = |arguments: &[&str], why: &str| {
        with_handles(arguments).exits(2).prints("").complains(why);
    };
    let open = ["--event", "FILE_OPEN", "--cookie", "5"];
    let matching = |how| [&open[..], &["--match", how]].concat();
    misused(&["--event", "FILE_OPEN"], "this event takes --cookie");
    misused(&["--event", "FS", "--cookie", "5"], "event FS takes --action");
    misused(&["--event", "FILE_OPEN", "--cookie", "65536"], "a cookie is at most 65535");
    misused(&["--event", "FS", "--action", "READ", "--cookie", "5"], "--cookie");
    misused(&matching("nosuch=same"), "no rule has a map nosuch");
    misused(&matching("allowed"), "MAP=HOW");
    misused(&matching("allowed=behind"), "unknown: behind; there are same, beneath");
    misused(&matching("sandboxed=inode"), "map sandboxed is of cgroups");
    let full: Vec<&str> = open.into_iter().chain(["--match", "trusted=same"].repeat(3)).collect();
    misused(&full, "map trusted: there is room for 2 handles");
}

#[test]
fn filters_hand_on_cookies_or_stop_the_system_call() {
    let folder = Folder::new();
    folder.write("five.bpf", filter(257, 0x0007_0005));
    folder.write("errno.bpf", filter(257, 0x0005_000d));
    folder.write("rule.s", ".rule rule\n.event FILE_OPEN\n r0 = *(u16 *)(r1 + 4)\n exit\n");
    let ask = |more: &[&str]| {
        let all = [&["simulate", "--event", "FILE_OPEN"], more].concat();
        folder.landlock(all).exits(0).quiet()
    };
    ask(&["--filter", "five.bpf", "rule.s", "--syscall", "257"])
        .says("denied by rule rule\n  filter 0: cookie 5\n  rule 0 (rule) denies with EIO, for cookie 5\n");
    ask(&["--filter", "five.bpf", "rule.s", "--syscall", "2"])
        .prints("allowed: no rule is asked\n  filter 0: ALLOW\n");
    // A filter that is newer than the rule hands nothing on to it.
    let newer = ask(&["rule.s", "--filter", "five.bpf", "--syscall", "257"]);
    newer.prints("allowed: no rule is asked\n  filter 0: cookie 5\n");
    ask(&["--filter", "five.bpf", "--filter", "errno.bpf", "rule.s", "--syscall", "257"])
        .prints("denied by a filter: ERRNO 13\n  filter 0: ERRNO 13\n  filter 1: cookie 5\n");
    // What filters look at besides: an argument here.
    let mut by_argument = filter(7, 0x0007_0005);
    by_argument[4] = 16;
    folder.write("argument.bpf", by_argument);
    let first = |value| ask(&["--filter", "argument.bpf", "rule.s", "--syscall", "257", "--args", value]);
    first("7,0xffffffffffffffff").says("denied by rule rule\n");
    first("6").says("allowed: no rule is asked\n");
}

#[test]
fn filters_have_their_say_about_rules_of_the_file_system_too() {
    let folder = Folder::new();
    folder.write("errno.bpf", filter(257, 0x0005_000d));
    folder.write("rule.s", ".rule rule\n.event FS\n r0 = 1\n exit\n");
    let ask = |nr: &str, more: &[&str]| {
        let question =
            ["simulate", "--filter", "errno.bpf", "--event", "FS", "--action", "READ", "--syscall", nr];
        folder.landlock([&question, more].concat()).exits(0)
    };
    ask("257", &["rule.s"]).says("denied by a filter: ERRNO 13\n");
    ask("2", &["rule.s"]).says("denied by rule rule\n  filter 0: ALLOW\n");
    ask("2", &[]).says("allowed: no rule is asked\n");
    let ran = ask("257", &["rule.s", "--json"]);
    let answer: serde_json::Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!((&answer["stopped"], &answer["denied"]), (&"ERRNO 13".into(), &true.into()));
    assert_eq!(answer["filters"][0]["said"], "ERRNO 13");
}

#[test]
fn mistakes_about_filters_are_told() {
    let folder = Folder::new();
    folder.write("five.bpf", filter(257, 0x0007_0005));
    folder.write("cut.bpf", &filter(257, 0)[..12]);
    folder.write("rule.s", ".rule rule\n.event FILE_OPEN\n r0 = *(u16 *)(r1 + 4)\n exit\n");
    let ask =
        |more: &[&str]| folder.landlock([&["simulate", "rule.s", "--event", "FILE_OPEN"], more].concat());
    ask(&["--filter", "five.bpf"]).exits(2).complains("--filter takes --syscall");
    ask(&["--filter", "five.bpf", "--cookie", "5"]).exits(2).complains("--cookie");
    ask(&["--syscall", "1", "--args", "1,2,3,4,5,6,7"]).exits(2).complains("at most 6 arguments");
    ask(&["--filter", "cut.bpf", "--syscall", "1"]).exits(1).prints("").complains("cut.bpf: ");
}
