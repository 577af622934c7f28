// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sandboxes inside sandboxes: rules add up, newest first, for what enters and for nothing else.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use support::{Bench, TRANSPARENT, state, until};

const NEW: u32 = 8;
const REMOVE: u32 = 32;

/// Denies every question with one of `actions`.
fn deny(bench: &Bench, name: &str, actions: u32) -> PathBuf {
    let text = format!(
        ".rule {name}\n.event FS\n.license \"GPL\"\nr2 = *(u64 *)(r1 + 24)\nr0 = 0\nr2 &= {actions}\n\
         if r2 == 0 goto out\nr0 = 1\nout:\nexit\n"
    );
    bench.rule(name, &text)
}

/// A sandbox whose filter notifies everything, so that any rule can be prepended in it.
fn wide(bench: &Bench) -> PathBuf {
    bench.rule("transparent", TRANSPARENT)
}

/// The words that run a command in a sandbox of its own; denials also go to the file `inner`.
fn sandbox(bench: &Bench, rules: &[&Path]) -> String {
    let command = bench.confined(rules, "");
    let mut words: Vec<String> = vec![command.get_program().display().to_string(), "inner".into()];
    words.extend(rules.iter().map(|rule| rule.display().to_string()));
    format!("{} --", words.join(" "))
}

