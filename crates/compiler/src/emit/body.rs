// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program itself: every instance of the hook with its rules, then the rules tied to the hook, then the denials.

use super::code::{Code, Functions, Label, Linked};
use super::compare::Comparisons;
use super::object::{self, Arguments};
use super::residual::{self, Reads, Results};
use super::runs::{self, Runs, Ways};
use super::{
    Attachment, COMPARING_RULE_STACK, CONTEXT, EPERM, ERRNO, EmitError, HOOK_RULE_STACK, INSTANCE, Member,
    Questions, RULE, RULE_STACK, Report, actions, denial, early, pidfd, reads, small, wrapper,
};
use crate::abi::{context, hook};
use crate::domain::{Composed, Domain};
use crate::hooks::{self, Asked, Hook, Instance};
use crate::op::{AluOp, CompareOp, Reg, Size, Width};
use crate::specialise::Residual;

/// The program of a domain at a hook, with what is to be asked there.
pub(super) fn program(
    hook: &'static Hook,
    arguments: Arguments<'_>,
    domain: &Domain,
    questions: &Questions<'_>,
    runs: Option<Runs<'_>>,
    report: Report,
) -> Result<Linked, EmitError> {
    let mut code = Code::default();
    let (allowed, denied) = (code.label(), code.label());
    let is_wide = runs.is_some() || questions.iter().any(|(_, composed)| reads(composed).handles);
    let functions = Functions::default();
    let mut body = Body { code, functions, domain, runs, is_wide, allowed, denied };
    body.begin(arguments, questions)?;
    pidfd::unless_made(&mut body.code, arguments, allowed)?;
    if arguments.layout.attachment == Attachment::ModifyReturn {
        body.stand_in(hook, arguments, questions)?;
    }
    body.ask_all(arguments, questions)?;
    let asks = questions.iter().any(|(_, composed)| !matches!(composed, Composed::Allow));
    body.end(arguments, hook, report, asks)
}

/// The program's own code under construction.
struct Body<'a> {
    code: Code,
    functions: Functions,
    domain: &'a Domain,
    runs: Option<Runs<'a>>,
    /// Whether its frame is the wide one.
    is_wide: bool,
    allowed: Label,
    denied: Label,
}

