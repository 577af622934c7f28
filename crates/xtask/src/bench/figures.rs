// SPDX-License-Identifier: MIT OR Apache-2.0
//! Samples, their spread, and commands measured in turn.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// Measured times in seconds, in the order they were taken.
pub struct Samples(Vec<f64>);

impl Samples {
    /// At least one sample, or an error.
    pub fn new(seconds: Vec<f64>) -> Result<Samples> {
        ensure!(!seconds.is_empty(), "nothing was measured");
        Ok(Samples(seconds))
    }

    /// The median, in seconds.
    pub fn median(&self) -> f64 {
        self.at(0.5)
    }

    /// The value that `part` of the samples do not exceed.
    pub fn at(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let index = ((sorted.len() - 1) as f64 * part).round() as usize;
        sorted[index]
    }

    /// One line: the spread, in units of 1/`scale` seconds.
    pub fn print(&self, name: &str, scale: f64) {
        let [low, median, high, worst] = [0.1, 0.5, 0.9, 0.99].map(|part| self.at(part) * scale);
        println!("  {name:44} p10 {low:9.2}  median {median:9.2}  p90 {high:9.2}  p99 {worst:9.2}");
    }
}

/// Median and spread of `a/b`, pair by pair.
pub fn ratio(a: &Samples, b: &Samples) -> String {
    let ratios = Samples(a.0.iter().zip(&b.0).map(|(a, b)| a / b).collect());
    format!("median {:.3}, p10 {:.3}, p90 {:.3}", ratios.median(), ratios.at(0.1), ratios.at(0.9))
}

/// Runs the commands in turn, `rounds` times after one warm-up, output piped away.
pub fn paired(rounds: usize, commands: &[&[OsString]], folder: &Path) -> Result<Vec<Samples>> {
    let mut seconds = vec![Vec::with_capacity(rounds); commands.len()];
    for round in 0..=rounds {
        for (words, seconds) in commands.iter().zip(&mut seconds) {
            let took = time(words, folder)?;
            if round > 0 {
                seconds.push(took);
            }
        }
    }
    seconds.into_iter().map(Samples::new).collect()
}

fn time(words: &[OsString], folder: &Path) -> Result<f64> {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir(folder).stdin(Stdio::null());
    let start = Instant::now();
    // A pipe, not /dev/null: what a program writes is part of what it does.
    let output = command.output().with_context(|| format!("cannot run {}", words[0].display()))?;
    let took = start.elapsed().as_secs_f64();
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}: {complaint}", output.status);
    Ok(took)
}