fn inner_denials(bench: &Bench) -> Vec<serde_json::Value> {
    let log = std::fs::read_to_string(bench.path("inner")).unwrap_or_default();
    log.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

fn shell(bench: &Bench, rules: &[&Path], script: &str) -> support::Outcome {
    bench.run(bench.confined(rules, "sh").args(["-c", script]))
}

#[test]
fn the_inner_rules_hold_inside_and_nowhere_else() {
    let bench = Bench::new();
    let (outer, inner) = (wide(&bench), deny(&bench, "no_new", NEW));
    let nested = sandbox(&bench, &[&inner]);
    let script = format!(
        "touch before && {nested} sh -c 'touch in; sh -c \"touch deep; exec touch deeper\"; rm before' && \
         touch after; echo in* deep* *r*"
    );
    let outcome = shell(&bench, &[&outer], &script);
    assert_eq!(outcome.printed().trim(), "inner deep* after inner transparent.s", "{outcome:?}");
    for denials in [&outcome.denials, &inner_denials(&bench)] {
        let names: Vec<_> = denials.iter().map(|denial| denial["object"]["path"].as_str().unwrap()).collect();
        let names: Vec<_> = names.iter().filter_map(|path| path.rsplit('/').next()).collect();
        assert_eq!(names, ["in", "deep", "deeper"], "{denials:?}");
        assert!(denials.iter().all(|denial| denial["rule"]["name"] == "no_new"), "{denials:?}");
    }
}

#[test]
fn the_outer_rules_go_on_holding_and_the_newest_is_asked_first() {
    let bench = Bench::new();
    let outer = [wide(&bench), deny(&bench, "outer", NEW | REMOVE)];
    let inner = deny(&bench, "inner_rule", NEW);
    bench.file("kept", 0o644, "");
    bench.file("inner", 0o644, "");
    let script = format!("{} sh -c 'touch made; rm -f kept'; touch later", sandbox(&bench, &[&inner]));
    let outcome = shell(&bench, &[&outer[0], &outer[1]], &script);
    let by: Vec<_> = outcome.denials.iter().map(|denial| denial["rule"]["name"].as_str().unwrap()).collect();
    assert_eq!(by, ["inner_rule", "outer", "outer"], "{outcome:?}");
    assert_eq!(outcome.denials[0]["rule"]["index"], 0);
    assert_eq!(outcome.denials[1]["rule"]["index"], 1);
    assert!(bench.path("kept").exists() && !bench.path("made").exists() && !bench.path("later").exists());
    // What the outer sandbox is refused outside is none of the inner one's.
    assert_eq!(inner_denials(&bench).len(), 2);
}

#[test]
fn sandboxes_side_by_side_know_nothing_of_each_other() {
    let bench = Bench::new();
    let outer = wide(&bench);
    let [no_new, no_remove] =
        [sandbox(&bench, &[&deny(&bench, "a", NEW)]), sandbox(&bench, &[&deny(&bench, "b", REMOVE)])];
    bench.file("old", 0o644, "");
    let script = format!(
        "{no_new} sh -c 'read go; touch made; rm old && echo removed' < go & \
         {no_remove} sh -c 'echo > go; touch other && echo made; rm other'; wait"
    );
    let script = format!("mkfifo go; {script}");
    let outcome = shell(&bench, &[&outer], &script);
    let mut said: Vec<_> = outcome.printed().lines().collect();
    said.sort_unstable();
    assert_eq!(said, ["made", "removed"], "{outcome:?}");
    assert!(bench.path("other").exists() && !bench.path("made").exists());
}

#[test]
fn nobody_leaves_a_domain_by_its_number() {
    let bench = Bench::new();
    let probe = bench.probe("persona", &[]);
    let (outer, inner) = (wide(&bench), deny(&bench, "no_new", NEW));
    // 1 is ours, 2 a sibling's, 3 nobody's.
    let sibling = sandbox(&bench, &[&deny(&bench, "no_remove", REMOVE)]);
    let probe = probe.display();
    let nested = sandbox(&bench, &[&inner]);
    // Also without a log of its own, which would make another domain of it.
    let script =
        format!("{nested} {sibling} true; {nested} {probe} 100 200 300 10000 f0000000 0 +40000 +0 40000");
    let outcome = shell(&bench, &[&outer], &script);
    let last: Vec<_> = outcome.printed().lines().collect();
    let expected = [
        "100: EPERM",
        "200: EPERM",
        "300: set",
        "10000: EPERM",
        "f0000000: EPERM",
        "0: set",
        "+40000: set",
        "+0: set",
        "40000: set",
        "made: 0 0 0",
    ];
    assert_eq!(last, expected, "{outcome:?}");
    // Outside of any inner sandbox a thread may enter one that is there, and no other.
    let script = format!("{probe} 100 10000; {nested} true; {probe} 40000 0 200 100; {probe} 100 0 200");
    let outcome = shell(&bench, &[&outer], &script);
    let said: Vec<_> = outcome.printed().lines().collect();
    let expected = [
        "100: EPERM",
        "10000: EPERM",
        "made: 1 1 1",
        "40000: set",
        "0: set",
        "200: EPERM",
        "100: set",
        "made: 0 0 0",
        "100: set",
        "0: set",
        "200: EPERM",
        "made: 0 0 0",
    ];
    assert_eq!(said, expected, "{outcome:?}");
}

#[test]
fn rules_the_filter_is_too_narrow_for_are_refused_and_nothing_runs() {
    let bench = Bench::new();
    let (no_new, no_remove) = (deny(&bench, "no_new", NEW), deny(&bench, "no_remove", REMOVE));
    let script = format!("{} touch ran; touch out; true", sandbox(&bench, &[&no_new]));
    bench.file("inner", 0o644, "");
    let outcome = shell(&bench, &[&no_remove], &script);
    assert!(outcome.stderr.contains("start the outer one with --stackable"), "{outcome:?}");
    assert!(!bench.path("ran").exists() && bench.path("out").exists());
    // The same rules fit, and so do those that deny less.
    let script = format!("{} sh -c 'rm out; touch ran'", sandbox(&bench, &[&no_remove]));
    let outcome = shell(&bench, &[&no_remove], &script);
    assert!(bench.path("ran").exists() && bench.path("out").exists(), "{outcome:?}");
    // And any do where the outer sandbox was started for it.
    let mut stackable = bench.plain(support::driver());
    stackable.args(["--stackable", "log"]).arg(&no_remove).args(["--", "sh", "-c"]);
    let script = format!("{} sh -c 'touch no; rm out'; touch yes", sandbox(&bench, &[&no_new]));
    let outcome = bench.run(stackable.arg(script));
    let by: Vec<_> = outcome.denials.iter().map(|denial| denial["rule"]["name"].as_str().unwrap()).collect();
    assert_eq!(by, ["no_new", "no_remove"], "{outcome:?}");
    assert!(bench.path("yes").exists() && bench.path("out").exists() && !bench.path("no").exists());
}

#[test]
fn they_nest_as_deep_as_mainline_landlock_does() {
    const DEEPEST: usize = 15;
    let bench = Bench::new();
    let outer = wide(&bench);
    let levels: Vec<PathBuf> = (1..=DEEPEST).map(|n| deny(&bench, &format!("level{n}"), NEW)).collect();
    let nested = |depth: usize| -> String {
        let sandboxes: Vec<_> = levels[..depth - 1].iter().map(|rule| sandbox(&bench, &[rule])).collect();
        format!("{} sh -c 'touch made; echo ran'", sandboxes.join(" "))
    };
    bench.file("inner", 0o644, "");
    for depth in [2, 3, 8, DEEPEST] {
        let outcome = shell(&bench, &[&outer], &nested(depth));
        assert_eq!(outcome.stdout, "ran\n", "{depth}: {outcome:?}");
        let [denial] = &outcome.denials[..] else { panic!("{depth}: {outcome:?}") };
        assert_eq!(denial["rule"]["name"], format!("level{}", depth - 1));
    }
    let outcome = shell(&bench, &[&outer], &nested(DEEPEST + 1));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (125, ""), "{outcome:?}");
    assert!(outcome.stderr.contains("cannot nest deeper"), "{outcome:?}");
}

