// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tests that need a kernel of their own, in guests of every supported series.
//!
//! Such tests are ignored by `cargo test`. Each line of the table is one boot; a boot that does not come
//! up as the line says is a failure.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use landlock_compiler::clang::build;

/// One boot and the tests to run in it.
struct Run {
    /// Arguments of `cargo xtask vm`.
    guest: &'static [&'static str],
    /// The test executable and its arguments.
    tests: &'static [&'static str],
}

const WITHOUT_BPF: &str = "--append=lsm=landlock,lockdown,yama";
/// How such a guest must not preempt for the kernel target to work in it.
const NOT_PREEMPTED: &str = "--require=preempt=none,voluntary";
const KERNEL_TARGET: &str = "--cargo-test=landlock-kernel";
/// Verdicts, and what is particular to each way to attach programs.
const WITH_BPF: &str = "verdict --ignored --nocapture && attachment --ignored asked_alike with_bpf && \
                        landlock_kernel --ignored";
const WITHOUT_BPF_TESTS: &str =
    "verdict --ignored --nocapture && attachment --ignored asked_alike without_bpf";
/// The built `landlock` comes with its tests.
const COMMAND: &str = "--cargo-test=landlock-cli";
/// Some take down what is in force, so one after the other.
const HAMMER_AND_ATTACKS: &[&str] =
    &["sh", "-c", "hammer --ignored --nocapture && attacks --ignored --test-threads=1"];
/// The shipped rules are in this folder of the guest.
const RULES: &str = "--env=RULES=/rules";

/// Tests of the engine that run side by side, and those that do not because they count the kernel's objects.
const ENGINE: &[&str] = &["engine", "--ignored", "--skip=unprivileged", "--skip=accomplice", "--skip=alone"];
const ENGINE_ALONE: &[&str] = &["engine", "--ignored", "--nocapture", "--test-threads=1", "alone"];

