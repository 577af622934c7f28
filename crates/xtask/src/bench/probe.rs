// SPDX-License-Identifier: MIT OR Apache-2.0
//! Timing single syscalls from inside a process, confined or not.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{CWD, Mode, OFlags};

use super::figures::Samples;

const BATCHES: usize = 2000;

/// `cargo xtask bench-probe`: times one kind of syscall and prints the samples in nanoseconds.
#[derive(clap::Args)]
pub struct Options {
    call: String,
    file: std::path::PathBuf,
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
    let file = rustix::fs::openat(CWD, &options.file, OFlags::RDONLY, Mode::empty()).context("the file")?;
    let mut byte = [0];
    let path = options.file.as_path();
    let samples = match options.call.as_str() {
        "getppid" => sample(100, || black_box(rustix::process::getppid()).is_some()),
        "pread" => sample(100, || rustix::io::pread(&file, &mut byte, 0).is_ok()),
        "fstat" => sample(100, || rustix::fs::fstat(&file).is_ok()),
        "open" => sample(1, || rustix::fs::openat(CWD, path, OFlags::RDWR, Mode::empty()).is_ok()),
        other => bail!("no probe named {other}"),
    };
    let mut text = String::new();
    for sample in samples {
        writeln!(text, "{sample}")?;
    }
    rustix::io::write(rustix::stdio::stdout(), text.as_bytes())?;
    Ok(())
}

/// Nanoseconds per call, one sample for each batch of calls.
fn sample(batch: u32, mut call: impl FnMut() -> bool) -> Vec<f64> {
    let once = || {
        let start = Instant::now();
        for _ in 0..batch {
            black_box(call());
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(batch)
    };
    std::iter::repeat_with(once).take(BATCHES).collect()
}
