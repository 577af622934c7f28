// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our verifier accepted the rules, and the kernel's refused the program made of them: a bug of ours, with
//! everything needed to see it.

use std::fmt;

use landlock_bpf::Error;
use landlock_compiler::asm;
use landlock_compiler::domain::Domain;
use landlock_compiler::insn::Insn;
use landlock_compiler::rule::Rule;
use rustix::io::Errno;

/// Lines of the kernel's log that are shown, the last ones; and instructions before and after the last one that
/// the log speaks of.
const LOG_LINES: usize = 12;
const AROUND: usize = 6;
/// Bytes of one such line.
const LINE: usize = 200;

/// A program of ours that the kernel refused. Shown in part; [`Bug::report`] has all of it.
#[derive(Debug)]
pub struct Bug {
    hook: &'static str,
    errno: Errno,
    /// What the kernel's verifier said.
    log: String,
    insns: Vec<Insn>,
    rules: Vec<Rule>,
}

impl Bug {
    /// What to make of the kernel's refusal of a domain's program. It is no bug unless the verifier spoke: memory
    /// or privileges may be lacking.
    pub(crate) fn of(error: Error, hook: &'static str, domain: &Domain, insns: &[Insn]) -> crate::Error {
        match error {
            Error::Rejected { errno, log, .. }
                if !log.is_empty() && !matches!(errno, Errno::NOMEM | Errno::AGAIN) =>
            {
                let (insns, rules) = (insns.to_vec(), domain.rules().to_vec());
                Box::new(Bug { hook, errno, log, insns, rules }).into()
            }
            error => error.into(),
        }
    }

    /// The hook the program is for.
    pub fn hook(&self) -> &'static str {
        self.hook
    }

    /// All there is to see: rules, program and the kernel's log. May be megabytes.
    pub fn report(&self) -> String {
        let mut report = format!("hook {}: {}\n", self.hook, self.errno);
        for rule in &self.rules {
            report += &format!("\nrule {}, event {:?}:\n", rule.name(), rule.event());
            report.extend(asm::listing(rule.insns()).map(|(_, line)| line + "\n"));
        }
        report += "\nprogram:\n";
        report.extend(asm::listing(&self.insns).map(|(_, line)| line + "\n"));
        report + "\nlog of the kernel:\n" + &self.log
    }

    /// The last instruction the log speaks of: `12: (79) r1 = …`.
    fn last_looked_at(&self) -> Option<usize> {
        let number = |line: &str| line.split_once(": (")?.0.parse().ok();
        self.log.lines().rev().find_map(number)
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "the kernel refuses the program for {}: {}; this is a bug of ours, please report it with the rules",
            self.hook, self.errno
        )?;
        let lines: Vec<&str> = self.log.lines().collect();
        let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
        writeln!(f, "the kernel's log, {} of {} lines:", last.len(), lines.len())?;
        last.iter().try_for_each(|line| writeln!(f, "  {}", cut(line)))?;
        let center = self.last_looked_at().unwrap_or(0);
        write!(f, "the program around that, of {} instructions:", self.insns.len())?;
        let near = |at: usize| at + AROUND >= center && at <= center + AROUND;
        let around = asm::listing(&self.insns).filter(|(at, _)| near(*at));
        around.into_iter().try_for_each(|(_, line)| write!(f, "\n  {}", cut(&line)))
    }
}

impl std::error::Error for Bug {}

fn cut(line: &str) -> String {
    line.chars().take(LINE).collect()
}

#[cfg(test)]
mod tests {
    use landlock_compiler::emit::{self, Layout, MapSlot, Member, Report};
    use landlock_compiler::hooks;
    use landlock_compiler::verify::{Loader, verify};

    use super::*;

    fn domain(bodies: &[&str]) -> Domain {
        let text = |body: &&str| format!(".rule guilty\n.event FS\n.license \"GPL\"\n{body}    exit\n");
        let text: String = bodies.iter().map(text).collect();
        let objects = asm::parse(&text, "rules").unwrap_or_else(|errors| panic!("{errors}"));
        let rule = |object| verify(object, &Loader::default()).unwrap_or_else(|error| panic!("{error}"));
        Domain::prepended(objects.into_iter().map(rule))
    }

    const MODE: &str = "    r1 = *(u64 *)(r1 + 16)\n    call handle_fs_get_mode\n    r0 &= 0x800\n";

    fn emitted(domain: &Domain, layout: &Layout) -> Vec<Insn> {
        let hook = hooks::by_name("file_open").unwrap();
        let program = emit::emit(hook, domain, layout, Report::Silent).unwrap().unwrap();
        program.insns(|slot: MapSlot| panic!("a map: {slot:?}"))
    }

    fn rejected(errno: Errno, log: String) -> Error {
        Error::Rejected { name: "domain".to_owned(), errno, log }
    }

    #[test]
    fn what_is_shown_is_bounded_and_the_report_has_it_all() {
        let layout: Layout = serde_json::from_str(include_str!("../../compiler/layouts/6.12.json")).unwrap();
        let domain = domain(&[MODE; 3]);
        let insns = emitted(&domain, &layout);
        let log: String = (0..5000).map(|n| format!("{}: (79) r1 = {}\n", n % 9, "x".repeat(n))).collect();
        let bug = Bug::of(rejected(Errno::ACCESS, log.clone()), "file_open", &domain, &insns);
        let crate::Error::Bug(bug) = bug else { panic!("{bug}") };
        let shown = bug.to_string();
        assert!(
            shown.starts_with("the kernel refuses the program for file_open: Permission denied"),
            "{shown}"
        );
        assert!(
            shown.contains("12 of 5000 lines") && shown.contains("    4: ") && shown.len() < 8192,
            "{shown}"
        );
        let report = bug.report();
        assert!(report.ends_with(&log));
        assert_eq!(report.matches("rule guilty, event Fs:\n    0: r1 = *(u64 *)(r1 + 16)\n").count(), 3);
        let (at, last) = asm::listing(&insns).last().unwrap();
        assert!(at + 1 == insns.len() && report.contains(&format!("\n{last}\n")));
    }

    #[test]
    fn want_of_memory_or_privilege_is_no_bug() {
        for (errno, log) in [(Errno::PERM, ""), (Errno::NOMEM, "processed 5 insns")] {
            let error = Bug::of(rejected(errno, log.to_owned()), "file_open", &Domain::default(), &[]);
            assert!(matches!(error, crate::Error::Bpf(_)), "{error}");
        }
    }

    /// A mode read from beyond the inode: what a layout of another kernel leads to.
    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn a_refusal_by_the_kernel_comes_with_program_and_log() {
        let kernel = crate::kernel::Kernel::new().unwrap();
        let mut layout = kernel.layout().unwrap().clone();
        layout.members.insert(Member::InodeMode, 32_000);
        let domain = domain(&[MODE]);
        let insns = emitted(&domain, &layout);
        let error = kernel.target().unwrap().load("file_open", "domain", &insns).unwrap_err();
        let crate::Error::Bpf(error) = error else { panic!("{error}") };
        let error = Bug::of(error, "file_open", &domain, &insns);
        println!("{error}");
        let crate::Error::Bug(bug) = error else { panic!("{error}") };
        let guilty = bug.last_looked_at().unwrap();
        assert!(asm::print_insn(&insns, guilty).contains("+ 32000)"), "{bug}");
        let line = asm::listing(&insns).find(|(at, _)| *at == guilty).unwrap().1;
        for text in [bug.to_string(), bug.report()] {
            assert!(text.contains(&line) && text.contains("32000") && text.contains("inode"), "{text}");
        }
    }
}
