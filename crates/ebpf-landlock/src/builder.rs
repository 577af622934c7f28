// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules in Rust, for those who do not want C: a list of cases, the first that fits decides.

use std::fmt::Write as _;

use landlock_compiler::abi::{Actions, Event};
use landlock_compiler::asm;
use landlock_compiler::file_type::{FileType, TYPE_BITS};
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::verify;

use crate::Error;
use crate::rules::loader;

/// When a case of a rule fits: all that is said must hold; nothing said, always.
#[derive(Clone, Debug, Default)]
pub struct When {
    any_of: Option<Actions>,
    command: Option<u32>,
    types: Option<Vec<FileType>>,
    absent: bool,
}

impl When {
    /// Always.
    pub fn always() -> When {
        When::default()
    }

    /// At least one of these actions is attempted. Only in rules of [`Event::Fs`].
    pub fn actions(any_of: Actions) -> When {
        When { any_of: Some(any_of), ..When::default() }
    }

    /// This is the command: an ioctl's request, an fcntl's command, a lock's type. Only in rules of the other events.
    pub fn command(command: u32) -> When {
        When { command: Some(command), ..When::default() }
    }

    /// And the object is of one of these types.
    #[must_use]
    pub fn on(mut self, types: impl IntoIterator<Item = FileType>) -> When {
        self.types.get_or_insert_default().extend(types);
        self
    }

    /// And there is no object yet, only a name that is about to get one; or one of the types of [`When::on`].
    #[must_use]
    pub fn on_new_name(mut self) -> When {
        self.types.get_or_insert_default();
        self.absent = true;
        self
    }
}

/// Builds a rule from cases. The first that fits decides; if none does, the rule allows.
///
/// v7's sample, which allows to write to character devices and FIFOs only:
///
/// ```
/// use ebpf_landlock::{Actions, FileType, RuleBuilder, When};
///
/// let writes = When::actions(Actions::WRITE);
/// let rule = RuleBuilder::new("read_only")
///     .allow(writes.clone().on([FileType::CharacterDevice, FileType::Fifo]))
///     .deny(writes)
///     .build()?;
/// # assert_eq!(rule.name(), "read_only");
/// # Ok::<(), ebpf_landlock::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RuleBuilder {
    name: String,
    event: Event,
    cases: Vec<(When, bool)>,
}

impl RuleBuilder {
    /// A rule of event FS that allows everything so far.
    pub fn new(name: impl Into<String>) -> RuleBuilder {
        RuleBuilder::for_event(name, Event::Fs)
    }

    /// A rule of another event.
    pub fn for_event(name: impl Into<String>, event: Event) -> RuleBuilder {
        RuleBuilder { name: name.into(), event, cases: Vec::new() }
    }

    /// Denies in this case.
    #[must_use]
    pub fn deny(mut self, when: When) -> RuleBuilder {
        self.cases.push((when, true));
        self
    }

    /// Allows in this case.
    #[must_use]
    pub fn allow(mut self, when: When) -> RuleBuilder {
        self.cases.push((when, false));
        self
    }

    /// The rule.
    ///
    /// # Errors
    /// [`Error::Refused`] if it is too long, or a case comes after one that always fits.
    pub fn build(&self) -> Result<Rule, Error> {
        let mut objects = asm::parse(&self.assembly(), &self.name)?;
        let mut object = objects.pop().unwrap_or_default();
        object.name.clone_from(&self.name);
        // Lines of a text nobody has.
        object.lines.clear();
        Ok(verify(object, &loader())?)
    }

    /// The rule as assembly text, for those who want to see it, or to go on from there.
    pub fn assembly(&self) -> String {
        let event = self.event.name();
        let mut text = format!(".rule built\n.event {event}\n.license \"GPL\"\n    r6 = *(u64 *)(r1 + 24)\n");
        if self.cases.iter().any(|(when, _)| when.types.is_some()) {
            let not_a_type = TYPE_BITS;
            // What has no object has no mode but a negative number: all type bits set.
            let _ = write!(
                text,
                "    r1 = *(u64 *)(r1 + 16)\n    call handle_fs_get_mode\n    r7 = r0\n    r7 &= {not_a_type:#x}\n"
            );
        }
        for (index, (when, denies)) in self.cases.iter().enumerate() {
            when.assemble(index, &mut text);
            let verdict = u8::from(*denies);
            let _ = write!(text, "    r0 = {verdict}\n    exit\nelse{index}:\n");
        }
        if !self.cases.last().is_some_and(|(when, _)| when.is_always()) {
            text.push_str("    r0 = 0\n    exit\n");
        }
        text
    }
}

