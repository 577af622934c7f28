// SPDX-License-Identifier: MIT OR Apache-2.0
//! This crate against real kernels: `cargo xtask guest-test` runs these in guests, as root. Modules say
//! what their guest is; the rest runs in every guest.
//!
//! Programs here concern one thread only, so that tests can run side by side.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;
use std::sync::OnceLock;

use landlock_bpf::Error;
use landlock_bpf::btf::{Btf, Builder, LoadedBtf, Place};
use landlock_bpf::link::Link;
use landlock_bpf::map::{Map, MapFlags, MapKind, MapSpec, MapTypes, Update, possible_cpus};
use landlock_bpf::object::Kind;
use landlock_bpf::pin::Folder;
use landlock_bpf::program::{Program, ProgramKind, ProgramSpec, map_reference, value_reference};
use landlock_bpf::ring::Ring;
use landlock_compiler::insn::Insn;
use rustix::io::Errno;

const SPEC: MapSpec<'static> = MapSpec {
    name: "test",
    kind: MapKind::Hash,
    key_size: 4,
    value_size: 8,
    max_entries: 64,
    flags: MapFlags::empty(),
    types: None,
    inner: None,
};

mod call {
    pub const TAIL_CALL: i32 = 12;
    pub const GET_CURRENT_PID_TGID: i32 = 14;
    pub const SEQ_WRITE: i32 = 127;
    pub const RINGBUF_OUTPUT: i32 = 130;
}

const fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> Insn {
    Insn { code, dst, src, off, imm }
}

const fn set(register: u8, value: i32) -> Insn {
    insn(0xb7, register, 0, 0, value)
}

const fn copy(to: u8, from: u8) -> Insn {
    insn(0xbf, to, from, 0, 0)
}

const fn helper(number: i32) -> Insn {
    insn(0x85, 0, 0, 0, number)
}

const EXIT: Insn = insn(0x95, 0, 0, 0, 0);
const DENY: [Insn; 2] = [set(0, -1), EXIT];

fn btf() -> &'static Btf {
    static BTF: OnceLock<Btf> = OnceLock::new();
    BTF.get_or_init(|| Btf::of_running_kernel().unwrap())
}

/// Loads a program for `file_open` that allows every thread but this one, and does `body` for this one.
/// The context is in r6.
fn for_this_thread(kind: ProgramKind, body: &[Insn]) -> Result<Program, Error> {
    let tid = rustix::thread::gettid().as_raw_nonzero().get();
    let mut insns = vec![
        copy(6, 1),
        helper(call::GET_CURRENT_PID_TGID),
        insn(0xbc, 0, 0, 0, 0), // w0 = w0: the thread's id
        insn(0x15, 0, 0, 2, tid),
        set(0, 0),
        EXIT,
    ];
    insns.extend(body);
    load(kind, &insns)
}

fn load(kind: ProgramKind, insns: &[Insn]) -> Result<Program, Error> {
    let function = match kind {
        ProgramKind::Lsm => "bpf_lsm_file_open",
        ProgramKind::ModifyReturn => "security_file_open",
        ProgramKind::Entry | ProgramKind::Exit => "security_task_free",
        ProgramKind::Iterator => "bpf_iter_task",
        ProgramKind::Sysctl => unreachable!("is for no function"),
    };
    let attach_to = btf().function(function).unwrap().id;
    Program::load(&ProgramSpec { name: "test", kind, attach_to, insns, license: c"Dual MIT/GPL" })
}

fn open_something() -> io::Result<File> {
    File::open("/etc/passwd")
}

fn is_denied(result: &io::Result<File>) -> bool {
    result.as_ref().is_err_and(|error| error.raw_os_error() == Some(Errno::PERM.raw_os_error()))
}