const RUNS: &[Run] = &[
    Run {
        guest: &[
            "--kernel=6.1",
            "--cargo-test=landlock-bpf",
            "--require=lsm=bpf",
            "--env=PREEMPTION=voluntary",
        ],
        tests: &["kernel", "--ignored", "everywhere", "with_bpf_lsm"],
    },
    Run {
        guest: &[
            "--kernel=6.12",
            "--cargo-test=landlock-bpf",
            "--require=lsm=bpf",
            "--append=preempt=full",
            "--env=PREEMPTION=full",
            "--smp=2",
        ],
        tests: &["kernel", "--ignored", "everywhere", "with_bpf_lsm"],
    },
    Run {
        guest: &[
            "--kernel=latest",
            "--cargo-test=landlock-bpf",
            "--require=lsm=bpf",
            "--env=PREEMPTION=lazy",
        ],
        tests: &["kernel", "--ignored", "everywhere", "with_bpf_lsm"],
    },
    Run {
        guest: &[
            "--kernel=6.1",
            "--cargo-test=landlock-bpf",
            WITHOUT_BPF,
            "--require=no-lsm=bpf",
            "--env=PREEMPTION=voluntary",
        ],
        tests: &["kernel", "--ignored", "everywhere", "without_bpf_lsm"],
    },
    Run {
        guest: &[
            "--kernel=6.12",
            "--cargo-test=landlock-bpf",
            WITHOUT_BPF,
            "--require=no-lsm=bpf",
            "--env=PREEMPTION=voluntary",
        ],
        tests: &["kernel", "--ignored", "everywhere", "without_bpf_lsm"],
    },
    Run {
        guest: &["--kernel=6.12", "--cargo-test=landlock-bpf", "--user"],
        tests: &["kernel", "--ignored", "unprivileged"],
    },
    Run {
        guest: &["--kernel=6.1", KERNEL_TARGET, "--require=lsm=bpf", RULES, "--timeout=600"],
        tests: &["verifier", "--ignored", "--nocapture"],
    },
    Run {
        guest: &["--kernel=6.12", KERNEL_TARGET, "--require=lsm=bpf", RULES, "--timeout=600"],
        tests: &["verifier", "--ignored", "--nocapture"],
    },
    Run {
        guest: &["--kernel=latest", KERNEL_TARGET, "--require=lsm=bpf", RULES, "--timeout=600"],
        tests: &["verifier", "--ignored", "--nocapture"],
    },
    Run {
        guest: &[
            "--kernel=6.1",
            KERNEL_TARGET,
            "--require=lsm=bpf",
            "--append=preempt=full",
            "--smp=2",
            "--timeout=600",
        ],
        tests: ENGINE,
    },
    Run {
        guest: &[
            "--kernel=6.12",
            KERNEL_TARGET,
            "--require=lsm=bpf",
            "--append=preempt=full",
            "--smp=2",
            "--timeout=600",
        ],
        tests: ENGINE,
    },
    Run {
        guest: &["--kernel=latest", KERNEL_TARGET, "--require=lsm=bpf", "--smp=2", "--timeout=600"],
        tests: ENGINE,
    },
    Run {
        guest: &[
            "--kernel=6.1",
            KERNEL_TARGET,
            "--require=lsm=bpf",
            "--append=preempt=full",
            "--smp=2",
            "--timeout=1200",
        ],
        tests: ENGINE_ALONE,
    },
    Run {
        guest: &[
            "--kernel=6.12",
            KERNEL_TARGET,
            "--require=lsm=bpf",
            "--append=preempt=full",
            "--smp=2",
            "--timeout=1200",
        ],
        tests: ENGINE_ALONE,
    },
    Run {
        guest: &["--kernel=latest", KERNEL_TARGET, "--require=lsm=bpf", "--smp=2", "--timeout=2400"],
        tests: ENGINE_ALONE,
    },
    Run {
        guest: &[
            "--kernel=6.1",
            KERNEL_TARGET,
            "--userland",
            "--require=lsm=bpf",
            "--append=preempt=full",
            "--require=preempt=full",
            "--smp=2",
            "--timeout=600",
        ],
        tests: HAMMER_AND_ATTACKS,
    },
    Run {
        guest: &[
            "--kernel=6.12",
            KERNEL_TARGET,
            "--userland",
            "--require=lsm=bpf",
            "--append=preempt=full",
            "--require=preempt=full",
            "--smp=2",
            "--timeout=600",
        ],
        tests: HAMMER_AND_ATTACKS,
    },
    Run {
        guest: &[
            "--kernel=latest",
            KERNEL_TARGET,
            "--userland",
            "--require=lsm=bpf",
            "--require=preempt=lazy",
            "--smp=2",
            "--timeout=600",
        ],
        tests: HAMMER_AND_ATTACKS,
    },
    Run {
        guest: &[
            "--kernel=6.12",
            KERNEL_TARGET,
            "--userland",
            WITHOUT_BPF,
            "--append=preempt=voluntary",
            "--require=no-lsm=bpf",
            "--require=preempt=voluntary",
            "--smp=2",
            "--timeout=600",
        ],
        tests: HAMMER_AND_ATTACKS,
    },
    Run {
        guest: &["--kernel=6.1", KERNEL_TARGET, "--require=lsm=bpf", "--timeout=600"],
        tests: &["sh", "-c", WITH_BPF],
    },
    Run {
        guest: &["--kernel=6.12", KERNEL_TARGET, "--require=lsm=bpf", "--timeout=600"],
        tests: &["sh", "-c", WITH_BPF],
    },
    Run {
        guest: &["--kernel=latest", KERNEL_TARGET, "--require=lsm=bpf", "--timeout=600"],
        tests: &["sh", "-c", WITH_BPF],
    },
    Run {
        guest: &[
            "--kernel=6.1",
            KERNEL_TARGET,
            WITHOUT_BPF,
            "--require=no-lsm=bpf",
            NOT_PREEMPTED,
            "--smp=2",
            "--timeout=600",
        ],
        tests: ENGINE,
    },
    Run {
        guest: &[
            "--kernel=6.12",
            KERNEL_TARGET,
            WITHOUT_BPF,
            "--require=no-lsm=bpf",
            NOT_PREEMPTED,
            "--smp=2",
            "--timeout=600",
        ],
        tests: ENGINE,
    },
    Run {
        guest: &[
            "--kernel=6.1",
            KERNEL_TARGET,
            WITHOUT_BPF,
            "--require=no-lsm=bpf",
            NOT_PREEMPTED,
            "--timeout=600",
        ],
        tests: &["sh", "-c", WITHOUT_BPF_TESTS],
    },
    Run {
        guest: &[
            "--kernel=6.12",
            KERNEL_TARGET,
            WITHOUT_BPF,
            "--require=no-lsm=bpf",
            NOT_PREEMPTED,
            "--timeout=600",
        ],
        tests: &["sh", "-c", WITHOUT_BPF_TESTS],
    },
    Run {
        guest: &[
            "--kernel=6.1",
            KERNEL_TARGET,
            WITHOUT_BPF,
            "--append=preempt=full",
            "--require=no-lsm=bpf",
            "--env=PREEMPTION=full",
        ],
        tests: &["attachment", "--ignored", "preempted"],
    },
    Run {
        guest: &[
            "--kernel=6.12",
            KERNEL_TARGET,
            WITHOUT_BPF,
            "--append=preempt=full",
            "--require=no-lsm=bpf",
            "--env=PREEMPTION=full",
        ],
        tests: &["attachment", "--ignored", "preempted"],
    },
    Run {
        guest: &[
            "--kernel=latest",
            KERNEL_TARGET,
            WITHOUT_BPF,
            "--require=no-lsm=bpf",
            "--env=PREEMPTION=lazy",
        ],
        tests: &["attachment", "--ignored", "preempted"],
    },
    Run {
        guest: &["--kernel=6.1", KERNEL_TARGET, "--require=lsm=bpf", "--disk", "--timeout=600"],
        tests: &["semantics", "--ignored", "--nocapture"],
    },
    Run {
        guest: &["--kernel=6.12", KERNEL_TARGET, "--require=lsm=bpf", "--disk", "--timeout=600"],
        tests: &["semantics", "--ignored", "--nocapture"],
    },
    Run {
        guest: &["--kernel=latest", KERNEL_TARGET, "--require=lsm=bpf", "--disk", "--timeout=600"],
        tests: &["semantics", "--ignored", "--nocapture"],
    },
    Run {
        guest: &[
            "--kernel=6.1",
            KERNEL_TARGET,
            WITHOUT_BPF,
            "--require=no-lsm=bpf",
            NOT_PREEMPTED,
            "--disk",
            "--timeout=600",
        ],
        tests: &["semantics", "--ignored", "--nocapture"],
    },
    Run {
        guest: &[
            "--kernel=6.12",
            KERNEL_TARGET,
            WITHOUT_BPF,
            "--require=no-lsm=bpf",
            NOT_PREEMPTED,
            "--disk",
            "--timeout=600",
        ],
        tests: &["semantics", "--ignored", "--nocapture"],
    },
    Run {
        guest: &["--kernel=6.12", KERNEL_TARGET, "--user"],
        tests: &["engine", "--ignored", "unprivileged"],
    },
    Run {
        guest: &["--kernel=6.1", COMMAND, "--require=lsm=bpf", "--smp=2", "--timeout=600"],
        tests: &["kernel_target", "--ignored"],
    },
    Run {
        guest: &["--kernel=6.12", COMMAND, "--require=lsm=bpf", "--smp=2", "--timeout=600"],
        tests: &["kernel_target", "--ignored"],
    },
    Run {
        guest: &["--kernel=latest", COMMAND, "--require=lsm=bpf", "--smp=2", "--timeout=600"],
        tests: &["kernel_target", "--ignored"],
    },
    Run {
        guest: &[
            "--kernel=6.1",
            COMMAND,
            WITHOUT_BPF,
            "--require=no-lsm=bpf",
            NOT_PREEMPTED,
            "--timeout=600",
        ],
        tests: &["kernel_target", "--ignored", "log::", "started_as_by_a_shell"],
    },
    Run {
        guest: &[
            "--kernel=6.12",
            COMMAND,
            WITHOUT_BPF,
            "--require=no-lsm=bpf",
            NOT_PREEMPTED,
            "--timeout=600",
        ],
        tests: &["kernel_target", "--ignored", "log::", "started_as_by_a_shell"],
    },
];

