// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guests that tests run in, and the tests that run in each.

/// A kernel, as it is booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    pub kernel: &'static str,
    /// Is `bpf` in its list of security modules?
    pub bpf: bool,
    /// How it preempts.
    pub preempt: &'static str,
}

const fn boot(kernel: &'static str, bpf: bool, preempt: &'static str) -> Boot {
    Boot { kernel, bpf, preempt }
}

/// The kernel target works: programs at LSM hooks where tasks are preempted as much as they can be, and
/// modified functions where they are not preempted.
pub const BOOTS: [Boot; 5] = [
    boot("6.1", true, "full"),
    boot("6.12", true, "full"),
    boot("latest", true, "lazy"),
    boot("6.1", false, "voluntary"),
    boot("6.12", false, "voluntary"),
];
/// It works, through LSM hooks.
const BPF: &[Boot] = BOOTS.first_chunk::<3>().unwrap();
/// It must not claim to work.
const REFUSED: &[Boot] =
    &[boot("6.1", false, "full"), boot("6.12", false, "full"), boot("latest", false, "lazy")];
const HAMMERED: &[Boot] = &[BOOTS[0], BOOTS[1], BOOTS[2], BOOTS[4]];
const ANY: &[Boot] = &[BOOTS[1]];

impl Boot {
    /// What `guest-test` knows it by.
    pub fn words(self) -> [&'static str; 3] {
        [self.kernel, if self.bpf { "bpf" } else { "no-bpf" }, self.preempt]
    }

    /// Arguments of `cargo xtask vm`. `WAY` and `PREEMPTION` are for tests that differ.
    pub fn arguments(self) -> Vec<String> {
        let [kernel, _, preempt] = self.words();
        let mut arguments = vec![
            format!("--kernel={kernel}"),
            format!("--require=preempt={preempt}"),
            format!("--env=PREEMPTION={preempt}"),
        ];
        arguments.extend(match self.bpf {
            true => ["--require=lsm=bpf", "--env=WAY=with_bpf"].map(str::to_owned).to_vec(),
            false => ["--append=lsm=landlock,lockdown,yama", "--require=no-lsm=bpf", "--env=WAY=without_bpf"]
                .map(str::to_owned)
                .to_vec(),
        });
        // The others are what these kernels do unasked.
        if preempt == "full" {
            arguments.push("--append=preempt=full".to_owned());
        }
        arguments
    }
}

/// Tests that go together. Groups with equal arguments share a guest, one after the other.
pub struct Group {
    pub name: &'static str,
    /// Arguments of `cargo xtask vm`.
    pub guest: &'static [&'static str],
    /// For the guest's shell.
    pub command: &'static str,
    pub boots: &'static [Boot],
    /// It takes less, also on a busy machine: what takes longer hangs.
    pub minutes: u64,
}

const BINDINGS: &[&str] = &["--cargo-test=landlock-bpf", "--smp=2"];
/// With a disk, and Python for some attacks. The shipped rules are in every guest.
const ENGINE: &[&str] =
    &["--cargo-test=landlock-kernel", "--smp=2", "--disk", "--userland", "--env=RULES=/rules"];
/// For tests that count the kernel's objects, and for long ones.
const ENGINE_ALONE: &[&str] = &["--cargo-test=landlock-kernel", "--smp=2"];
/// The built `landlock` comes with its tests.
const COMMAND: &[&str] = &["--cargo-test=landlock-cli", "--smp=2"];
/// The attacks of the supervisor target's tests, on the kernel target.
const ATTACKED: &[&str] = &[
    "--cargo-test=landlock-cli",
    "--smp=2",
    "--disk",
    "--userland",
    "--module=overlay",
    "--env=LANDLOCK_TARGET=kernel",
    "--env=LANDLOCK=/test/landlock",
    "--env=LANDLOCK_PROGRAMS=/programs",
    "--env=TMPDIR=/mnt",
];
/// The RFC's tests of the supervisor target, on the kernel target: Python takes their steps.
const ASKED: &[&str] = &[
    "--cargo-test=landlock-cli",
    "--smp=2",
    "--userland",
    "--env=LANDLOCK_TARGET=kernel",
    "--env=LANDLOCK=/test/landlock",
];
/// The built `landlockd` comes with its tests.
const DAEMON: &[&str] = &["--cargo-test=landlock-daemon", "--cargo-bin=landlock", "--smp=2"];
/// With the units' own manager.
const SYSTEMD: &[&str] = &["--cargo-test=landlock-daemon", "--cargo-bin=landlock", "--smp=2", "--systemd"];
const USER: &[&str] = &["--cargo-test=landlock-bpf", "--cargo-test=landlock-kernel", "--user"];

const LIBRARY: &[&str] = &["--cargo-test=ebpf-landlock", "--smp=2"];
const LIBRARY_AS_USER: &[&str] = &["--cargo-test=ebpf-landlock", "--user"];

