// SPDX-License-Identifier: MIT OR Apache-2.0
//! Does the guest keep its promises? Every case below boots a real kernel; together they take about a
//! minute and a half.
//!
//! A failing case names itself and says what was expected and what happened; the others still run.

use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};

use super::NO_VERDICT;

/// One boot: arguments of `cargo xtask vm`, and what must come of them.
struct Case {
    promise: &'static str,
    arguments: &'static [&'static str],
    status: u8,
    /// Exactly what the command writes to standard output.
    out: &'static str,
    /// What standard error contains.
    err: &'static str,
}

const SAYS: Case = Case { promise: "", arguments: &[], status: 0, out: "", err: "" };

const CASES: &[Case] = &[
    Case {
        promise: "6.1 boots with everything mounted, a disk, two processors and the LSMs it is required to have",
        arguments: &[
            "--kernel=6.1",
            "--disk",
            "--smp=2",
            "--require=lsm=bpf",
            "--require=btf",
            "--require=preempt=voluntary",
            "--",
            "sh",
            "-c",
            EVERYTHING,
        ],
        out: "6.1 2 root ext4\n",
        ..SAYS
    },
    Case {
        promise: "6.12 boots without the bpf LSM and fully preemptible, in a user's hands",
        arguments: &[
            "--kernel=6.12",
            "--user",
            "--append=lsm=landlock,lockdown,yama preempt=full",
            "--require=no-lsm=bpf",
            "--require=preempt=full",
            "--env=WORD=it's",
            "--",
            "sh",
            "-c",
            "touch /etc/passwd || touch /tmp/x && echo $(id -un) $WORD",
        ],
        out: "user it's\n",
        err: "Permission denied",
        ..SAYS
    },
    Case {
        promise: "the latest kernel boots and counts instructions",
        arguments: &[
            "--kernel=latest",
            "--icount",
            "--",
            "sh",
            "-c",
            "[ -e /sys/kernel/btf/vmlinux ] && echo ok",
        ],
        out: "ok\n",
        ..SAYS
    },
    Case {
        promise: "the command's status and both of its streams are ours, whatever it leaves running",
        arguments: &["--", "sh", "-c", "echo out; echo err > /dev/stderr; sleep 1000 & exit 42"],
        status: 42,
        out: "out\n",
        err: "err",
    },
    Case {
        promise: "a program built from this workspace runs in the guest",
        arguments: &["--cargo-bin=xtask", "--", "sh", "-c", "xtask --help | head -n 1"],
        out: "What the project does to itself\n",
        ..SAYS
    },
    Case {
        promise: "Python and ordinary tools come along",
        arguments: &[
            "--userland",
            "--",
            "timeout",
            "200",
            "python3",
            "-S",
            "-c",
            "import ctypes, sys; print(sys.flags.no_site)",
        ],
        out: "1\n",
        ..SAYS
    },
    Case {
        promise: "systemd is the first process, and the command's status and streams are ours all the same",
        arguments: &[
            "--systemd",
            "--",
            "sh",
            "-c",
            "cat /proc/1/comm; systemctl is-active guest sysinit.target; exit 3",
        ],
        status: 3,
        out: "systemd\nactive\nactive\n",
        ..SAYS
    },
    Case {
        promise: "an unmet requirement is no verdict",
        arguments: &["--require=preempt=none", "--", "echo", "ran"],
        status: NO_VERDICT,
        err: "preempt=none: the modes are",
        ..SAYS
    },
    Case {
        promise: "a panic is no verdict",
        arguments: &["--", "sh", "-c", "echo c > /proc/sysrq-trigger; sleep 100"],
        status: NO_VERDICT,
        err: "sysrq triggered crash",
        ..SAYS
    },
    Case {
        promise: "a hang is no verdict",
        arguments: &["--timeout=15", "--", "sleep", "1000"],
        status: NO_VERDICT,
        err: "did not end within 15 s",
        ..SAYS
    },
];

const EVERYTHING: &str = "set -e; cd /sys/fs/bpf; cd /sys/kernel/security; cd /sys/kernel/tracing/events; \
    cd /sys/fs/cgroup; test -e cgroup.procs; cd /proc/self; test -c /dev/ptmx -a -d /dev/pts; touch /mnt/x; \
    echo $(uname -r | cut -d. -f1,2) $(nproc) $(id -un) $(grep /mnt /proc/mounts | cut -d' ' -f3)";

/// Runs every case.
pub fn run() -> Result<ExitCode> {
    let mut failures = 0;
    for case in CASES {
        match check(case) {
            Ok(()) => println!("kept: {}", case.promise),
            Err(error) => {
                failures += 1;
                println!("BROKEN: {}\n{error:#}", case.promise);
            }
        }
    }
    println!("{} promises, {failures} broken", CASES.len());
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(case: &Case) -> Result<()> {
    let output = Command::new(std::env::current_exe()?).arg("vm").args(case.arguments).output()?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let shown = format!("stdout:\n{out}\nstderr:\n{err}");
    ensure!(
        output.status.code() == Some(case.status.into()),
        "{}, not {}\n{shown}",
        output.status,
        case.status
    );
    ensure!(out == case.out, "stdout is not {:?}\n{shown}", case.out);
    ensure!(err.contains(case.err), "stderr lacks {:?}\n{shown}", case.err);
    Ok(())
}