/// What the supervisor opens for the inner command is checked against the supervisor, which may do more.
#[test]
fn nothing_of_the_outer_sandbox_is_reached_from_the_inner_one() {
    let bench = Bench::new();
    let probe = bench.probe("boundary", &[]);
    let (outer, inner) = (wide(&bench), deny(&bench, "no_remove", REMOVE));
    let probe = probe.display();
    let nested = sandbox(&bench, &[&inner]);
    // Over an exec, and while its own calls are made for it, it is traced by the supervisor.
    let sleeps = |pid: &str| format!("until grep -q \"^230 \" /proc/{pid}/syscall; do sleep 0.02; done");
    let sleeping = format!("sleep 1000 & {}", sleeps("$!"));
    let script = |before: &str| format!("{sleeping}; {before} {probe} $!; kill $!");
    let reached =
        |outcome: &support::Outcome| outcome.printed().lines().map(str::to_owned).collect::<Vec<_>>();
    let flat = reached(&shell(&bench, &[&outer], &script("")));
    assert!(flat.len() > 12, "{flat:#?}");
    let outcome = shell(&bench, &[&outer], &script(&nested));
    assert!(reached(&outcome).is_empty(), "{outcome:#?}");
    // The other way round, and within the inner one, it is as ever.
    let within = reached(&shell(&bench, &[&outer], &format!("{nested} sh -c '{}'", script(""))));
    assert!(within.len() >= flat.len() - 1, "{within:#?}");
    let script = format!(
        "{nested} sleep 1000 & until child=$(pgrep -x -P $! sleep); do sleep 0.02; done; {}; {probe} $child; kill $!",
        sleeps("$child")
    );
    let down = reached(&shell(&bench, &[&outer], &script));
    assert!(down.len() >= flat.len() - 2, "{down:#?}");
    // What everybody may know stays known.
    let script = format!(
        "{sleeping}; {nested} sh -c \"cat /proc/$!/comm /proc/$!/task/$!/comm; ls /proc/$! | grep -c .\"; kill $!"
    );
    let outcome = shell(&bench, &[&outer], &script);
    assert!(outcome.printed().starts_with("sleep\nsleep\n"), "{outcome:?}");
}

#[test]
fn it_ends_as_the_inner_command_ends_and_says_why_it_did_not_start() {
    let bench = Bench::new();
    let (outer, inner) = (wide(&bench), deny(&bench, "no_new", NEW));
    let nested = sandbox(&bench, &[&inner]);
    for (command, code) in
        [("sh -c 'exit 7'", 7), ("sh -c 'kill -TERM $$'", 143), ("sh -c 'kill -KILL $$'", 137)]
    {
        assert_eq!(shell(&bench, &[&outer], &format!("{nested} {command}")).code, code, "{command}");
    }
    let outcome = shell(&bench, &[&outer], &format!("{nested} ./none"));
    assert!(outcome.stderr.contains("not started: No such file"), "{outcome:?}");
}

