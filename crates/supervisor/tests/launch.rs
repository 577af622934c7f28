// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starting, signalling and ending a confined command, and what is left when one of our processes dies.

mod support;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use support::{Bench, NO_STICKY_PROGRAMS, TRANSPARENT, child_of, state, until};

fn transparent() -> (Bench, PathBuf) {
    let bench = Bench::new();
    let rule = bench.rule("transparent", TRANSPARENT);
    (bench, rule)
}

/// A confined shell that prints a line before the rest of `script`; the line, and what it prints later.
fn start(
    bench: &Bench,
    rules: &[&Path],
    script: &str,
) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let mut command = bench.confined(rules, "sh");
    let mut child = command.args(["-c", script]).stdout(Stdio::piped()).spawn().expect("start");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    output.read_line(&mut line).expect("a first line");
    (child, output, line.trim_end().to_owned())
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_child(child)
}

fn is_running(command: &str) -> bool {
    !matches!(state(pid(command)).as_str(), "" | "Z")
}

fn pid(text: &str) -> Pid {
    text.parse().ok().and_then(Pid::from_raw).expect("a pid")
}

#[test]
fn it_ends_as_the_command_ends() {
    let (bench, rule) = transparent();
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)] {
        assert_eq!(bench.run(bench.confined(&[&rule], "sh").args(["-c", script])).code, code, "{script}");
    }
}

#[test]
fn what_cannot_be_started_says_why() {
    let (bench, rule) = transparent();
    let outcome = bench.run(&mut bench.confined(&[&rule], "./none"));
    assert!(outcome.stderr.contains("not started: No such file or directory"), "{outcome:?}");
    bench.file("plain", 0o644, "");
    let outcome = bench.run(&mut bench.confined(&[&rule], "./plain"));
    assert!(outcome.stderr.contains("not started: Permission denied"), "{outcome:?}");
}

#[test]
fn a_signal_for_the_waiter_reaches_the_command() {
    let (bench, rule) = transparent();
    let script = "trap 'echo taken; exit 5' TERM; echo ready; while :; do sleep 0.02; done";
    let (mut child, mut output, ready) = start(&bench, &[&rule], script);
    assert_eq!(ready, "ready");
    kill_process(pid_of(&child), Signal::TERM).expect("kill");
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("the rest");
    assert_eq!((rest.as_str(), child.wait().expect("wait").code()), ("taken\n", Some(5)));
}

#[test]
fn the_waiter_stops_and_continues_with_the_command() {
    let (bench, rule) = transparent();
    let (mut child, mut output, _) = start(&bench, &[&rule], "echo ready; kill -STOP $$; echo on");
    let (_, status) = waitpid(Some(pid_of(&child)), WaitOptions::UNTRACED).expect("wait").expect("a change");
    assert!(status.stopped(), "{status:?}");
    kill_process(pid_of(&child), Signal::CONT).expect("kill");
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("the rest");
    assert_eq!((rest.as_str(), child.wait().expect("wait").code()), ("on\n", Some(0)));
}

/// Whoever stops a command need not be who started it, nor who continues or kills it.
#[test]
fn a_command_that_others_stop_and_continue_is_waited_for() {
    let (bench, rule) = transparent();
    let when_stopped = |then: &str| {
        format!(
            "(until grep -q '^State:.T' /proc/$$/status; do sleep 0.02; done; {then}) & kill -STOP $$; exit 7"
        )
    };
    for (then, code) in [("kill -CONT $$", 7), ("kill -KILL $$", 137)] {
        let script = when_stopped(then);
        assert_eq!(bench.run(bench.plain("sh").args(["-c", &script])).code, code, "{then}");
        assert_eq!(bench.run(bench.confined(&[&rule], "sh").args(["-c", &script])).code, code, "{then}");
    }
}