/// A program of this kind denies while it is attached, and only then.
fn denies_while_attached(kind: ProgramKind) {
    let program = for_this_thread(kind, &DENY).unwrap();
    assert!(open_something().is_ok(), "loading alone must not deny");
    let link = Link::attach(&program, kind).unwrap();
    assert!(is_denied(&open_something()));
    std::thread::spawn(|| assert!(open_something().is_ok(), "another thread")).join().unwrap();
    let (link_info, info) = (link.info().unwrap(), program.info().unwrap());
    assert_eq!((link_info.program, link_info.attached_to), (info.id, info.attach_to));
    assert_eq!(info.name, "test");
    assert!(info.verified_insns > 0 && info.machine_code_size > 0);
    drop(link);
    assert!(open_something().is_ok());
}

/// Waits, for minutes, for an object to be gone: the kernel frees some time after the last descriptor closes.
#[track_caller]
fn becomes(mut what: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !what() {
        assert!(start.elapsed().as_secs() < 200, "it never comes about");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

mod everywhere {
    use super::*;

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn a_hash_map_holds_what_was_put() {
        let map = Map::create(&SPEC).unwrap();
        let key = |n: u32| n.to_ne_bytes();
        let value = |n: u64| n.to_ne_bytes();
        assert_eq!(map.lookup(&key(1)).unwrap(), None);
        for n in 0..40 {
            map.update(&key(n), &value(u64::from(n) * 3), Update::Make).unwrap();
        }
        assert_eq!(map.lookup(&key(7)).unwrap().unwrap(), value(21));
        let again = map.update(&key(7), &value(0), Update::Make).unwrap_err();
        assert_eq!(again.errno(), Some(Errno::EXIST));
        let absent = map.update(&key(99), &value(0), Update::Replace).unwrap_err();
        assert_eq!(
            absent.to_string(),
            "BPF_MAP_UPDATE_ELEM of map test: No such file or directory (os error 2)"
        );
        assert!(map.delete(&key(0)).unwrap() && !map.delete(&key(0)).unwrap());

        let mut keys = Vec::new();
        while let Some(next) = map.next_key(keys.last().map(Vec::as_slice)).unwrap() {
            keys.push(next);
        }
        let mut elements = map.elements(16).unwrap();
        assert_eq!(keys.len(), 39);
        elements.sort();
        keys.sort();
        assert_eq!(elements.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), keys);
        assert!(elements.contains(&(key(7).to_vec(), value(21).to_vec())));
    }

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn a_key_or_value_of_another_size_is_refused_before_the_kernel_reads_it() {
        let map = Map::create(&SPEC).unwrap();
        for error in [
            map.lookup(&[0; 3]).unwrap_err(),
            map.delete(&[0; 5]).unwrap_err(),
            map.next_key(Some(&[])).unwrap_err(),
            map.update(&[0; 4], &[0; 7], Update::Any).unwrap_err(),
        ] {
            assert!(matches!(error, Error::Size { .. }), "{error}");
        }
    }

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn per_cpu_values_are_of_all_cpus() {
        let map = Map::create(&MapSpec { kind: MapKind::PerCpuArray, value_size: 4, ..SPEC }).unwrap();
        let values: Vec<u8> =
            (0..possible_cpus().unwrap() * 8).map(|n| if n % 8 < 4 { 7 } else { 0 }).collect();
        map.update(&[0; 4], &values, Update::Any).unwrap();
        assert_eq!(map.lookup(&[0; 4]).unwrap().unwrap(), values);
    }

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn task_storage_takes_types_of_our_making_and_a_pidfd() {
        let mut builder = Builder::default();
        let key = builder.unsigned("u32", 4);
        let word = builder.unsigned("u64", 8);
        let value = builder.array(word, key, 3);
        let loaded = LoadedBtf::load(&builder.finish()).unwrap();
        let types = MapTypes { btf: &loaded, key, value };
        let spec = MapSpec {
            kind: MapKind::TaskStorage,
            value_size: 24,
            max_entries: 0,
            flags: MapFlags::NO_PREALLOC,
            ..SPEC
        };
        let untyped = Map::create(&spec).unwrap_err();
        assert_eq!(untyped.errno(), Some(Errno::INVAL));
        let map = Map::create(&MapSpec { types: Some(types), ..spec }).unwrap();

        let pidfd =
            rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty());
        let task = pidfd.as_ref().unwrap().as_raw_fd().to_ne_bytes();
        assert_eq!(map.lookup(&task).unwrap(), None);
        map.update(&task, &[5; 24], Update::Any).unwrap();
        assert_eq!(map.lookup(&task).unwrap().unwrap(), [5; 24]);
        assert!(map.delete(&task).unwrap());
    }

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn a_rejected_program_comes_with_the_verifiers_words() {
        let error = load(ProgramKind::Lsm, &[copy(0, 2), EXIT]).unwrap_err();
        let Error::Rejected { name, errno, log } = &error else { panic!("{error}") };
        assert_eq!((name.as_str(), *errno), ("test", Errno::ACCESS));
        assert!(log.contains("R2 !read_ok"), "{log}");
        let license = ProgramSpec {
            name: "test",
            kind: ProgramKind::Lsm,
            attach_to: btf().function("bpf_lsm_file_open").unwrap().id,
            insns: &[set(0, 0), EXIT],
            license: c"Proprietary",
        };
        assert_eq!(Program::load(&license).unwrap_err().errno(), Some(Errno::INVAL));
    }

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn modify_return_denies_while_attached() {
        denies_while_attached(ProgramKind::ModifyReturn);
    }

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn records_arrive_in_order_and_once() {
        let size = 4096;
        let ring = MapSpec { kind: MapKind::RingBuf, key_size: 0, value_size: 0, max_entries: size, ..SPEC };
        let map = Map::create(&ring).unwrap();
        let [low, high] = map_reference(1, map.as_fd());
        // The record: 12 bytes that begin with the low half of the pid_tgid in r0.
        let body = [
            insn(0x7b, 10, 0, -16, 0),
            insn(0x62, 10, 0, -8, 7),
            low,
            high,
            copy(2, 10),
            insn(0x07, 2, 0, 0, -16),
            set(3, 12),
            set(4, 0),
            helper(call::RINGBUF_OUTPUT),
            set(0, 0),
            EXIT,
        ];
        let program = for_this_thread(ProgramKind::ModifyReturn, &body).unwrap();
        let mut other = Ring::new(Map::open(map.info().id).unwrap().unwrap()).unwrap();
        let mut ring = Ring::new(map).unwrap();
        let link = Link::attach(&program, ProgramKind::ModifyReturn).unwrap();
        let mut expected = rustix::thread::gettid().as_raw_nonzero().get().to_ne_bytes().to_vec();
        expected.extend([0, 0, 0, 0, 7, 0, 0, 0]);
        // More than once around: a record takes 24 bytes.
        for round in 0..100 {
            assert_eq!(
                ring.consume(|record| panic!("round {round}: a record nobody wrote: {record:?}")).unwrap(),
                0
            );
            open_something().unwrap();
            open_something().unwrap();
            let mut records = Vec::new();
            assert_eq!(ring.consume(|record| records.push(record.to_vec())).unwrap(), 2);
            assert_eq!(other.consume(|record| panic!("a record read twice: {record:?}")).unwrap(), 0);
            assert_eq!(records, [expected.clone(), expected.clone()]);
        }
        drop(link);
        assert!(matches!(Ring::new(Map::create(&SPEC).unwrap()), Err(Error::Kind { .. })));
    }

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn a_tail_call_reaches_the_program_in_its_slot_or_goes_on() {
        let array = MapSpec { kind: MapKind::ProgArray, value_size: 4, max_entries: 1, ..SPEC };
        let map = Map::create(&array).unwrap();
        let [low, high] = map_reference(2, map.as_fd());
        let body = [copy(1, 6), low, high, set(3, 0), helper(call::TAIL_CALL), set(0, 0), EXIT];
        let dispatch = for_this_thread(ProgramKind::ModifyReturn, &body).unwrap();
        let _link = Link::attach(&dispatch, ProgramKind::ModifyReturn).unwrap();
        assert!(open_something().is_ok());
        map.set_program(0, &load(ProgramKind::ModifyReturn, &DENY).unwrap()).unwrap();
        assert!(is_denied(&open_something()));
        assert!(map.delete(&[0; 4]).unwrap());
        assert!(open_something().is_ok());
    }

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn a_pin_holds_an_object_and_its_kind_is_checked() {
        let bpffs = Folder::open(Path::new("/sys/fs/bpf")).unwrap();
        let (new, published) = (bpffs.folder("new").unwrap(), bpffs.folder("published").unwrap());
        let program = for_this_thread(ProgramKind::ModifyReturn, &DENY).unwrap();
        new.pin(&program, "program").unwrap();
        assert_eq!(new.names().unwrap(), ["program"]);
        let link = Link::attach(&program, ProgramKind::ModifyReturn).unwrap();
        new.pin(&link, "link").unwrap();
        assert_eq!(new.pin(&program, "link").unwrap_err().errno(), Some(Errno::EXIST));
        new.rename("link", &published, "held").unwrap();
        assert!(new.rename("program", &published, "held").is_err(), "renaming replaces nothing");
        new.remove("program").unwrap();
        bpffs.remove_folder("new").unwrap();
        drop((link, program));
        assert!(is_denied(&open_something()), "the pin holds the link, the link the program");

        // From another thread: this one may not open what tells the kinds apart.
        let reopen = || {
            let wrong = Map::from_pin(&published, "held").unwrap_err();
            assert_eq!(wrong.to_string(), "pin held is not a map");
            Link::from_pin(&published, "held").unwrap()
        };
        let link = std::thread::scope(|scope| scope.spawn(reopen).join().unwrap());
        let program = Program::open(link.info().unwrap().program).unwrap().unwrap();
        assert_eq!(program.info().unwrap().name, "test");
        published.remove("held").unwrap();
        drop((link, program));
        becomes(|| open_something().is_ok());
        bpffs.remove_folder("published").unwrap();
    }

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn an_iterator_is_run_over_every_thread() {
        // if (task) seq_write(seq, &task->pid, 4), in terms of the running kernel's types
        let place = |aggregate: &str, member: &str| match btf().member(aggregate, member).unwrap().place {
            Place::Bytes { offset, .. } => i16::try_from(offset).unwrap(),
            Place::Bits { .. } => panic!("{member} is a bit field"),
        };
        let meta = place("struct bpf_iter__task", "meta");
        let body = [
            copy(6, 1),
            insn(0x79, 2, 6, place("struct bpf_iter__task", "task"), 0),
            insn(0x15, 2, 0, 8, 0),
            insn(0x61, 3, 2, place("struct task_struct", "pid"), 0),
            insn(0x63, 10, 3, -4, 0),
            insn(0x79, 1, 6, meta, 0),
            insn(0x79, 1, 1, place("struct bpf_iter_meta", "seq"), 0),
            copy(2, 10),
            insn(0x07, 2, 0, 0, -4),
            set(3, 4),
            helper(call::SEQ_WRITE),
            set(0, 0),
            EXIT,
        ];
        let program = load(ProgramKind::Iterator, &body).unwrap();
        let link = Link::attach(&program, ProgramKind::Iterator).unwrap();
        let written = link.iterate().unwrap();
        let tids: Vec<i32> =
            written.chunks(4).map(|word| i32::from_ne_bytes(word.try_into().unwrap())).collect();
        assert!(
            tids.contains(&1) && tids.contains(&rustix::thread::gettid().as_raw_nonzero().get()),
            "{tids:?}"
        );
    }

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn a_program_writes_to_an_arrays_memory() {
        let map =
            Map::create(&MapSpec { kind: MapKind::Array, value_size: 16, max_entries: 1, ..SPEC }).unwrap();
        let [low, high] = value_reference(1, map.as_fd(), 8);
        let body = [low, high, insn(0x7a, 1, 0, 0, 77), set(0, 0), EXIT];
        let program = for_this_thread(ProgramKind::ModifyReturn, &body).unwrap();
        let _link = Link::attach(&program, ProgramKind::ModifyReturn).unwrap();
        open_something().unwrap();
        assert_eq!(map.lookup(&[0; 4]).unwrap().unwrap(), [[0; 8], 77_u64.to_ne_bytes()].concat());
    }

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn living_objects_are_listed_and_dead_ones_are_not() {
        let map = Map::create(&SPEC).unwrap();
        let program = for_this_thread(ProgramKind::ModifyReturn, &DENY).unwrap();
        let (map_id, program_id) = (map.info().id, program.info().unwrap().id);
        assert!(Kind::Map.ids().unwrap().contains(&map_id));
        assert!(Kind::Program.ids().unwrap().contains(&program_id));
        assert_eq!(Map::open(map_id).unwrap().unwrap().info(), map.info());
        drop((map, program));
        becomes(|| Map::open(map_id).unwrap().is_none());
        becomes(|| Program::open(program_id).unwrap().is_none());
        assert!(!Kind::Map.ids().unwrap().contains(&map_id));
    }

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn a_frozen_map_is_read_only() {
        let map = Map::create(&SPEC).unwrap();
        map.freeze().unwrap();
        assert_eq!(map.update(&[0; 4], &[0; 8], Update::Any).unwrap_err().errno(), Some(Errno::PERM));
        assert_eq!(map.lookup(&[0; 4]).unwrap(), None);
    }

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn all_kinds_can_be_loaded_and_the_preemption_mode_is_known() {
        use ProgramKind::{Entry, Exit, Lsm, ModifyReturn};
        use landlock_bpf::probe::{Answer, Preemption, can_load, preemption};
        for kind in [Lsm, ModifyReturn, Entry, Exit] {
            assert_eq!(can_load(kind, btf()), Answer::Yes, "{kind:?}");
        }
        let expected = match std::env::var("PREEMPTION").unwrap().as_str() {
            "voluntary" => Preemption::Voluntary,
            "full" => Preemption::Full,
            "lazy" => Preemption::Lazy,
            other => panic!("PREEMPTION={other}"),
        };
        assert_eq!(preemption(), expected);
    }
}

