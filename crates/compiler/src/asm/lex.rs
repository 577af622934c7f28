// SPDX-License-Identifier: MIT OR Apache-2.0
//! A line into tokens.

use super::error::{Span, Wrong};

/// Operators, longest first where one begins another.
const OPERATORS: [&str; 31] = [
    "s>>=", "<<=", ">>=", "s>=", "s<=", "+=", "-=", "*=", "/=", "%=", "|=", "&=", "^=", "==", "!=", ">=",
    "<=", "s>", "s<", ">", "<", "=", "&", "+", "-", "*", "(", ")", ",", ":", "/",
];

/// More tokens than any statement has.
const MAX_TOKENS: usize = 32;

/// A word, number, string or operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    Number(u64),
    Text(String),
    Operator(&'static str),
}

/// The tokens of a line and where they stand; comments are left out.
pub(super) fn tokens(line: &str) -> Result<Vec<(Token, Span)>, Wrong> {
    let chars: Vec<char> = line.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&first) = chars.get(at) {
        if first.is_whitespace() {
            at += 1;
            continue;
        }
        if matches!(first, ';' | '#') || chars[at..].starts_with(&['/', '/']) {
            break;
        }
        if tokens.len() == MAX_TOKENS {
            return Wrong::new(Span { start: at, width: 1 }, "the statement should have ended by now");
        }
        let (token, width) = token(&chars[at..], at)?;
        tokens.push((token, Span { start: at, width }));
        at += width;
    }
    Ok(tokens)
}

fn token(rest: &[char], at: usize) -> Result<(Token, usize), Wrong> {
    let operator =
        OPERATORS.into_iter().find(|operator| operator.chars().eq(rest.iter().copied().take(operator.len())));
    if let Some(operator) = operator {
        return Ok((Token::Operator(operator), operator.len()));
    }
    if rest[0] == '"' {
        return text(rest, at);
    }
    let width = rest.iter().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$')).count();
    let word: String = rest[..width].iter().collect();
    let span = Span { start: at, width: width.max(1) };
    if width == 0 {
        return Wrong::new(span, format!("unexpected character {:?}", rest[0]));
    }
    if !rest[0].is_ascii_digit() {
        return Ok((Token::Word(word), width));
    }
    let parsed = match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => word.parse(),
    };
    match parsed {
        Ok(number) => Ok((Token::Number(number), width)),
        Err(_) => Wrong::new(
            span,
            format!("`{word}` is not a number of at most 64 bits (decimal, or hexadecimal after 0x)"),
        ),
    }
}

/// A string in quotes: `\"`, `\\`, and `\u{HEX}` for what does not print.
fn text(rest: &[char], at: usize) -> Result<(Token, usize), Wrong> {
    let wrong = |width: usize| Wrong {
        at: Span { start: at, width },
        message: "a string without an end, or with an unknown escape".into(),
    };
    let mut text = String::new();
    let mut index = 1;
    loop {
        match rest.get(index).ok_or_else(|| wrong(rest.len()))? {
            '"' => return Ok((Token::Text(text), index + 1)),
            '\\' => {
                let (c, width) = escape(&rest[index + 1..]).ok_or_else(|| wrong(index + 1))?;
                text.push(c);
                index += 1 + width;
            }
            c => {
                text.push(*c);
                index += 1;
            }
        }
    }
}

/// What stands after a backslash, and its length.
fn escape(rest: &[char]) -> Option<(char, usize)> {
    match rest.first()? {
        c @ ('"' | '\\' | '\'') => Some((*c, 1)),
        'n' => Some(('\n', 1)),
        'r' => Some(('\r', 1)),
        't' => Some(('\t', 1)),
        '0' => Some(('\0', 1)),
        'u' => {
            let digits: String =
                rest.strip_prefix(&['u', '{'])?.iter().take(7).take_while(|c| **c != '}').collect();
            let c = char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?;
            (rest.get(digits.len() + 2) == Some(&'}')).then_some((c, digits.len() + 3))
        }
        _ => None,
    }
}
