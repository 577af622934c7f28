// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table: a row for each operation, a column for each circumstance.

use std::fmt::{Result, Write as _};

use crate::bench::figures::Samples;

/// Medians, and how far samples are from them.
#[derive(Default)]
pub struct Table {
    /// Hook runs of each row's operation.
    runs: Vec<f64>,
    columns: Vec<(String, Vec<Samples>)>,
}

impl Table {
    /// How often each operation asks an attached program.
    pub fn runs(&mut self, runs: Vec<f64>) {
        self.runs = runs;
    }

    /// One more column.
    pub fn column(&mut self, title: &str, samples: Vec<Samples>) {
        eprintln!("bench: measured: {title}");
        self.columns.push((title.to_owned(), samples));
    }

    /// In Markdown, with these names of the rows.
    pub fn to_text(&self, rows: &[&str]) -> String {
        let mut text = String::new();
        self.write(&mut text, rows).expect("a string takes everything");
        text
    }

    fn write(&self, f: &mut String, rows: &[&str]) -> Result {
        write!(f, "| instructions | hook runs |")?;
        self.columns.iter().try_for_each(|(title, _)| write!(f, " {title} |"))?;
        write!(f, " p10 to p90, at most |\n|---|---|")?;
        self.columns.iter().try_for_each(|_| write!(f, "---|"))?;
        writeln!(f, "---|")?;
        for (row, (name, runs)) in rows.iter().zip(&self.runs).enumerate() {
            write!(f, "| {name} | {runs:.1} |")?;
            for (_, samples) in &self.columns {
                write!(f, " {:.0} |", samples[row].median() * 1e9)?;
            }
            let spread = |samples: &Samples| (samples.at(0.9) - samples.at(0.1)) / samples.median();
            let widest = self.columns.iter().map(|(_, samples)| spread(&samples[row])).fold(0.0, f64::max);
            writeln!(f, " {:.1} % |", widest * 100.0)?;
        }
        Ok(())
    }
}