mod with_bpf_lsm {
    use super::*;

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn lsm_programs_deny_while_attached() {
        use landlock_bpf::probe::{Answer, bpf_is_an_active_lsm};
        assert_eq!(bpf_is_an_active_lsm(), Answer::Yes);
        denies_while_attached(ProgramKind::Lsm);
    }
}

mod without_bpf_lsm {
    use super::*;

    #[test]
    #[ignore = "needs privilege: cargo xtask guest-test"]
    fn lsm_programs_attach_and_are_never_asked() {
        use landlock_bpf::probe::{Answer, bpf_is_an_active_lsm};
        assert!(matches!(bpf_is_an_active_lsm(), Answer::No(why) if why.contains("lsm=")));
        let program = for_this_thread(ProgramKind::Lsm, &DENY).unwrap();
        let _link = Link::attach(&program, ProgramKind::Lsm).unwrap();
        assert!(open_something().is_ok());
    }
}

mod unprivileged {
    use landlock_bpf::probe::{Answer, Preemption, can_load, preemption};

    use super::*;

    #[test]
    #[ignore = "needs a user: cargo xtask guest-test"]
    fn nothing_can_be_loaded_and_the_preemption_mode_is_not_known() {
        for kind in [ProgramKind::Lsm, ProgramKind::ModifyReturn] {
            assert!(matches!(can_load(kind, btf()), Answer::No(why) if why.contains("may not")));
        }
        assert!(matches!(preemption(), Preemption::Unknown(why) if why.contains("debugfs")));
    }
}
