// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel asks for running any program at all: programs that do nothing, and how often they run.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};

use anyhow::{Context, Result};
use landlock_bpf::btf::Btf;
use landlock_bpf::link::Link;
use landlock_bpf::program::{Program, ProgramKind, ProgramSpec};
use landlock_compiler::domain::Domain;
use landlock_compiler::insn::Insn;
use landlock_compiler::{asm, emit, hooks};

/// `r0 = 0; exit`, attached to hooks.
pub struct Trampolines(Vec<(Program, Link)>);

impl Trampolines {
    /// At the hooks of threads that the kernel target needs whatever the rules are, and at those where the
    /// domain can deny.
    pub fn attach(domain: &Domain) -> Result<Trampolines> {
        let btf = Btf::of_running_kernel()?;
        let nothing = asm::parse(".rule nothing\n    r0 = 0\n    exit\n", "nothing").expect("a program");
        let concerned = hooks::TABLE
            .iter()
            .filter(|hook| hook.instances.iter().any(|instance| domain.may_deny(&emit::known(instance))));
        let names =
            ["task_alloc", "task_free", "task_prctl"].into_iter().chain(concerned.map(|hook| hook.name));
        let attached = names.filter_map(|hook| attach(&btf, hook, &nothing[0].insns).transpose());
        Ok(Trampolines(attached.collect::<Result<_>>()?))
    }

    /// How often they have run since the kernel counts.
    pub fn runs(&self) -> Result<u64> {
        self.0.iter().map(|(program, _)| runs(program)).sum()
    }
}

/// None if the kernel lacks the hook.
fn attach(btf: &Btf, hook: &str, insns: &[Insn]) -> Result<Option<(Program, Link)>> {
    let function = match btf.function(&format!("bpf_lsm_{hook}")) {
        Ok(function) => function,
        Err(error) if error.is_missing() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let kind = ProgramKind::Lsm;
    let spec = ProgramSpec { name: "nothing", kind, attach_to: function.id, insns, license: c"Dual MIT/GPL" };
    let program = Program::load(&spec)?;
    let link = Link::attach(&program, kind)?;
    Ok(Some((program, link)))
}

fn runs(program: &Program) -> Result<u64> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd()))?;
    let count = info.lines().find_map(|line| line.strip_prefix("run_cnt:"));
    Ok(count.context("the kernel does not count runs")?.trim().parse()?)
}
