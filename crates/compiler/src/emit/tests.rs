// SPDX-License-Identifier: MIT OR Apache-2.0
//! Emitted programs against the evaluator, over make-believe kernels with the layouts of real ones.

mod machine;
mod situation;

use machine::{BOOT_TIME, DENIALS_FD, LOST_FD, Outcome};
use proptest::prelude::*;
use proptest::sample::select;
use situation::{Situation, situation};

use super::denial::{Asked, Record};
use super::*;
use crate::abi::{Abilities, Event, HandleKind, helper};
use crate::domain::Layer;
use crate::evaluate::{HookCall, HookVerdict, Unrelated, Verdict};
use crate::op::{AluOp, CompareOp, Op, Size, Width};
use crate::rule::Rule;
use crate::testing::build::{call, exit, load, mov, object, program, store};
use crate::testing::{filters, rules};
use crate::verify::{Loader, verify};

const DOMAIN: u64 = 0x1234_5678_9abc_def0;
const ALLOWED: u64 = 0;
const DENIED: u64 = (-1_i64).cast_unsigned();
const EPERM: u32 = 1;

/// Of the saved kernels, oldest first, for either attachment.
fn layouts() -> &'static [Layout; 6] {
    static LAYOUTS: std::sync::OnceLock<[Layout; 6]> = std::sync::OnceLock::new();
    LAYOUTS.get_or_init(|| {
        [
            include_str!("../../layouts/6.1.json"),
            include_str!("../../layouts/6.12.json"),
            include_str!("../../layouts/7.3.json"),
            include_str!("../../layouts/6.1-modify-return.json"),
            include_str!("../../layouts/6.12-modify-return.json"),
            include_str!("../../layouts/7.3-modify-return.json"),
        ]
        .map(|text| serde_json::from_str(text).unwrap())
    })
}

fn rule(event: Event, abilities: Abilities, ops: &[crate::op::Op]) -> Rule {
    verify(object(event, abilities, program(ops)), &Loader { cap_sys_admin: true }).unwrap()
}

fn returns(value: i32) -> Rule {
    rule(Event::Fs, Abilities::empty(), &[mov(Reg::R0, value), exit()])
}

fn insns(program: &Program) -> Vec<Insn> {
    program.insns(|slot| match slot {
        MapSlot::Denials => DENIALS_FD,
        MapSlot::Lost => LOST_FD,
        slot => panic!("{slot:?}"),
    })
}

/// What the program of the domain does in the situation.
fn run(domain: &Domain, situation: &Situation) -> Outcome {
    let report = Report::Record { domain: DOMAIN };
    match emit(situation.hook, domain, situation.layout(), report).unwrap() {
        Some(program) => situation.run(&insns(&program)).unwrap_or_else(|error| panic!("{error}")),
        None => Outcome::default(),
    }
}

/// A denial that has to come of it.
struct Denied {
    errno: u32,
    rule: usize,
    insn: usize,
    asked: Asked,
    /// The mode of the object, where one is asked about.
    mode: Option<u32>,
}

/// What has to come of it: the denial, if there is one, and what is traced.
fn expected(domain: &Domain, situation: &Situation) -> (Option<Denied>, Vec<String>) {
    let mut traced = Vec::new();
    for (number, input) in situation.questions() {
        let verdict = domain.decide_traced(&input, &mut |text| traced.push(text.to_owned()));
        if let Verdict::Deny { rule, insn } = verdict {
            let asked = Asked::Instance { instance: &situation.hook.instances[number], arg2: input.arg2 };
            return (Some(Denied { errno: EPERM, rule, insn, asked, mode: input.mode }), traced);
        }
    }
    (situation.call().and_then(|call| at_hook(domain, situation, call)), traced)
}

fn at_hook(domain: &Domain, situation: &Situation, call: HookCall) -> Option<Denied> {
    let filtered = situation.data().map(|data| domain.filtered(&data));
    match domain.decide_hook(call, filtered.as_ref(), &Unrelated) {
        HookVerdict::Allow => None,
        HookVerdict::Deny { errno, rule, insn, cookie } => {
            Some(Denied { errno, rule, insn, asked: Asked::Hook { errno, cookie }, mode: None })
        }
    }
}