/// Starts a shell in an inner sandbox and hands back its waiter, which the outer shell became.
fn start_inner(
    bench: &Bench,
    script: &str,
) -> (std::process::Child, BufReader<std::process::ChildStdout>, Pid) {
    let (outer, inner) = (wide(bench), deny(bench, "no_new", NEW));
    let mut command: Command = bench.confined(&[&outer], "sh");
    command.args(["-c", &format!("echo $$; exec {} sh -c '{script}'", sandbox(bench, &[&inner]))]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("start");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut waiter = String::new();
    output.read_line(&mut waiter).expect("a line");
    (child, output, waiter.trim().parse().ok().and_then(Pid::from_raw).expect("a pid"))
}

#[test]
fn a_signal_for_the_inner_waiter_reaches_the_command() {
    let bench = Bench::new();
    let script = "trap \"echo taken; exit 5\" TERM; echo ready; while :; do sleep 0.02; done";
    let (mut child, mut output, waiter) = start_inner(&bench, script);
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    kill_process(waiter, Signal::TERM).expect("kill");
    output.read_to_string(&mut line).expect("the rest");
    assert_eq!(line, "ready\ntaken\n");
    assert_eq!(child.wait().expect("wait").code(), Some(5));
}

/// Once without a stop, and once with: it goes on either way.
#[test]
fn an_inner_waiter_that_was_stopped_waits_on() {
    for stops in [false, true] {
        let bench = Bench::new();
        let script = "echo ready; while ! [ -e go ]; do sleep 0.02; done; exit 5";
        let (mut child, mut output, waiter) = start_inner(&bench, script);
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        if stops {
            until("the waiter waits", || state(waiter) == "S");
            kill_process(waiter, Signal::STOP).expect("kill");
            until("the waiter has stopped", || state(waiter) == "T");
            kill_process(waiter, Signal::CONT).expect("kill");
        }
        bench.file("go", 0o644, "");
        assert_eq!(child.wait().expect("wait").code(), Some(5), "stopped: {stops}");
    }
}

#[test]
fn who_kills_the_inner_waiter_kills_the_command() {
    let bench = Bench::new();
    let (mut child, mut output, waiter) = start_inner(&bench, "echo ready; exec sleep 1000");
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    kill_process(waiter, Signal::KILL).expect("kill");
    output.read_to_string(&mut line).expect("the rest: a pipe ends with the command");
    assert!(child.wait().expect("wait").code() == Some(137));
}

/// The inner waiter is under the outer rules: whatever they deny, it must get its command confined.
#[test]
fn the_outer_rules_may_deny_all_writing() {
    const WRITE: u32 = 2;
    let bench = Bench::new();
    let outer = [wide(&bench), deny(&bench, "no_write", WRITE)];
    let inner = deny(&bench, "no_new", NEW);
    let command = bench.confined(&[], "");
    let nested = format!("{} - {} --", command.get_program().display(), inner.display());
    let outcome = shell(&bench, &[&outer[0], &outer[1]], &format!("{nested} sh -c 'exit 7'"));
    assert_eq!(outcome.code, 7, "{outcome:?}");
}

/// The supervisor lets go of an inner log with its sandbox: what waits for the end of a pipe does not wait for ever.
#[test]
fn the_inner_log_ends_with_its_command() {
    let bench = Bench::new();
    let (outer, inner) = (wide(&bench), deny(&bench, "no_new", NEW));
    let nested = sandbox(&bench, &[&inner]).replace(" inner ", " /dev/stdout ");
    let script = format!("said=$({nested} sh -c 'touch made 2> /dev/null'); echo \"$said\"; echo after");
    let outcome = shell(&bench, &[&outer], &script);
    let lines: Vec<_> = outcome.printed().lines().collect();
    assert!(lines[0].contains("\"no_new\"") && lines[1..] == ["after"], "{outcome:?}");
}

/// What the supervisor does for a caller would not be held to the caller's own layer of mainline Landlock.
#[test]
fn mainline_landlock_is_switched_off_inside() {
    const CREATE_RULESET: &str = "444";
    const VERSION: &str = "1";
    const EOPNOTSUPP: i32 = 95;
    let bench = Bench::new();
    let call = bench.probe("call", &[]);
    let outer = wide(&bench);
    let arguments = [CREATE_RULESET, "0", "0", VERSION];
    assert_eq!(bench.run(bench.plain(&call).args(arguments)).code, 0);
    assert_eq!(bench.run(bench.confined(&[&outer], &call).args(arguments)).code, EOPNOTSUPP);
    let nested = sandbox(&bench, &[&deny(&bench, "no_new", NEW)]);
    bench.file("inner", 0o644, "");
    let script = format!("{nested} {} {}", call.display(), arguments.join(" "));
    assert_eq!(shell(&bench, &[&outer], &script).code, EOPNOTSUPP);
}
