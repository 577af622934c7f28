// SPDX-License-Identifier: MIT OR Apache-2.0
//! One verdict: what the kernel does under random domains is what the evaluator says, for operations on
//! descriptors that are open already. `cargo xtask guest-test` runs this in guests, as root.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::thread;

use landlock_compiler::abi::{Actions, Event};
use landlock_compiler::classic::{ClassicInsn, Filter, SyscallData};
use landlock_compiler::domain::{Domain, Layer};
use landlock_compiler::evaluate::{Current, HookCall, HookVerdict, Input, Unrelated};
use landlock_compiler::file_type::FileType;
use landlock_compiler::testing::{filters, rules};
use landlock_kernel::{Denials, Engine, Loaded};
use proptest::prop_oneof;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

const DOMAINS: usize = 40;
const NAME: &str = "verdict";
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;

/// An operation: number of its syscall, and what the rules are asked one after the other.
struct Operation {
    name: &'static str,
    syscall: u32,
    questions: &'static [(Event, u64)],
    run: fn(&File) -> Result<(), Errno>,
}

const FCNTL: u32 = 72;
const PREAD: u32 = 17;
const F_GETFL: u64 = 3;
const F_GETFD: u64 = 1;
const F_GET_SEALS: u64 = 1034;

const OPERATIONS: &[Operation] = &[
    Operation {
        name: "F_GETFD",
        syscall: FCNTL,
        questions: &[(Event::Fs, Actions::FCNTL.bits()), (Event::FsFcntl, F_GETFD)],
        run: |file| rustix::io::fcntl_getfd(file).map(drop),
    },
    Operation {
        name: "F_GETFL",
        syscall: FCNTL,
        questions: &[(Event::Fs, Actions::FCNTL.bits()), (Event::FsFcntl, F_GETFL)],
        run: |file| rustix::fs::fcntl_getfl(file).map(drop),
    },
    Operation {
        name: "F_GET_SEALS",
        syscall: FCNTL,
        questions: &[(Event::Fs, Actions::FCNTL.bits()), (Event::FsFcntl, F_GET_SEALS)],
        run: |file| rustix::fs::fcntl_get_seals(file).map(drop),
    },
    Operation {
        name: "pread64",
        syscall: PREAD,
        questions: &[(Event::Fs, Actions::READ.bits())],
        run: |file| file.read_at(&mut [0], 0).map(drop).map_err(errno),
    },
];

fn errno(error: io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap()
}

fn current() -> Current {
    let number = |pid: rustix::process::Pid| u64::from(pid.as_raw_nonzero().get().unsigned_abs());
    let mut comm = [0; 16];
    comm[..NAME.len()].copy_from_slice(NAME.as_bytes());
    let pid_tgid = number(rustix::process::getpid()) << 32 | number(rustix::thread::gettid());
    Current { pid_tgid, uid_gid: 0, comm }
}

/// Whether the evaluator denies the operation.
fn denies(domain: &Domain, operation: &Operation, mode: u32, current: &Current) -> bool {
    operation.questions.iter().any(|&(event, arg2)| {
        let input = Input {
            event,
            arg2,
            mode: Some(mode),
            arch: AUDIT_ARCH_X86_64,
            syscall_nr: operation.syscall,
            current: current.clone(),
        };
        domain.decide(&input).is_deny()
    })
}

/// A pipe cannot be read at a position, which the kernel says before it asks anybody.
fn is_asked(mode: u32, operation: &Operation) -> bool {
    operation.syscall != PREAD || FileType::of_mode(mode) != Some(FileType::Fifo)
}

/// The verdicts of kernel and evaluator, for each operation on each file; taken in a thread of the domain.
fn verdicts(engine: &Engine, loaded: &Loaded, files: &[(File, u32)]) -> Vec<(&'static str, u32, bool, bool)> {
    let confined = || {
        let current = current();
        let each = || files.iter().flat_map(|file| OPERATIONS.iter().map(move |operation| (file, operation)));
        let mut verdicts = Vec::with_capacity(each().count());
        rustix::thread::set_no_new_privs(true).unwrap();
        engine.enter(loaded).unwrap();
        for ((file, mode), operation) in each().filter(|((_, mode), operation)| is_asked(*mode, operation)) {
            let denied = (operation.run)(file) == Err(Errno::PERM);
            let expected = denies(loaded.domain(), operation, *mode, &current);
            verdicts.push((operation.name, *mode, denied, expected));
        }
        verdicts
    };
    let builder = thread::Builder::new().name(NAME.to_owned());
    thread::scope(|scope| builder.spawn_scoped(scope, confined).unwrap().join().unwrap())
}

/// An operation at a hook that rules can be tied to.
struct Hooked {
    name: &'static str,
    syscall: u32,
    call: HookCall,
    run: fn(&File) -> Result<(), Errno>,
}

const OPENAT: u32 = 257;
const MAY_READ: u32 = 4;

const HOOKED: &[Hooked] = &[
    Hooked {
        name: "openat",
        syscall: OPENAT,
        call: HookCall::FileOpen,
        run: |_| rustix::fs::openat(rustix::fs::CWD, c"/dev/null", OFlags::RDONLY, Mode::empty()).map(drop),
    },
    Hooked {
        name: "pread64",
        syscall: PREAD,
        call: HookCall::FilePermission { mask: MAY_READ },
        run: |file| file.read_at(&mut [0], 0).map(drop).map_err(errno),
    },
];