fn agrees(domain: &Domain, situation: &Situation) {
    let (outcome, (denied, traced)) = (run(domain, situation), expected(domain, situation));
    let returned = denied.as_ref().map_or(ALLOWED, |denied| (-i64::from(denied.errno)).cast_unsigned());
    assert_eq!(outcome.returned, returned);
    assert_eq!(outcome.traced, traced);
    assert_eq!(outcome.lost, u64::from(denied.is_some() && situation.ring_is_full));
    let record = outcome.recorded.first().map(|bytes| Record::parse(bytes).unwrap());
    let Some(denied) = denied.filter(|_| !situation.ring_is_full) else {
        assert_eq!(record, None);
        return;
    };
    let (record, current) = (record.unwrap(), situation.current());
    assert_eq!((record.domain, record.hook, record.asked), (DOMAIN, situation.hook, denied.asked));
    assert_eq!((record.pid_tgid, &record.comm[..15]), (current.pid_tgid, &current.comm[..15]));
    assert_eq!(record.syscall.unwrap_or_default(), situation.syscall());
    assert!(record.mode.is_none() || record.mode == denied.mode);
    assert_eq!(record.time, BOOT_TIME);
    match (record.insn, record.asked) {
        // Nothing was run.
        (None, Asked::Hook { .. }) => assert_eq!((record.rule, situation.data()), (denied.rule, None)),
        (insn, _) => assert_eq!((record.rule, insn), (denied.rule, Some(denied.insn))),
    }
}