impl Body<'_> {
    fn begin(&mut self, arguments: Arguments<'_>, questions: &Questions<'_>) -> Result<(), EmitError> {
        self.code.set(object::ARGUMENTS, Reg::R1);
        if let [(instance, composed)] = questions
            && self.runs.is_none()
        {
            early::leave(&mut self.code, arguments, self.domain, (instance, composed))?;
        }
        self.code.store(Size::Double, Reg::R10, CONTEXT + context::STATUS, 0);
        if questions.iter().any(|(_, composed)| reads(composed).syscall) {
            actions::syscall(&mut self.code, arguments)?;
        }
        Ok(())
    }

    /// Does what the function does that the program runs in the place of.
    fn stand_in(
        &mut self,
        hook: &Hook,
        arguments: Arguments<'_>,
        questions: &Questions<'_>,
    ) -> Result<(), EmitError> {
        wrapper::unless_private(&mut self.code, arguments, hook, self.allowed)?;
        if let Some(names) = wrapper::exchanged(hook, arguments.names) {
            let once = self.code.label();
            wrapper::unless_exchange(&mut self.code, arguments, once)?;
            self.ask_all(Arguments { names: &names, ..arguments }, questions)?;
            self.code.place(once);
        }
        Ok(())
    }

    /// Asks the rules of all instances.
    fn ask_all(&mut self, arguments: Arguments<'_>, questions: &Questions<'_>) -> Result<(), EmitError> {
        for (number, (instance, composed)) in questions.iter().enumerate() {
            self.ask(arguments, number, (instance, composed))?;
        }
        Ok(())
    }

    /// Asks the rules of one instance.
    fn ask(
        &mut self,
        arguments: Arguments<'_>,
        number: usize,
        (instance, composed): (&Instance, &Composed),
    ) -> Result<(), EmitError> {
        if matches!(composed, Composed::Allow) {
            return Ok(());
        }
        let next = self.code.label();
        self.context(arguments, instance, reads(composed), next)?;
        self.code.set(INSTANCE, small(number));
        match composed {
            Composed::Allow => {}
            Composed::Deny { rule } => {
                self.code.set(RULE, small(*rule));
                self.code.set(Reg::R0, 0);
                self.code.jump(self.denied);
            }
            Composed::Residuals(residuals) => {
                let (expression, handle) = (instance.object, instance.handle);
                let comparisons = Comparisons { arguments, expression, handle };
                for (rule, residual) in residuals.iter() {
                    self.rule(*rule, residual, &comparisons)?;
                }
            }
        }
        self.code.place(next);
        Ok(())
    }

    /// Fills the context, or goes to `next` if there is no object, or none that is asked about.
    fn context(
        &mut self,
        arguments: Arguments<'_>,
        instance: &Instance,
        reads: Reads,
        next: Label,
    ) -> Result<(), EmitError> {
        let code = &mut self.code;
        if instance.asked == Asked::IfPositive {
            arguments.follow(code, instance.object, next)?;
            object::unless_null(code, next);
            arguments.member(code, Member::DentryInode)?;
            object::unless_null(code, next);
        }
        actions::arg2(code, arguments, instance.arg2, next)?;
        arguments.follow(code, instance.object, next)?;
        object::unless_null(code, next);
        match reads.mode {
            true => arguments.mode(code, instance.handle)?,
            false => code.store(Size::Double, Reg::R10, CONTEXT + context::ARG1, 0),
        }
        code.store(Size::Double, Reg::R10, CONTEXT + context::EVENT, small(instance.event as usize));
        match reads.handles {
            true => arguments.relations(code, instance.object, instance.handle),
            false => Ok(()),
        }
    }

    fn rule(
        &mut self,
        position: usize,
        residual: &Residual,
        comparisons: &Comparisons<'_>,
    ) -> Result<(), EmitError> {
        self.check(position, residual)?;
        let stack = self.domain.rules()[position].stack_used();
        let function =
            residual::function(residual, Results::Denials, stack, comparisons, &mut self.functions)?;
        let function = self.functions.get(function);
        self.code.set(RULE, small(position));
        self.code.set(Reg::R1, Reg::R10);
        self.code.alu(AluOp::Add, Reg::R1, i32::from(CONTEXT));
        self.code.call(function);
        self.code.branch(CompareOp::Ne, Width::W32, Reg::R0, 0, self.denied);
        Ok(())
    }

    /// Whether the rule at this position can be run here.
    fn check(&self, position: usize, residual: &Residual) -> Result<(), EmitError> {
        let rule = &self.domain.rules()[position];
        let left = match (residual.compares(), self.is_wide) {
            (true, _) => COMPARING_RULE_STACK,
            (false, true) => HOOK_RULE_STACK,
            (false, false) => RULE_STACK,
        };
        match rule.stack_used() {
            used if used > left => Err(EmitError::Stack { rule: rule.name().to_owned(), used, left }),
            _ => Ok(()),
        }
    }

    /// Runs the rules tied to the hook, and leaves; then the end of all denials. `asks` says whether an instance may
    /// have denied.
    fn end(
        mut self,
        arguments: Arguments<'_>,
        hook: &'static Hook,
        report: Report,
        asks: bool,
    ) -> Result<Linked, EmitError> {
        let runs = self.runs.take();
        match &runs {
            None => self.leave(),
            Some(runs) => self.run(runs, arguments, asks)?,
        }
        if let Report::Record { domain } = report {
            let number = hooks::TABLE.iter().position(|row| row.name == hook.name);
            let number = small(number.expect("a hook of the table"));
            denial::report(&mut self.code, arguments, number, domain);
        }
        match runs {
            None => self.code.set(Reg::R0, -EPERM),
            Some(_) => self.errno(),
        }
        self.code.exit();
        self.code.link(self.functions)
    }

    /// The runs, and the notes of what they denied, with its errno.
    fn run(&mut self, runs: &Runs<'_>, arguments: Arguments<'_>, asks: bool) -> Result<(), EmitError> {
        runs.rules().try_for_each(|(position, residual)| self.check(*position, residual))?;
        let code = &mut self.code;
        let [denied, outside, noted, record] = [(); 4].map(|()| code.label());
        runs.ask(code, &mut self.functions, (self.domain, arguments), Ways { denied, outside })?;
        code.place(self.allowed);
        code.set(Reg::R0, 0);
        code.exit();
        if asks {
            code.place(self.denied);
            code.store(Size::Double, Reg::R10, ERRNO, EPERM);
            code.jump(record);
        }
        if runs.rules().next().is_some() {
            code.place(denied);
            runs::denied(code);
            code.jump(noted);
        }
        code.place(outside);
        runs.outside(code);
        code.place(noted);
        code.store(Size::Double, Reg::R10, ERRNO, Reg::R2);
        code.store(Size::Double, Reg::R10, CONTEXT + context::ARG2, Reg::R1);
        code.store(Size::Double, Reg::R10, CONTEXT + context::ARG1, 0);
        code.place(record);
        Ok(())
    }

    /// `r0` = the negative errno that was noted, and never anything else than one that rules may give.
    fn errno(&mut self) {
        let known = self.code.label();
        let code = &mut self.code;
        code.load(Size::Double, Reg::R1, Reg::R10, ERRNO);
        code.alu(AluOp::Sub, Reg::R1, EPERM);
        code.branch(CompareOp::Lt, Width::W64, Reg::R1, hook::ERRNO_LAST.cast_signed(), known);
        code.set(Reg::R1, 0);
        code.place(known);
        code.alu(AluOp::Add, Reg::R1, EPERM);
        code.set(Reg::R0, 0);
        code.alu(AluOp::Sub, Reg::R0, Reg::R1);
    }

    /// Nothing was denied; what was goes on behind this.
    fn leave(&mut self) {
        self.code.place(self.allowed);
        self.code.set(Reg::R0, 0);
        self.code.exit();
        self.code.place(self.denied);
    }
}