/// `cargo xtask guest-test`.
#[derive(clap::Args, Debug)]
pub struct Options {
    /// Only the boots that have all of these words among their arguments, such as 6.1 or no-lsm=bpf
    words: Vec<String>,
}

/// Runs the boots, all of them even if one fails.
pub fn run(options: &Options) -> Result<ExitCode> {
    let rules = shipped_rules()?;
    let copy_rules = format!("--copy={}:/rules", rules.path().display());
    let (mut ran, mut failed) = (0, 0);
    for run in RUNS {
        let line = [run.guest, &["--"], run.tests].concat();
        let text = line.join(" ");
        let has = |word: &String| {
            let value = |argument: &str| argument.split_once('=').is_some_and(|(_, value)| value == word);
            line.iter().any(|argument| argument.trim_start_matches("--") == word || value(argument))
        };
        if !options.words.iter().all(has) {
            continue;
        }
        println!("guest-test: {text}");
        ran += 1;
        let status =
            Command::new(std::env::current_exe()?).arg("vm").arg(&copy_rules).args(&line).status()?;
        if !status.success() {
            println!("guest-test: FAILED ({status}): {text}");
            failed += 1;
        }
    }
    println!("guest-test: {ran} boots, {failed} failed");
    Ok(if ran > 0 && failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A folder with the shipped rules, those in C compiled: guests have no clang.
pub fn shipped_rules() -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../rules"))? {
        let source = entry?.path();
        let target = folder.path().join(source.file_name().context("a rule has a name")?);
        if source.extension().is_some_and(|extension| extension == "c") {
            std::fs::write(target.with_extension("o"), build(&source, None)?)?;
        } else {
            std::fs::copy(&source, target)?;
        }
    }
    Ok(folder)
}