/// Filters and rules tied to hooks, and some of the file system's events.
fn layers() -> impl Strategy<Value = Vec<Layer>> {
    let rule = rules::plain_hook_rule();
    let of_files = rules::rule_of(Event::Fs);
    let layer = prop_oneof![
        4 => rule.prop_map(Layer::Rule),
        1 => of_files.prop_map(Layer::Rule),
        4 => filters::filter().prop_map(Layer::Filter),
    ];
    prop::collection::vec(layer, 1..7)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn emitted_programs_decide_as_the_evaluator_does(
        domain in prop::collection::vec(rules::rule(), 1..5),
        situation in situation(),
    ) {
        agrees(&Domain::prepended(domain), &situation);
    }

    #[test]
    fn rules_tied_to_hooks_are_run_for_the_cookies_of_older_filters(
        layers in layers(),
        situation in situation::at(&["file_open", "file_permission", "mmap_file"]),
    ) {
        agrees(&Domain::layered(layers), &situation);
    }

    #[test]
    fn a_rename_removes_what_had_the_name(actions in rules::rule_of(Event::Fs), situation in situation::at(&["inode_rename"])) {
        let no_remove = rule(Event::Fs, Abilities::empty(), &[
            load(Size::Double, Reg::R0, Reg::R1, context::ARG2),
            crate::testing::build::alu(AluOp::And, Reg::R0, 32),
            exit(),
        ]);
        agrees(&Domain::prepended([no_remove.clone()]), &situation);
        agrees(&Domain::prepended([actions, no_remove]), &situation);
    }

    /// Programs leave early where no rule minds any action of the call.
    #[test]
    fn what_no_rule_minds_is_what_the_rules_say(
        minded in prop::collection::vec((0..32_i32, rules::rule_of(Event::Fs)), 1..4),
        situation in situation::at(&["inode_permission", "file_permission"]),
    ) {
        let first_look = |(actions, rest): (i32, Rule)| {
            let before = [
                load(Size::Double, Reg::R2, Reg::R1, context::ARG2),
                crate::testing::build::alu(AluOp::And, Reg::R2, actions),
                Op::Branch { op: CompareOp::Ne, width: Width::W64, dst: Reg::R2, src: 0.into(), off: 2 },
                mov(Reg::R0, 0),
                exit(),
            ];
            let after = rest.ops().iter().flatten().copied();
            rule(Event::Fs, rest.abilities(), &before.into_iter().chain(after).collect::<Vec<_>>())
        };
        agrees(&Domain::prepended(minded.into_iter().map(first_look)), &situation);
    }

    /// Rules of the event of a sub-instance are rare above.
    #[test]
    fn commands_are_asked_after_the_action(
        actions in rules::rule_of(Event::Fs),
        commands in rules::rule_of(Event::FsIoctl),
        situation in situation::at(&["file_ioctl", "file_ioctl_compat", "uring_cmd"]),
    ) {
        agrees(&Domain::prepended([actions, commands]), &situation);
    }

    #[test]
    fn rules_of_any_depth_of_stack_that_is_left_are_run(used in 1..=RULE_STACK / 8, situation in situation()) {
        let off = -i16::try_from(used * 8).unwrap();
        let deep = rule(Event::Fs, Abilities::empty(), &[
            load(Size::Double, Reg::R2, Reg::R1, context::ARG2),
            store(Size::Double, Reg::R10, off, Reg::R2),
            load(Size::Double, Reg::R0, Reg::R10, off),
            exit(),
        ]);
        agrees(&Domain::prepended([deep]), &situation);
    }

    #[test]
    fn the_running_syscall_is_seen(situation in situation(), register in select(&[context::ARCH, context::SYSCALL_NR][..])) {
        let odd = rule(Event::Fs, Abilities::empty(), &[
            load(Size::Double, Reg::R0, Reg::R1, register),
            crate::testing::build::alu(AluOp::And, Reg::R0, 1),
            exit(),
        ]);
        agrees(&Domain::prepended([odd]), &situation);
    }

    /// A rule that denies whatever its result is: the program returns -1 and nothing else.
    #[test]
    fn results_are_never_passed_on(value: i32, situation in situation()) {
        let outcome = run(&Domain::prepended([returns(value)]), &situation);
        prop_assert!(outcome.returned == ALLOWED || outcome.returned == DENIED);
        agrees(&Domain::prepended([returns(value)]), &situation);
    }

    /// Nothing of the kernel's is printed in place of what a rule did not set.
    #[test]
    fn traces_print_zero_for_what_is_not_set(situation in situation()) {
        let text = u64::from_le_bytes(*b"%lx %d\n\0");
        let tracing = rule(Event::Fs, Abilities::DEBUG, &[
            crate::testing::build::load_imm(Reg::R2, text),
            store(Size::Double, Reg::R10, -8, Reg::R2),
            load(Size::Double, Reg::R6, Reg::R1, context::ARG1),
            mov(Reg::R1, Reg::R6),
            call(helper::HANDLE_FS_GET_MODE),
            mov(Reg::R1, Reg::R10),
            crate::testing::build::alu(AluOp::Add, Reg::R1, -8),
            mov(Reg::R2, 8),
            call(helper::TRACE_PRINTK),
            mov(Reg::R0, 0),
            exit(),
        ]);
        let outcome = run(&Domain::prepended([tracing.clone()]), &situation);
        prop_assert!(outcome.traced.iter().all(|text| text == "0 0\n"));
        agrees(&Domain::prepended([tracing]), &situation);
    }
}

#[test]
fn a_domain_that_cannot_deny_at_a_hook_has_no_program_there() {
    let [layout, ..] = layouts();
    for hook in hooks::TABLE.iter().filter(|hook| layout.hooks.contains_key(hook.name)) {
        let emitted =
            |value| emit(hook, &Domain::prepended([returns(value)]), layout, Report::Silent).unwrap();
        assert_eq!(emitted(0), None, "{}", hook.name);
        assert!(emitted(1).is_some(), "{}", hook.name);
    }
}

