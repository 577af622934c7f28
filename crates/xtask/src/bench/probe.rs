// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timing single operations from inside a process, confined or not.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use super::figures::Samples;

/// `cargo xtask bench-probe`: times one kind of operation and prints the samples in nanoseconds.
#[derive(clap::Args)]
pub struct Options {
    call: String,
    file: PathBuf,
    /// How many samples; a tenth more are taken first and dropped
    #[arg(default_value_t = 2000)]
    samples: usize,
}

/// The words that run the probe for `call` in a process of its own.
pub fn command(call: &str, file: &Path) -> Result<Vec<OsString>> {
    Ok(vec![std::env::current_exe()?.into(), "bench-probe".into(), call.into(), file.into()])
}

/// Runs a probe and takes its samples.
pub fn run(words: &[OsString]) -> Result<Samples> {
    let output = Command::new(&words[0]).args(&words[1..]).output()?;
    ensure!(
        output.status.success(),
        "{words:?}: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let numbers = String::from_utf8(output.stdout)?;
    let seconds = numbers.lines().map(|line| line.parse::<f64>().map(|nanoseconds| nanoseconds / 1e9));
    Samples::new(seconds.collect::<Result<_, _>>()?)
}

/// Inside the measured process.
pub fn measure(options: &Options) -> Result<()> {
    let mut operation = Operation::new(&options.call, &options.file)?;
    let mut text = String::new();
    for sample in 0..options.samples + options.samples / 10 {
        let seconds = operation.sample()?;
        if sample >= options.samples / 10 {
            writeln!(text, "{}", seconds * 1e9)?;
        }
    }
    rustix::io::write(rustix::stdio::stdout(), text.as_bytes())?;
    Ok(())
}

/// What is measured.
pub struct Operation {
    /// How many are measured together.
    pub batch: u32,
    call: String,
    /// Does so many of them.
    run: Box<dyn FnMut(u32) -> bool>,
}

impl Operation {
    /// The operation of this name, on a file.
    pub fn new(call: &str, file: &Path) -> Result<Operation> {
        let path = file.to_owned();
        let open = move |flags| rustix::fs::openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR);
        let path = file.to_owned();
        let opened = || open(OFlags::RDONLY).context("the file");
        let (batch, run) = match call {
            "getppid" => (100, each(|| black_box(rustix::process::getppid()).is_some())),
            "pread" => {
                let file = opened()?;
                (100, each(move || rustix::io::pread(&file, &mut [0; 1], 0).is_ok()))
            }
            "fstat" => {
                let file = opened()?;
                (100, each(move || rustix::fs::fstat(&file).is_ok()))
            }
            "open" => (1, each(move || open(OFlags::RDWR).is_ok())),
            "open+close" => (20, each(move || open(OFlags::RDONLY).is_ok())),
            "stat" => (20, each(move || rustix::fs::stat(&path).is_ok())),
            "create+unlink" => (20, each(move || create_and_unlink(&path))),
            "fork+exit" => (20, Box::new(fork) as _),
            "exec" => (1, each(|| succeeds(Command::new("/bin/busybox").arg("true")))),
            other => bail!("no probe named {other}"),
        };
        Ok(Operation { batch, call: call.to_owned(), run })
    }

    /// Does it so often.
    pub fn repeat(&mut self, times: u32) -> Result<()> {
        ensure!((self.run)(times), "{} does not succeed", self.call);
        Ok(())
    }

    /// Seconds one takes.
    fn sample(&mut self) -> Result<f64> {
        let batch = self.batch;
        let mut time = |times| {
            let start = Instant::now();
            self.repeat(times).map(|()| start.elapsed().as_secs_f64())
        };
        Ok((time(batch)? - time(0)?) / f64::from(batch))
    }
}

fn each(mut call: impl FnMut() -> bool + 'static) -> Box<dyn FnMut(u32) -> bool> {
    Box::new(move |times| (0..times).all(|_| black_box(call())))
}

fn create_and_unlink(beside: &Path) -> bool {
    let path = beside.with_file_name("new");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    rustix::fs::openat(CWD, &path, flags, Mode::RUSR).is_ok()
        && rustix::fs::unlinkat(CWD, &path, AtFlags::empty()).is_ok()
}

/// A shell's subshells: forking a process that has more threads takes unsafe code.
fn fork(times: u32) -> bool {
    let script = format!("i=0; while [ $i -lt {times} ]; do (:); i=$((i+1)); done");
    succeeds(Command::new("/bin/busybox").args(["sh", "-c", &script]))
}

fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}
