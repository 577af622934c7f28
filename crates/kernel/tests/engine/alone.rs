//! Tests that count the kernel's objects, and so run one at a time in a guest of their own.

use landlock_bpf::link::Link;
use landlock_bpf::map::{MapFlags, MapKind, MapSpec};
use landlock_bpf::object::Kind;
use landlock_bpf::program::{Program, ProgramKind, ProgramSpec};

use super::accomplice::Accomplice;
use super::*;

/// How many programs, maps and links there are.
pub fn objects() -> [usize; 3] {
    [Kind::Program, Kind::Map, Kind::Link].map(|kind| kind.ids().unwrap().len())
}

/// What is pinned in the folder of an engine, at any depth.
fn pins(name: &str) -> Vec<String> {
    fn below(folder: &Path, pins: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => below(&entry.path(), pins),
                false => pins.push(entry.path().display().to_string()),
            }
        }
    }
    let mut pins = Vec::new();
    below(&Path::new("/sys/fs/bpf").join(name), &mut pins);
    pins
}

/// Opens and closes the engine until nothing is left.
pub fn leaves_nothing(name: &str, before: [usize; 3]) {
    becomes(|| {
        if !pins(name).is_empty() {
            drop(start(name));
        }
        pins(name).is_empty()
    });
    becomes(|| objects() == before);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_last_engine_takes_everything_down() {
    let before = objects();
    let name = "taken_down";
    let mut engine = start(name);
    let other = start(name);
    let domain = engine.load(&read_only(), Denials::Own).unwrap();
    within(&engine, &domain, || assert!(refused(&write_to(Path::new("/dev/null")))));
    assert!(objects()[0] > before[0] + 10);
    drop((engine, domain));
    assert!(!pins(name).is_empty(), "another has it open");
    drop(other);
    assert_eq!(pins(name), <[String; 0]>::default());
    becomes(|| objects() == before);
    leaves_nothing(name, before);
}

/// Kills a process at a step: the count of its system calls that change state.
struct Reaper {
    /// The process, the steps it has left, the steps it made.
    victim: Map,
    _links: Vec<Link>,
}

/// At each of these hooks a step begins. The last one is not made.
const STEPS: [&str; 7] =
    ["bpf", "inode_mkdir", "inode_rename", "inode_unlink", "inode_rmdir", "file_lock", "task_prctl"];

impl Reaper {
    fn new() -> Reaper {
        let spec = MapSpec {
            name: "victim",
            kind: MapKind::Array,
            key_size: 4,
            value_size: 24,
            max_entries: 1,
            flags: MapFlags::empty(),
            types: None,
            inner: None,
        };
        let victim = Map::create(&spec).unwrap();
        let text = format!(
            ".rule reaper\n call 14\n r0 >>= 32\n r6 = r0\n r1 = 0\n *(u32 *)(r10 - 4) = r1\n \
             .insn 0x18, 1, 1, 0, {}\n .insn 0, 0, 0, 0, 0\n r2 = r10\n r2 += -4\n call 1\n \
             if r0 == 0 goto live\n r1 = *(u64 *)(r0 + 0)\n if r1 != r6 goto live\n \
             r1 = *(u64 *)(r0 + 16)\n r1 += 1\n *(u64 *)(r0 + 16) = r1\n r2 = *(u64 *)(r0 + 8)\n \
             if r1 < r2 goto live\n r1 = 9\n call 109\n r0 = -1\n exit\nlive:\n r0 = 0\n exit\n",
            std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&victim)),
        );
        let insns = asm::parse(&text, "reaper").unwrap_or_else(|errors| panic!("{errors}")).remove(0).insns;
        let btf = Btf::of_running_kernel().unwrap();
        let attach = |hook: &&str| {
            let attach_to = btf.function(&format!("bpf_lsm_{hook}")).unwrap().id;
            let kind = ProgramKind::Lsm;
            let spec =
                ProgramSpec { name: "reaper", kind, attach_to, insns: &insns, license: c"Dual MIT/GPL" };
            Link::attach(&Program::load(&spec).unwrap(), kind).unwrap()
        };
        let _links = STEPS.iter().map(attach).collect();
        Reaper { victim, _links }
    }

    /// From now on counts the steps of the process, and kills it before this one.
    fn watch(&self, process: u32, step: u64) {
        let value = [u64::from(process), step, 0].map(u64::to_ne_bytes).concat();
        self.victim.update(&[0; 4], &value, Update::Any).unwrap();
    }

    fn counted(&self) -> u64 {
        let value = self.victim.lookup(&[0; 4]).unwrap().unwrap();
        u64::from_ne_bytes(*value.last_chunk().unwrap())
    }

    /// Lets a process live as [`accomplice`] has it, until this step; whether it lived to the end.
    fn lets_live(&self, engine: &str, step: u64) -> bool {
        let mut accomplice = Accomplice::start("live", engine);
        self.watch(accomplice.process.id(), step);
        accomplice.say("go");
        let lived = accomplice.hear("lived").is_some();
        let end = accomplice.end();
        assert!(end == if lived { Some(true) } else { None }, "step {step}: it ended by itself: {end:?}");
        self.watch(0, 0);
        lived
    }
}

/// How many of the steps are the last one, spread over all of them.
const KILLS: u64 = 30;

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn killed_at_any_step_nothing_is_wedged_or_left_behind() {
    let before = objects();
    let name = "killed_alone";
    let reaper = Reaper::new();
    let with_reaper = objects();
    assert!(reaper.lets_live(name, u64::MAX));
    let mut accomplice = Accomplice::start("live", name);
    reaper.watch(accomplice.process.id(), u64::MAX);
    accomplice.say("go");
    accomplice.hear("lived").unwrap();
    let steps = reaper.counted();
    drop(accomplice);
    println!("a life has {steps} steps");
    assert!(steps > 200 && pins(name).is_empty());
    for kill in 0..KILLS {
        let step = 1 + kill * steps / KILLS;
        assert!(!reaper.lets_live(name, step), "step {step}");
        {
            let mut engine = start(name);
            let domain = engine.load(&Domain::prepended([denies("next", LOCK)]), Denials::Shared).unwrap();
            within(&engine, &domain, || assert!(refused(&unlock()), "step {step}"));
        }
        leaves_nothing(name, with_reaper);
    }
    drop(reaper);
    becomes(|| objects() == before);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn killed_at_any_step_others_go_on_and_stay_confined() {
    let before = objects();
    let name = "killed_among_others";
    let reaper = Reaper::new();
    let mut engine = start(name);
    let domain = engine.load(&read_only(), Denials::Shared).unwrap();
    let mut confined = Accomplice::start("confine", name);
    confined.hear("shell ").unwrap();
    let mut refuses = |step: u64| {
        confined.say("go");
        assert!(confined.hear("refused").is_some(), "step {step}");
    };
    refuses(0);
    let mut accomplice = Accomplice::start("live", name);
    reaper.watch(accomplice.process.id(), u64::MAX);
    accomplice.say("go");
    accomplice.hear("lived").unwrap();
    let steps = reaper.counted();
    drop(accomplice);
    for kill in 0..KILLS {
        let step = 1 + kill * steps / KILLS;
        assert!(!reaper.lets_live(name, step), "step {step}");
        refuses(step);
        within(&engine, &domain, || assert!(refused(&write_to(Path::new("/dev/null"))), "step {step}"));
        assert!(engine.domains().unwrap().iter().any(|living| living.number == domain.number()));
    }
    assert!(write_to(Path::new("/dev/null")).is_ok());
    drop((engine, domain, confined, reaper));
    leaves_nothing(name, before);
}