/// Two loads, a test and two instructions to leave, however many rules there are.
#[test]
fn folders_are_walked_through_at_the_same_cost_under_any_number_of_rules_against_writing() {
    let against_writing = |mode: i32| {
        rule(
            Event::Fs,
            Abilities::empty(),
            &[
                load(Size::Double, Reg::R2, Reg::R1, context::ARG2),
                crate::testing::build::alu(AluOp::And, Reg::R2, 2),
                mov(Reg::R0, 0),
                Op::Branch { op: CompareOp::Eq, width: Width::W64, dst: Reg::R2, src: 0.into(), off: 3 },
                load(Size::Double, Reg::R1, Reg::R1, context::ARG1),
                call(helper::HANDLE_FS_GET_MODE),
                crate::testing::build::alu(AluOp::And, Reg::R0, mode),
                exit(),
            ],
        )
    };
    let [layout, ..] = layouts();
    let hook = hooks::by_name("inode_permission").unwrap();
    for rules in [1, 64] {
        let domain = Domain::prepended((1..=rules).map(against_writing));
        let program = emit(hook, &domain, layout, Report::Silent).unwrap().unwrap();
        let text: Vec<String> = (0..5).map(|at| crate::asm::print_insn(&program.insns(|_| 0), at)).collect();
        // MAY_WRITE and MAY_APPEND.
        let early = ["r6 = r1", "r1 = *(u64 *)(r6 + 8)", "if w1 & 10 goto +2", "r0 = 0", "exit"];
        assert_eq!(text, early);
    }
}

#[test]
fn what_the_kernel_lacks_is_refused_by_name() {
    let [old, ..] = layouts();
    let domain = Domain::prepended([returns(1)]);
    let refused = |hook, layout: &Layout| {
        emit(hooks::by_name(hook).unwrap(), &domain, layout, Report::Silent).unwrap_err().to_string()
    };
    assert_eq!(refused("file_truncate", old), "this kernel has no hook file_truncate");
    let mut other = old.clone();
    other.hooks.get_mut("inode_permission").unwrap()[1] = "flags".to_owned();
    assert_eq!(
        refused("inode_permission", &other),
        "hook inode_permission has no argument mask on this kernel, it has: inode, flags"
    );
    other.members.remove(&Member::SuperBlockRoot);
    assert_eq!(
        refused("sb_remount", &other),
        "struct super_block has no member s_root of 8 bytes on this kernel"
    );
}

#[test]
fn a_rule_with_too_much_stack_is_refused() {
    let [layout, ..] = layouts();
    let off = -i16::try_from(RULE_STACK).unwrap() - 8;
    let ops = [
        load(Size::Double, Reg::R2, Reg::R1, context::ARG2),
        store(Size::Double, Reg::R10, off, Reg::R2),
        load(Size::Double, Reg::R0, Reg::R10, off),
        exit(),
    ];
    let domain = Domain::prepended([rule(Event::Fs, Abilities::empty(), &ops)]);
    let error =
        emit(hooks::by_name("file_permission").unwrap(), &domain, layout, Report::Silent).unwrap_err();
    assert_eq!(
        error.to_string(),
        "rule landlock1 uses 456 bytes of stack, in the kernel 448 are left for it"
    );
}

#[test]
fn sixty_four_different_rules_fit_at_every_hook() {
    let mask = |mask| {
        let field = load(Size::Double, Reg::R0, Reg::R1, context::ARG2);
        let mode = [load(Size::Double, Reg::R1, Reg::R1, context::ARG1), call(helper::HANDLE_FS_GET_MODE)];
        let and = crate::testing::build::alu(AluOp::And, Reg::R0, mask);
        rule(Event::Fs, Abilities::empty(), &[&[field][..], &mode, &[and, exit()]].concat())
    };
    let domain = Domain::prepended((1..=64).map(mask));
    for layout in layouts() {
        for hook in hooks::TABLE.iter().filter(|hook| layout.hooks.contains_key(hook.name)) {
            emit(hook, &domain, layout, Report::Record { domain: 1 }).unwrap();
        }
    }
}

