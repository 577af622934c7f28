// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the texts of the programs to instructions.
//!
//! The texts are in the assembly of rules, and a little more: names in braces are filled in, and a line says
//! what takes several instructions with a map whose descriptor is filled in.
//!
//! | line | what it does | clobbers |
//! |---|---|---|
//! | `rN = map NAME` | the map | |
//! | `rN = value NAME` | the address of the map's only value | |
//! | `lookup NAME, KEY` | r0 is the address of the key's value, or 0 | r1 to r5 |
//! | `update NAME, KEY, VALUE` | r0 is 0, or why it could not be | r1 to r5 |
//! | `delete NAME, KEY` | the same | r1 to r5 |
//!
//! Keys and values are at an address such as `r10 - 8`.

use landlock_compiler::asm;
use landlock_compiler::insn::Insn;

/// Part of several programs.
const IN_A_DOMAIN: &str = include_str!("in-a-domain.s");

/// A number for a name in braces.
pub(crate) type Filling = (&'static str, i64);

/// A program's instructions.
pub(crate) fn assemble(text: &str, filling: &[Filling]) -> Vec<Insn> {
    let text: String = text.replace("{in_a_domain}\n", IN_A_DOMAIN).lines().map(expand).collect();
    let fill =
        |text: String, (name, value): &Filling| text.replace(&format!("{{{name}}}"), &value.to_string());
    let text = filling.iter().fold(text, fill);
    let rules = asm::parse(&text, "programs").unwrap_or_else(|errors| panic!("{errors}"));
    rules.into_iter().next().expect("one program").insns
}

/// A line, as the assembler knows it.
fn expand(line: &str) -> String {
    let words: Vec<_> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    match words[..] {
        [register, "=", "map", map] => address(register, 1, map),
        [register, "=", "value", map] => address(register, 2, map),
        ["lookup", map, base, "-", offset] => address("r1", 1, map) + &at("r2", base, offset) + "call 1\n",
        ["delete", map, base, "-", offset] => address("r1", 1, map) + &at("r2", base, offset) + "call 3\n",
        ["update", map, base, "-", offset, value_base, "-", value] => {
            let key = address("r1", 1, map) + &at("r2", base, offset);
            key + &at("r3", value_base, value) + "r4 = 0\ncall 2\n"
        }
        _ => line.to_owned() + "\n",
    }
}

/// Loads the address of a map (1) or of its value (2).
fn address(register: &str, source: u32, map: &str) -> String {
    let number = register.trim_start_matches('r');
    format!(".insn 0x18, {number}, {source}, 0, {{{map}}}\n.insn 0, 0, 0, 0, 0\n")
}

fn at(register: &str, base: &str, offset: &str) -> String {
    format!("{register} = {base}\n{register} += -{offset}\n")
}