/// A filter that looks at nothing but the number and the architecture of a system call.
fn filter() -> impl Strategy<Value = Filter> {
    const LD_ABS: u16 = 0x20;
    filters::filter().prop_map(|filter| {
        let of_call = |insn: &ClassicInsn| match insn.code {
            LD_ABS => ClassicInsn { k: insn.k % 8, ..*insn },
            _ => *insn,
        };
        Filter::new(filter.insns().iter().map(of_call).collect()).unwrap()
    })
}

/// What the kernel and the evaluator answer to each operation, taken in a thread of the domain.
fn answers(engine: &Engine, loaded: &Loaded, file: &File) -> Vec<(&'static str, Answer, Answer)> {
    let confined = || {
        rustix::thread::set_no_new_privs(true).unwrap();
        engine.enter(loaded).unwrap();
        let each = HOOKED.iter().map(|operation| {
            let data =
                SyscallData { nr: operation.syscall, arch: AUDIT_ARCH_X86_64, ..SyscallData::default() };
            let filtered = loaded.domain().filtered(&data);
            let expected = match loaded.domain().decide_hook(operation.call, Some(&filtered), &Unrelated) {
                HookVerdict::Allow => Ok(()),
                HookVerdict::Deny { errno, .. } => Err(Errno::from_raw_os_error(errno.cast_signed())),
            };
            (operation.name, (operation.run)(file), expected)
        });
        each.collect()
    };
    thread::scope(|scope| scope.spawn(confined).join().unwrap())
}

type Answer = Result<(), Errno>;

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn rules_tied_to_hooks_answer_as_the_evaluator_does() {
    let mut engine = Engine::open_in(Path::new("/sys/fs/bpf/verdict-at-hooks")).unwrap();
    let mut runner = TestRunner::deterministic();
    let layer =
        prop_oneof![rules::plain_hook_rule().prop_map(Layer::Rule), filter().prop_map(Layer::Filter),];
    let layers = proptest::collection::vec(layer, 1..8);
    let file = File::open("/dev/zero").unwrap();
    let mut seen = BTreeSet::new();
    let mut held = Vec::new();
    for _ in 0..2 * DOMAINS {
        let domain = Domain::layered(layers.new_tree(&mut runner).unwrap().current());
        let loaded = engine.load(&domain, Denials::Shared).unwrap();
        for (operation, kernel, evaluator) in answers(&engine, &loaded, &file) {
            assert_eq!(kernel, evaluator, "{operation} under {domain:#?}");
            seen.insert((operation, kernel.map_err(Errno::raw_os_error)));
        }
        held.push(loaded);
    }
    println!("{} random domains, as evaluated: {seen:?}", 2 * DOMAINS);
    let errnos = seen.iter().filter(|(_, answer)| answer.is_err_and(|errno| errno != 1)).count();
    assert!(
        seen.contains(&("openat", Ok(()))) && seen.contains(&("pread64", Ok(()))) && errnos > 0,
        "{seen:?}"
    );
}

fn files() -> Vec<(File, u32)> {
    let folder = std::env::temp_dir().join("verdict");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("file"), "x").unwrap();
    fs::write(folder.join("tool"), "x").unwrap();
    rustix::fs::chmod(folder.join("tool"), rustix::fs::Mode::from_raw_mode(0o4755)).unwrap();
    let (pipe, _) = rustix::pipe::pipe().unwrap();
    let named = [folder.join("file"), folder.join("tool"), folder, "/dev/null".into()];
    let opened = named.iter().map(|path| File::open(path).unwrap());
    opened
        .chain([File::from(pipe)])
        .map(|file| (mode_of(file.as_fd()), file))
        .map(|(mode, file)| (file, mode))
        .collect()
}

fn mode_of(file: BorrowedFd<'_>) -> u32 {
    File::from(file.try_clone_to_owned().unwrap()).metadata().unwrap().mode()
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_kernel_decides_as_the_evaluator_does() {
    let mut engine = Engine::open_in(Path::new("/sys/fs/bpf/verdict")).unwrap();
    let mut runner = TestRunner::deterministic();
    let events = [Event::Fs, Event::FsFcntl].map(rules::rule_of);
    let [fs, fcntl] = events;
    let domains = (proptest::collection::vec(fs, 1..3), proptest::collection::vec(fcntl, 0..3));
    let files = files();
    let (mut denied, mut allowed) = (0, 0);
    // Held, so that hooks are attached once and stay.
    let mut held = Vec::new();
    for _ in 0..DOMAINS {
        let (actions, commands) = domains.new_tree(&mut runner).unwrap().current();
        let loaded =
            engine.load(&Domain::prepended(actions.into_iter().chain(commands)), Denials::Shared).unwrap();
        for (operation, mode, kernel, evaluator) in verdicts(&engine, &loaded, &files) {
            assert_eq!(kernel, evaluator, "{operation} of mode {mode:o} under {:#?}", loaded.domain());
            *(if kernel { &mut denied } else { &mut allowed }) += 1;
        }
        held.push(loaded);
    }
    println!("{DOMAINS} random domains: {denied} operations denied and {allowed} allowed, as evaluated");
    assert!(denied > 50 && allowed > 50);
}
