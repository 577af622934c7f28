// SPDX-License-Identifier: MIT OR Apache-2.0
//! Domains within domains: 64 of them, entered one after the other, each with a rule of its own.

use std::os::fd::OwnedFd;

use landlock_compiler::emit::denial::{Asked, Record};
use landlock_compiler::rule::Rule;
use landlock_kernel::Loaded;
use rustix::io::Errno;

use crate::support::{denials, enter, extend, load, rule, without};
use crate::sys;

const DEPTH: u32 = 64;
/// Commands that no kernel knows: whoever may give them is told EINVAL.
const COMMAND: u32 = 0x7000_0000;

/// The rule that denies the command of a number.
fn denies(number: u32) -> Rule {
    let command = COMMAND + number;
    rule(
        "FS_FCNTL",
        &format!("r0 = 0\nr1 = *(u64 *)(r1 + 24)\nif r1 != {command} goto end\nr0 = 1\nend:\nexit\n"),
    )
}

/// Which of the commands are denied.
fn denied() -> Vec<u32> {
    let null = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    let is_denied = |number: &u32| match sys::fcntl(&null, COMMAND + number) {
        Err(Errno::PERM) => true,
        Err(Errno::INVAL) => false,
        other => panic!("{other:?}"),
    };
    (0..DEPTH).filter(is_denied).collect()
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn domains_stack_sixty_four_deep() {
    let mut domains: Vec<Loaded> = vec![load([denies(0)])];
    for number in 1..DEPTH {
        domains.push(extend(domains.last().unwrap(), denies(number)).unwrap());
    }
    let numbers = |end| (0..end).collect::<Vec<u32>>();
    without(|| {
        assert_eq!(denied(), [0_u32; 0]);
        for (number, domain) in (1..).zip(&domains) {
            enter(domain);
            if number % 16 == 1 {
                assert_eq!(denied(), numbers(number), "{number} deep");
            }
        }
        domains.iter().for_each(|domain| drop(denials(domain)));
        assert_eq!(denied(), numbers(DEPTH));
    });
    assert_eq!(denied(), [0_u32; 0]);
    let (deepest, others) = domains.split_last().unwrap();
    assert!(others.iter().all(|domain| denials(domain).is_empty()), "who denies is the deepest");
    let attributed: Vec<_> = denials(deepest).iter().map(|record| (arg2(record), record.rule)).collect();
    // Newest first: the last that was entered is rule 0.
    let expected: Vec<_> =
        (0..DEPTH).map(|number| (u64::from(COMMAND + number), (DEPTH - 1 - number) as usize)).collect();
    assert_eq!(attributed, expected);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn more_rules_than_a_program_can_hold_are_refused_in_words() {
    let full = load((0..255).map(denies));
    let error = extend(&full, denies(255)).unwrap_err().to_string();
    assert_eq!(
        error,
        "the domain needs 257 functions at one hook, the kernel's limit is 256; use fewer rules"
    );
}

fn arg2(record: &Record) -> u64 {
    match record.asked {
        Asked::Instance { arg2, .. } => arg2,
        Asked::Hook { .. } => panic!("{record:?}"),
    }
}
