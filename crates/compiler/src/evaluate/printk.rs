// SPDX-License-Identifier: MIT OR Apache-2.0
//! `trace_printk`'s format: `%d %i %u %x %p`, with `l` or `ll`, and `%s`; at most three arguments.

use std::borrow::Cow;

/// Errno of a format that is not understood.
pub(super) const EINVAL: i64 = 22;

/// The formatted text; `None` if the format is not understood or not NUL terminated. `string` reads
/// the text at an address.
pub(super) fn format<'a>(
    format: &[u8],
    args: [u64; 3],
    string: impl Fn(u64) -> Option<&'a [u8]>,
) -> Option<String> {
    let format = std::str::from_utf8(format.strip_suffix(&[0])?).ok()?.trim_end_matches('\0');
    let mut args = args.into_iter();
    let mut text = String::new();
    let mut rest = format;
    while let Some((plain, conversion)) = rest.split_once('%') {
        text.push_str(plain);
        if let Some(after) = conversion.strip_prefix('%') {
            (text, rest) = (text + "%", after);
            continue;
        }
        let letters = conversion.trim_start_matches('l');
        let long = match conversion.len() - letters.len() {
            0 => false,
            1 | 2 => true,
            _ => return None,
        };
        text.push_str(&convert(letters.chars().next()?, long, args.next()?, &string)?);
        rest = &letters[1..];
    }
    Some(text + rest)
}

fn convert<'a>(
    letter: char,
    long: bool,
    value: u64,
    string: impl Fn(u64) -> Option<&'a [u8]>,
) -> Option<Cow<'a, str>> {
    // Without `l` only the low half is shown; shifting up and down extends it as the letter asks.
    let cut = if long { 0 } else { 32 };
    let unsigned = value << cut >> cut;
    let signed = (value << cut).cast_signed() >> cut;
    Some(match letter {
        'd' | 'i' => signed.to_string().into(),
        'u' => unsigned.to_string().into(),
        'x' => format!("{unsigned:x}").into(),
        'p' => format!("{value:016x}").into(),
        's' => string(value).map_or("(fault)".into(), String::from_utf8_lossy),
        _ => return None,
    })
}