#[test]
fn a_shell_controls_it_like_any_job() {
    let (bench, rule) = transparent();
    let terminal = bench.probe("terminal", &["-lutil"]);
    bench.file(
        "job",
        0o755,
        format!("#!/bin/sh\nexec {} -c 'echo begun; exec cat'\n", words(&bench.confined(&[&rule], "sh"))),
    );
    let steps = [
        &["<at ease ", ">./job\\n", "<begun", ">hello\\n", "<hello", "<hello"][..],
        &[">^Z", "<Stopped", "<at ease ", ">jobs\\n", "<Stopped", "<at ease "],
        &[
            ">fg\\n",
            "<./job",
            ">again\\n",
            "<again",
            "<again",
            ">^C",
            "<at ease ",
            ">echo code $?\\n",
            "<code 130",
            "<at ease ",
        ],
        &[
            ">./job\\n",
            "<begun",
            ">last\\n",
            "<last",
            "<last",
            ">^D",
            "<at ease ",
            ">echo code $?\\n",
            "<code 0",
            "<at ease ",
        ],
        &[
            ">./job &\\n",
            "<begun",
            // It reads, which is not for the background.
            ">until jobs -s | grep job; do sleep 0.05; done\\n",
            "<Stopped",
            "<at ease ",
            ">fg\\n",
            "<./job",
            ">back\\n",
            "<back",
            "<back",
            ">^C",
            "<at ease ",
            ">exit\\n",
        ],
    ];
    let mut command = bench.plain(terminal);
    command.arg("PS1='at ease ' exec bash --norc --noprofile -i").args(steps.concat());
    let outcome = bench.run(&mut command);
    assert_eq!(outcome.stdout, "all seen\n", "{outcome:?}");
}

/// A command as a shell would read it.
fn words(command: &Command) -> String {
    let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_str().expect("UTF-8"));
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(quoted).collect::<Vec<String>>().join(" ")
}

#[test]
fn a_daemon_stays_confined_and_served_after_the_command() {
    let bench = Bench::new();
    let rules = [bench.rule("transparent", TRANSPARENT), bench.rule("sticky", NO_STICKY_PROGRAMS)];
    bench.file("denied", 0o1755, "#!/bin/sh\necho ran > ran\n");
    let daemon = "while ! [ -e go ]; do sleep 0.02; done; echo written > file; ./denied; echo $? > code.new; mv code.new code";
    let script = format!("(setsid sh -c '{daemon}' > /dev/null 2>&1 &)");
    let after = |mut command: Command| {
        for name in ["go", "code", "ran", "file"] {
            drop(std::fs::remove_file(bench.path(name)));
        }
        // It returns with the command, and nobody holds the pipe of its output.
        assert_eq!(bench.run(command.args(["-c", &script])).code, 0);
        bench.file("go", 0o644, "");
        until("the daemon is done", || bench.path("code").exists());
        let read = |name| std::fs::read_to_string(bench.path(name)).unwrap_or_default();
        (read("code"), read("file"), read("ran"))
    };
    let expected = |code: &str, ran: &str| (code.to_owned(), "written\n".to_owned(), ran.to_owned());
    assert_eq!(after(bench.plain("sh")), expected("0\n", "ran\n"));
    assert_eq!(after(bench.confined(&[&rules[0], &rules[1]], "sh")), expected("126\n", ""));
    assert_eq!(bench.denials().len(), 1);
}

#[test]
fn killing_the_waiter_kills_the_command() {
    let (bench, rule) = transparent();
    let (mut child, _output, command) = start(&bench, &[&rule], "echo $$; while :; do sleep 0.05; done");
    assert!(is_running(&command));
    child.kill().expect("kill");
    child.wait().expect("wait");
    until("the command ends", || !is_running(&command));
}

#[test]
fn without_a_supervisor_nothing_hangs_and_nothing_opens() {
    let bench = Bench::new();
    let rule = bench.rule("sticky", &NO_STICKY_PROGRAMS.replace("r2 & 1", "r2 & 4"));
    bench.file("allowed", 0o644, "");
    bench.file("denied", 0o1644, "");
    let load = bench.probe("load", &[]);
    let script = format!("exec {} allowed denied", load.display());
    let (mut child, mut output, ready) = start(&bench, &[&rule], &script);
    assert_eq!(ready, "ready");
    std::thread::sleep(Duration::from_millis(200));
    let supervisor = child_of(&child.id().to_string());
    kill_process(pid(&supervisor), Signal::KILL).expect("kill");
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("the rest");
    assert_eq!(rest, "0 opened, then Function not implemented\n");
    assert_eq!(child.wait().expect("wait").code(), Some(0), "the reaper still tells how it ended");
    let plain = bench.run(bench.plain(&load).args(["allowed", "denied"]));
    assert_eq!(plain.stdout, "ready\n8 opened, then opened\n");
}