#[test]
fn functions_beyond_the_kernels_limit_are_refused() {
    let [layout, ..] = layouts();
    let mask = |mask| {
        let field = load(Size::Double, Reg::R0, Reg::R1, context::ARG2);
        let and = crate::testing::build::alu(AluOp::And, Reg::R0, mask);
        rule(Event::Fs, Abilities::empty(), &[field, and, exit()])
    };
    let domain = Domain::prepended((1..=300).map(|n| mask(n << 3 | 1)));
    let error =
        emit(hooks::by_name("inode_permission").unwrap(), &domain, layout, Report::Silent).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the domain needs 301 functions at one hook, the kernel's limit is 256; use fewer rules"
    );
}

#[test]
fn every_kind_of_handle_is_asked_for_its_mode() {
    use std::collections::BTreeSet;
    let kinds: BTreeSet<HandleKind> =
        hooks::TABLE.iter().flat_map(|hook| hook.instances).map(|instance| instance.handle).collect();
    assert_eq!(kinds.len(), 4);
    let mut positive = hooks::TABLE.iter().flat_map(|hook| hook.instances);
    assert!(
        positive
            .all(|instance| instance.asked == hooks::Asked::Always || instance.handle == HandleKind::Dentry)
    );
}

/// A rule of the event FS that compares with handles for these actions, and another that does not compare.
fn comparing_for(actions: Actions) -> Domain {
    let text = format!(
        ".rule compares\n.abi 2\n.event FS\n.license \"GPL\"\n.map list fs 4\n r2 = *(u64 *)(r1 + 24)\n r0 = 0\n \
         if r2 & {} goto look\n exit\nlook:\n r4 = *(u64 *)(r1 + 16)\n r1 = 0\n r2 = map list\n r3 = 1\n \
         call cmp_fs_beneath\n exit\n",
        actions.bits()
    );
    let object = crate::asm::parse(&text, "rule.s").unwrap().remove(0);
    let compares = crate::verify::verify_newest(object, &Loader::default()).unwrap();
    Domain::prepended([returns(0), compares])
}

/// Hooks where an object is an inode or a dentry, and no others, are refused, and there only what rules compare for.
#[test]
fn rules_compare_where_there_is_a_path() {
    let refused = |actions: Actions| -> Vec<&'static str> {
        let domain = comparing_for(actions);
        let at = |hook: &&'static Hook| {
            let without = without_a_name(hook, &domain);
            let emitted = emit(hook, &domain, &layouts()[2], Report::Silent).map(drop);
            let hooks = vec![hook.name];
            let refused = EmitError::NoName { rule: "compares".into(), hooks };
            match without.first() {
                Some(rule) => assert_eq!((*rule, emitted), (0, Err(refused)), "{}", hook.name),
                None => assert!(!matches!(emitted, Err(EmitError::NoName { .. })), "{}", hook.name),
            }
            !without.is_empty()
        };
        hooks::TABLE.iter().filter(at).map(|hook| hook.name).collect()
    };
    let has_no_path = |hook: &&Hook| {
        let instances = hook.instances.iter().filter(|instance| instance.event == Event::Fs);
        instances
            .into_iter()
            .any(|instance| matches!(instance.handle, HandleKind::Dentry | HandleKind::Inode))
    };
    let all: Vec<_> = hooks::TABLE.iter().filter(has_no_path).map(|hook| hook.name).collect();
    assert_eq!(refused(Actions::all()), all);
    assert_eq!(all.len(), 26);
    for with_path in
        ["file_open", "file_permission", "mmap_file", "inode_getattr", "move_mount", "file_truncate"]
    {
        assert!(!all.contains(&with_path));
    }
    assert_eq!(refused(Actions::IOCTL | Actions::LOCK | Actions::FCNTL), [""; 0]);
    // What opens, reads or executes is asked about by the inode before.
    assert_eq!(refused(Actions::GET), ["inode_permission"]);
    assert_eq!(refused(Actions::EXEC), ["inode_permission"]);
    assert!(refused(Actions::READ).contains(&"inode_permission"));
    let names = ["inode_create", "inode_link", "inode_symlink", "inode_mkdir", "inode_mknod", "inode_rename"];
    assert_eq!(refused(Actions::NEW), names);
    assert_eq!(refused(Actions::REMOVE), ["inode_unlink", "inode_rmdir", "inode_rename"]);
}
