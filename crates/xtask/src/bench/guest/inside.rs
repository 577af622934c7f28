// SPDX-License-Identifier: MIT OR Apache-2.0
//! In the guest: every operation in every circumstance. A nanosecond of the guest is an instruction.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use landlock::{ABI, Access, AccessFs};
use landlock_compiler::domain::Domain;
use landlock_compiler::rule::Rule;
use landlock_kernel::{Denials, Engine, Loaded};

use super::rules;
use super::table::Table;
use super::trampolines::Trampolines;
use crate::bench::figures::Samples;
use crate::bench::mainline;
use crate::bench::probe::{self, Operation};

/// `cargo xtask bench-inside`, in the guest
#[derive(clap::Args)]
pub struct Options {
    /// The sample rule
    rule: PathBuf,
}

/// Operations, and how many samples are taken of each.
const OPERATIONS: [(&str, usize); 6] =
    [("open+close", 50), ("stat", 50), ("pread", 50), ("create+unlink", 50), ("fork+exit", 9), ("exec", 50)];
/// Needs a domain that allows it.
const WRITING: &str = "create+unlink";
/// Six directories deep, the root not counted.
const FOLDER: &str = "/tmp/two/three/four/five/six";

/// Measures and prints.
pub fn run(options: &Options) -> Result<()> {
    let sample = rules::from_file(&options.rule)?;
    let only_sample = Domain::prepended([sample.clone()]);
    let file = Path::new(FOLDER).join("file");
    fs::create_dir_all(FOLDER)?;
    fs::write(&file, "x")?;
    let bench = Bench { file, sample };
    let mut table = Table::default();

    // A kernel goes on booting for a while. Sleep costs no instructions.
    thread::sleep(Duration::from_secs(120));
    bench.all(|_| Ok(()))?;
    table.column("nothing attached", bench.all(|_| Ok(()))?);
    table.column(
        "mainline Landlock, 4 paths",
        bench.all(|_| mainline::restrict(&PATHS, AccessFs::from_all(ABI::V3)))?,
    );
    let trampolines = Trampolines::attach(&only_sample)?;
    table.column("`r0 = 0; exit`", bench.all(|_| Ok(()))?);
    table.runs(bench.count(&trampolines)?);
    drop(trampolines);

    let mut engine = Engine::open()?;
    table.column("allow list, the same paths", bench.allow_list(&mut engine)?);
    let unconcerned = rules::with(rules::ioctl(0)?, 0, rules::ioctl)?;
    let _unconcerned = engine.load(&unconcerned, Denials::Shared)?;
    table.column("(a0) no domain, others cannot deny", bench.all(|_| Ok(()))?);
    let _only_sample = engine.load(&only_sample, Denials::Shared)?;
    table.column("(a) no domain, others can", bench.all(|_| Ok(()))?);
    table.column("(b) sample rule", bench.within(&mut engine, 0, rules::lenient)?);
    table.column("(c) 16 rules", bench.within(&mut engine, 15, rules::lenient)?);
    table.column("(d) 64 rules", bench.within(&mut engine, 63, rules::lenient)?);
    table.column("64, 63 of them of ioctls", bench.within(&mut engine, 63, rules::ioctl)?);
    let rows = OPERATIONS.map(|(name, _)| name);
    println!("{}\n\n{}", fs::read_to_string("/proc/sys/kernel/osrelease")?.trim(), table.to_text(&rows));
    entering(&mut engine)
}

struct Bench {
    file: PathBuf,
    sample: Rule,
}

impl Bench {
    /// Samples of every operation, in a process whose parent thread has confined itself.
    fn all(&self, confine: impl Fn(&str) -> Result<()> + Sync) -> Result<Vec<Samples>> {
        let one = |(name, samples): (&str, usize)| {
            let mut words = probe::command(name, &self.file)?;
            words.push(OsString::from(samples.to_string()));
            let measured = || confine(name).and_then(|()| probe::run(&words));
            apart(measured).with_context(|| name.to_owned())
        };
        OPERATIONS.into_iter().map(one).collect()
    }

    /// In a domain of the sample rule and others.
    fn within(
        &self,
        engine: &mut Engine,
        others: usize,
        other: fn(usize) -> Result<Rule>,
    ) -> Result<Vec<Samples>> {
        let strict = engine.load(&rules::with(self.sample.clone(), others, other)?, Denials::Shared)?;
        let lenient = engine.load(&rules::with(rules::lenient(0)?, others, other)?, Denials::Shared)?;
        self.all(|operation| {
            enter(engine, if operation == WRITING { &lenient } else { &strict })?;
            let written = OpenOptions::new().write(true).open(&self.file);
            ensure!(written.is_ok() == (operation == WRITING), "{operation}: in the wrong domain");
            Ok(())
        })
    }

    /// In a domain that opens what mainline Landlock would.
    fn allow_list(&self, engine: &mut Engine) -> Result<Vec<Samples>> {
        let domain = engine.load(&rules::allow_list(&PATHS)?, Denials::Shared)?;
        self.all(|operation| {
            enter(engine, &domain)?;
            ensure!(fs::File::open("/proc/stat").is_err(), "{operation}: not in the domain");
            Ok(())
        })
    }

    /// How often an operation runs the programs.
    fn count(&self, trampolines: &Trampolines) -> Result<Vec<f64>> {
        fs::write("/proc/sys/kernel/bpf_stats_enabled", "1")?;
        let runs = OPERATIONS.map(|(name, _)| -> Result<f64> {
            let mut operation = Operation::new(name, &self.file)?;
            let mut counted = |times| {
                let before = trampolines.runs()?;
                operation.repeat(times)?;
                anyhow::Ok(f64::from(u32::try_from(trampolines.runs()? - before)?))
            };
            counted(100)?;
            Ok((counted(100)? - counted(0)?) / 100.0)
        });
        fs::write("/proc/sys/kernel/bpf_stats_enabled", "0")?;
        runs.into_iter().collect()
    }
}

/// Does something in a thread of its own.
pub fn apart<T: Send>(action: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| scope.spawn(action).join()).map_err(|_| anyhow!("a thread panicked"))?
}

/// What may be reached where that is limited.
const PATHS: [&str; 4] = ["/bin", "/test", "/tmp", "/dev"];

fn enter(engine: &Engine, domain: &Loaded) -> Result<()> {
    Ok(engine.enter(domain)?)
}

/// What entering costs the first time and later.
fn entering(engine: &mut Engine) -> Result<()> {
    const TIMES: usize = 10;
    let [mut first, mut shared, mut held] = [const { Vec::new() }; 3];
    for number in 0..TIMES {
        let rules = rules::with(rules::lenient(100 + number)?, 0, rules::lenient)?;
        let mut load_and_enter = || {
            let start = Instant::now();
            let domain = engine.load(&rules, Denials::Shared)?;
            let loaded = start.elapsed().as_secs_f64();
            let entered = apart(|| {
                let start = Instant::now();
                enter(engine, &domain).map(|()| start.elapsed().as_secs_f64())
            })?;
            anyhow::Ok((loaded, entered, domain))
        };
        let (loaded, entered, _domain) = load_and_enter()?;
        first.push(loaded + entered);
        let (loaded, entered, _) = load_and_enter()?;
        shared.push(loaded + entered);
        held.push(entered);
    }
    println!("entering a domain, at 1000 instructions a microsecond");
    Samples::new(first)?.print("first use of a rule, milliseconds", 1e3);
    Samples::new(shared)?.print("a rule in use elsewhere, milliseconds", 1e3);
    Samples::new(held)?.print("a domain at hand, microseconds", 1e6);
    Ok(())
}
