// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is wrong with a text, shown at the place.

use std::fmt;

use thiserror::Error;

/// Most errors reported for one text.
pub const MAX_ERRORS: usize = 20;
/// Most characters of a source line that are shown.
pub(super) const MAX_SHOWN: usize = 160;

/// Everything wrong with a text, in the order of its lines (after [`MAX_ERRORS`] the rest is left out).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct AsmErrors(pub Vec<AsmError>);

impl AsmErrors {
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= MAX_ERRORS
    }
}

impl fmt::Display for AsmErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let end_of_previous = if index == 0 { "" } else { "\n" };
            write!(f, "{end_of_previous}{error}")?;
        }
        Ok(())
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct AsmError {
    /// The file, as it was named to [`super::parse`].
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column of the first character at fault, counted from 1.
    pub column: usize,
    /// How many characters are at fault.
    pub width: usize,
    /// Text of the line, or its beginning.
    pub text: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for AsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AsmError { file, line, column, width, text, message } = self;
        write!(f, "{file}:{line}:{column}: {message}")?;
        if text.is_empty() || *column > MAX_SHOWN {
            return Ok(());
        }
        let printable = |c: char| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
        let shown: String = text.chars().map(printable).collect();
        let indent: String = text.chars().take(column - 1).map(|c| if c == '\t' { c } else { ' ' }).collect();
        let gutter = " ".repeat(line.to_string().len());
        let carets = "^".repeat((*width).clamp(1, MAX_SHOWN));
        write!(f, "\n {line} | {shown}\n {gutter} | {indent}{carets}")
    }
}

/// Something wrong at a place of a line: first character and how many, counted from 0.
#[derive(Debug)]
pub(super) struct Wrong {
    pub at: Span,
    pub message: String,
}

/// Characters of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub start: usize,
    pub width: usize,
}

impl Wrong {
    pub fn new<T>(at: Span, message: impl Into<String>) -> Result<T, Wrong> {
        Err(Wrong { at, message: message.into() })
    }
}