pub const GROUPS: &[Group] = &[
    Group {
        name: "bindings",
        guest: BINDINGS,
        command: "kernel --ignored everywhere ${WAY}_lsm",
        boots: &BOOTS,
        minutes: 5,
    },
    Group {
        name: "unprivileged",
        guest: USER,
        command: "kernel --ignored unprivileged && engine --ignored unprivileged",
        boots: ANY,
        minutes: 5,
    },
    Group {
        name: "preempted",
        guest: ENGINE_ALONE,
        command: "attachment --ignored preempted",
        boots: REFUSED,
        minutes: 5,
    },
    Group {
        name: "daemon",
        guest: DAEMON,
        command: "served --ignored --nocapture --test-threads=1",
        boots: &BOOTS,
        minutes: 40,
    },
    Group {
        name: "systemd",
        guest: SYSTEMD,
        command: "systemd --ignored --nocapture --test-threads=1",
        boots: ANY,
        minutes: 30,
    },
    Group { name: "internals", guest: ENGINE, command: "landlock_kernel --ignored", boots: BPF, minutes: 5 },
    Group {
        name: "attachment",
        guest: ENGINE,
        command: "attachment --ignored asked_alike $WAY",
        boots: &BOOTS,
        minutes: 5,
    },
    Group {
        name: "verifier",
        guest: ENGINE,
        command: "verifier --ignored --nocapture",
        boots: BPF,
        minutes: 10,
    },
    Group {
        name: "verdict",
        guest: ENGINE,
        command: "verdict --ignored --nocapture",
        boots: &BOOTS,
        minutes: 10,
    },
    Group {
        name: "semantics",
        guest: ENGINE,
        command: "semantics --ignored --nocapture",
        boots: &BOOTS,
        minutes: 10,
    },
    Group {
        name: "handles",
        guest: ENGINE,
        command: "handles --ignored --nocapture",
        boots: &BOOTS,
        minutes: 10,
    },
    Group {
        name: "engine",
        guest: ENGINE,
        command: "engine --ignored --skip=unprivileged --skip=accomplice --skip=alone",
        boots: &BOOTS,
        minutes: 10,
    },
    Group {
        name: "hammer",
        guest: ENGINE,
        command: "hammer --ignored --nocapture",
        boots: HAMMERED,
        minutes: 5,
    },
    // Some take down what is in force, so one after the other, and after everybody else.
    Group {
        name: "attacks",
        guest: ENGINE,
        command: "attacks --ignored --test-threads=1",
        boots: HAMMERED,
        minutes: 10,
    },
    Group {
        name: "alone",
        guest: ENGINE_ALONE,
        command: "engine --ignored --nocapture --test-threads=1 alone",
        boots: BPF,
        minutes: 60,
    },
    Group {
        name: "hammer-long",
        guest: ENGINE_ALONE,
        command: "LANDLOCK_HAMMER_SECONDS=200 hammer --ignored --nocapture",
        boots: HAMMERED,
        minutes: 15,
    },
    Group {
        name: "kernel_target",
        guest: COMMAND,
        command: "kernel_target --ignored --skip=apart::",
        boots: &BOOTS,
        minutes: 15,
    },
    Group {
        name: "apart",
        guest: COMMAND,
        command: "kernel_target --ignored --test-threads=1 apart::",
        boots: &BOOTS,
        minutes: 10,
    },
    Group {
        name: "bypasses",
        guest: ATTACKED,
        command: "bypasses --include-ignored --skip=supervisor::",
        boots: BPF,
        minutes: 60,
    },
    Group { name: "spec", guest: ASKED, command: "spec", boots: &BOOTS, minutes: 30 },
    Group {
        name: "library",
        guest: LIBRARY,
        command: "library --ignored --skip=unprivileged",
        boots: &BOOTS,
        minutes: 5,
    },
    Group {
        name: "library_unprivileged",
        guest: LIBRARY_AS_USER,
        command: "library --ignored unprivileged",
        boots: ANY,
        minutes: 5,
    },
    // The program is in every guest.
    Group {
        name: "c_library",
        guest: LIBRARY,
        command: "cd /tmp && /c_api/c_api load && /c_api/c_api kernel && rm -f by-* && /c_api/c_api pass",
        boots: &BOOTS,
        minutes: 5,
    },
    Group {
        name: "c_library_unprivileged",
        guest: LIBRARY_AS_USER,
        command: "cd /tmp && /c_api/c_api load && /c_api/c_api outside",
        boots: ANY,
        minutes: 5,
    },
    // Programs for it come with the shipped rules.
    Group {
        name: "v7",
        guest: COMMAND,
        command: "v7 --ignored --test-threads=1",
        boots: &BOOTS,
        minutes: 30,
    },
];