#[test]
fn blocked_opens_stop_nobody_else_and_signals_end_them() {
    let (bench, rule) = transparent();
    let probe = bench.probe("blocked", &[]);
    let plain = bench.run(&mut bench.plain(&probe));
    std::fs::remove_file(bench.path("fifo")).expect("remove");
    let confined = bench.run(&mut bench.confined(&[&rule], &probe));
    assert_eq!(confined.stdout, plain.stdout);
    assert_eq!(
        plain.stdout,
        "200 opens beside blocked ones\n150 ended by a signal, 150 opened\n\
         with a handler: -1, Interrupted system call\nwith a restarting handler: opened\n"
    );
}

#[test]
fn programs_with_filters_of_their_own_work() {
    let (bench, rule) = transparent();
    let probe = bench.probe("filters", &[]);
    let plain = bench.run(&mut bench.plain(&probe));
    assert!(plain.stdout.ends_with("child: signal 31\n"), "{plain:?}");
    assert_eq!(bench.run(&mut bench.confined(&[&rule], &probe)).stdout, plain.stdout);
}

#[test]
fn a_storm_of_programs_is_survived() {
    let (bench, rule) = transparent();
    let script =
        "seq 400 | xargs -P 16 -n 1 echo | sort -n | tail -n 1; seq 400 | xargs -P 16 -n 1 echo | wc -l";
    let outcome = bench.run(bench.confined(&[&rule], "sh").args(["-c", script]));
    assert_eq!(outcome.stdout, "400\n400\n", "{outcome:?}");
}

#[test]
fn the_command_keeps_its_descriptor_limit() {
    let (bench, rule) = transparent();
    let confined = words(&bench.confined(&[&rule], "sh"));
    let script = format!("ulimit -S -n 100; {confined} -c 'ulimit -n'");
    assert_eq!(bench.run(bench.plain("sh").args(["-c", &script])).stdout, "100\n");
}

#[test]
fn nothing_runs_where_the_sandbox_cannot_be_made() {
    let (bench, rule) = transparent();
    let confined = words(&bench.confined(&[&rule], "touch"));
    let listened = bench.probe("listener", &[]);
    let cases = [
        (format!("ulimit -n 6; {confined} ran"), "Too many open files"),
        (format!("unshare -m sh -c \"mount -t tmpfs none /proc; {confined} ran\""), "/proc"),
        (format!("{} {confined} ran", listened.display()), "already"),
    ];
    for (script, says) in cases {
        let outcome = bench.run(bench.plain("sh").args(["-c", &script]));
        assert_eq!(outcome.code, 125, "{script}: {outcome:?}");
        assert!(outcome.stderr.contains(says), "{script}: {outcome:?}");
        assert!(!bench.path("ran").exists(), "{script}");
    }
}

/// Whatever is the first to run out, the command runs served or does not run.
#[test]
fn short_of_processes_or_descriptors_it_runs_or_it_does_not() {
    let (bench, rule) = transparent();
    // An unprivileged user's limits count.
    std::fs::set_permissions(bench.path(""), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .expect("chmod");
    let confined = bench.confined(&[&rule], "touch");
    bench.file("confine", 0o755, std::fs::read(confined.get_program()).expect("the driver"));
    let limits =
        (1..12).map(|n| format!("-u {n}")).chain([4, 6, 8, 11, 16, 63, 64].map(|n| format!("-n {n}")));
    let mut outcomes = Vec::new();
    for limit in limits {
        drop(std::fs::remove_file(bench.path("ran")));
        let script = format!("ulimit {limit}; exec ./confine denials transparent.s -- touch ran");
        let mut command = bench.plain("sh");
        if rustix::process::geteuid().is_root() {
            command = bench.plain("setpriv");
            command.args(["--reuid", "65534", "--clear-groups", "sh"]);
        }
        let outcome = bench.run(command.args(["-c", &script]));
        let ran = bench.path("ran").exists();
        assert!(ran || !outcome.stderr.is_empty(), "{limit}: {outcome:?}");
        assert_eq!(outcome.code, if ran { 0 } else { 125 }, "{limit}: {outcome:?}");
        outcomes.push(ran);
    }
    assert!(outcomes.contains(&true) && outcomes.contains(&false), "{outcomes:?}");
}