impl When {
    fn is_always(&self) -> bool {
        self.any_of.is_none() && self.command.is_none() && self.types.is_none()
    }

    /// Goes on behind the last line in case it fits, else to `else{index}`.
    fn assemble(&self, index: usize, text: &mut String) {
        if let Some(actions) = self.any_of {
            let bits = actions.bits();
            let _ = write!(text, "    r2 = r6\n    r2 &= {bits:#x}\n    if r2 == 0 goto else{index}\n");
        }
        if let Some(command) = self.command {
            let _ = write!(text, "    r2 = {command:#x} ll\n    if r6 != r2 goto else{index}\n");
        }
        let Some(types) = &self.types else { return };
        let absent = self.absent.then_some(TYPE_BITS);
        for bits in types.iter().map(|file_type| file_type.bits()).chain(absent) {
            let _ = writeln!(text, "    if r7 == {bits:#x} goto fits{index}");
        }
        let _ = write!(text, "    goto else{index}\nfits{index}:\n");
    }
}

#[cfg(test)]
mod tests {
    use landlock_compiler::domain::Domain;
    use landlock_compiler::evaluate::{Current, Input, Verdict};

    use super::*;

    fn denies(rule: &Rule, arg2: u64, mode: Option<u32>) -> bool {
        let input =
            Input { event: rule.event(), arg2, mode, arch: 0, syscall_nr: 0, current: Current::default() };
        Domain::prepended([rule.clone()]).decide_traced(&input, &mut |_| {}) != Verdict::Allow
    }

    #[test]
    fn the_first_case_that_fits_decides() {
        let writes = || When::actions(Actions::WRITE | Actions::NEW);
        let rule = RuleBuilder::new("writes")
            .allow(writes().on([FileType::Fifo]).on_new_name())
            .deny(writes())
            .build()
            .unwrap();
        let [write, read] = [Actions::WRITE.bits(), Actions::READ.bits()];
        for (arg2, mode, denied) in [
            (write, Some(0o100_644), true),
            (write | read, Some(0o040_755), true),
            (write, Some(0o010_600), false),
            (write, None, false),
            (read, Some(0o100_644), false),
            (write, Some(0), true),
        ] {
            assert_eq!(denies(&rule, arg2, mode), denied, "{arg2:#x} {mode:?}");
        }
    }

    #[test]
    fn every_file_type_is_told_from_every_other() {
        for on in FileType::ALL {
            let rule = RuleBuilder::new("on").deny(When::always().on([on])).build().unwrap();
            for of in FileType::ALL {
                assert_eq!(denies(&rule, 0, Some(of.bits() | 0o7777)), on == of, "{on:?} {of:?}");
            }
            assert!(!denies(&rule, 0, None), "{on:?}");
        }
    }

    #[test]
    fn commands_are_compared_in_all_their_bits() {
        for command in [0, 1, 0x5413, 0x8004_5430, u32::MAX] {
            let builder = RuleBuilder::for_event("ioctl", Event::FsIoctl).deny(When::command(command));
            let rule = builder.build().unwrap();
            assert!(denies(&rule, command.into(), Some(0o020_600)));
            assert!(!denies(&rule, u64::from(command ^ 0x8000_0000), Some(0o020_600)));
        }
    }

    #[test]
    fn a_case_nothing_comes_to_is_refused() {
        let builder = RuleBuilder::new("dead").deny(When::always()).allow(When::actions(Actions::READ));
        assert!(matches!(builder.build(), Err(Error::Refused(_))));
        assert!(denies(&RuleBuilder::new("all").deny(When::always()).build().unwrap(), 0, None));
    }

    #[test]
    fn any_name_will_do() {
        let rule =
            RuleBuilder::new("a \"name\"\n.event 7").deny(When::actions(Actions::GET)).build().unwrap();
        assert_eq!(rule.name(), "a \"name\"\n.event 7");
    }
}
