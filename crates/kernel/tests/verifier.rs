// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's verifier accepts every program the emitter makes of rules ours accepted: run by
//! `cargo xtask guest-test`, as root, in a guest of each series.
//!
//! `RULES` in the environment holds a folder of compiled rules to take besides the random ones.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use landlock_bpf::Error;
use landlock_bpf::btf::Btf;
use landlock_bpf::map::{Map, MapFlags, MapKind, MapSpec};
use landlock_bpf::program::{Program, ProgramKind, ProgramSpec};
use landlock_compiler::abi::Event;
use landlock_compiler::abi::handles::ArrayKind;
use landlock_compiler::asm;
use landlock_compiler::classic::Filter;
use landlock_compiler::domain::{Domain, Layer};
use landlock_compiler::emit::{Attachment, Layout, MapSlot, Report, emit};
use landlock_compiler::hooks::{self, Hook};
use landlock_compiler::map::Handle;
use landlock_compiler::read::read_file;
use landlock_compiler::rule::Rule;
use landlock_compiler::testing::{filters, rules};
use landlock_compiler::verify::{Loader, verify, verify_newest};
use landlock_kernel::{Denials, Engine};
use proptest::prop_oneof;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use rustix::fs::{Mode, OFlags};

const BOTH: [Attachment; 2] = [Attachment::Lsm, Attachment::ModifyReturn];

/// The beginning of a rule that denies by bits of the mode or of the action.
const ONE_OF_MANY: &str = r#"
.rule one_of_many
.event FS
.license "GPL"
    r6 = *(u64 *)(r1 + 24)
    r1 = *(u64 *)(r1 + 16)
    call handle_fs_get_mode
    r0 <<= 9
    r0 |= r6
"#;

struct Bench {
    btf: Btf,
    layout: Layout,
    denials: Map,
    lost: Map,
    /// Hooks that the kernel lets no such program attach to: `attachment` tests which those are.
    closed: Vec<&'static str>,
    loaded: BTreeMap<&'static str, usize>,
    instructions: u64,
}

impl Bench {
    fn new(attachment: Attachment) -> Bench {
        let btf = Btf::of_running_kernel().unwrap();
        let layout = landlock_kernel::layout::read(&btf, attachment).unwrap();
        let spec = MapSpec {
            name: "denials",
            kind: MapKind::RingBuf,
            key_size: 0,
            value_size: 0,
            max_entries: 1 << 16,
            flags: MapFlags::empty(),
            types: None,
            inner: None,
        };
        let denials = Map::create(&spec).unwrap();
        let lost = MapSpec {
            name: "lost",
            kind: MapKind::Array,
            key_size: 4,
            value_size: 8,
            max_entries: 1,
            ..spec
        };
        let lost = Map::create(&lost).unwrap();
        assert_eq!(landlock_kernel::attachment().unwrap(), Attachment::Lsm);
        let lacking = landlock_kernel::lacking().unwrap();
        let closed = match attachment {
            Attachment::Lsm => lacking.into_iter().map(|lacking| lacking.hook).collect(),
            Attachment::ModifyReturn => Vec::new(),
        };
        Bench { btf, layout, denials, lost, closed, loaded: BTreeMap::new(), instructions: 0 }
    }

    /// Loads the domain's program at the hook, if it has one and the kernel has the hook.
    fn load(&mut self, hook: &'static Hook, domain: &Domain) {
        if !self.is_open(hook.name) {
            return;
        }
        let report = Report::Record { domain: 1 };
        let Some(program) = emit(hook, domain, &self.layout, report).unwrap() else { return };
        let insns = program.insns(|slot| match slot {
            MapSlot::Denials => self.denials.as_fd().as_raw_fd(),
            MapSlot::Lost => self.lost.as_fd().as_raw_fd(),
            slot => panic!("{slot:?}"),
        });
        let attachment = self.layout.attachment;
        let attach_to = self.btf.function(&attachment.function(hook.name)).unwrap().id;
        let kind = match attachment {
            Attachment::Lsm => ProgramKind::Lsm,
            Attachment::ModifyReturn => ProgramKind::ModifyReturn,
        };
        let spec = ProgramSpec { name: "test", kind, attach_to, insns: &insns, license: c"Dual MIT/GPL" };
        match Program::load(&spec) {
            Ok(program) => {
                *self.loaded.entry(hook.name).or_default() += 1;
                self.instructions += u64::from(program.info().unwrap().verified_insns);
            }
            Err(Error::Rejected { errno, log, .. }) => {
                let log: Vec<&str> = log.lines().collect();
                let end = &log[log.len().saturating_sub(60)..];
                let program: Vec<String> = asm::listing(&insns).map(|(_, line)| line).collect();
                panic!("{}: {errno}\n{}\n\n{}", hook.name, program.join("\n"), end.join("\n"))
            }
            Err(error) => panic!("{}: {error}", hook.name),
        }
    }

    fn is_open(&self, hook: &str) -> bool {
        self.layout.hooks.contains_key(hook) && !self.closed.contains(&hook)
    }

    fn open_hooks(&self) -> usize {
        self.layout.hooks.keys().filter(|hook| self.is_open(hook)).count()
    }

    fn report(&self, what: &str) {
        let programs: usize = self.loaded.values().sum();
        println!(
            "{what}, {:?}: {programs} programs at {} hooks accepted, {} instructions verified",
            self.layout.attachment,
            self.loaded.len(),
            self.instructions
        );
    }
}

/// The rules of each file, by its name.
fn shipped() -> BTreeMap<String, Vec<Rule>> {
    let folder = std::env::var("RULES").expect("RULES names the folder of the compiled rules");
    let files = std::fs::read_dir(Path::new(&folder)).unwrap().map(|file| file.unwrap().path());
    let loader = Loader { cap_sys_admin: true };
    let verified = |object| verify_newest(object, &loader).unwrap_or_else(|error| panic!("{error}"));
    let rules = |file: &Path| read_file(file).unwrap_or_else(|error| panic!("{error}"));
    let name = |file: &Path| file.file_stem().unwrap().to_str().unwrap().to_owned();
    files.map(|file| (name(&file), rules(&file).into_iter().map(verified).collect())).collect()
}

/// Those of ABI 2 may compare with handles, which takes a domain that has some.
fn shipped_of_abi_1() -> Vec<Rule> {
    shipped().into_values().flatten().filter(|rule| rule.abi() == 1).collect()
}

/// With a handle in each map, and for the cookie that has them ask for everything.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn programs_of_the_shipped_rules_that_compare_are_accepted() {
    let mut engine = Engine::open_in(Path::new("/sys/fs/bpf/verifier")).unwrap();
    let held = |path| rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let mut seen = BTreeMap::new();
    for (file, rules) in shipped() {
        if rules.iter().all(|rule| rule.abi() == 1) {
            continue;
        }
        let rules = rules.into_iter().map(Layer::Rule);
        let domain = Domain::layered([Layer::Filter(Filter::always(7))].into_iter().chain(rules));
        for map in domain.maps() {
            let of = if map.definition().kind == ArrayKind::Fs { "/" } else { "/sys/fs/cgroup" };
            map.append(Handle::held(held(of))).unwrap();
        }
        let hooks = engine.load(&domain, Denials::Shared).map(|loaded| loaded.hooks().count());
        seen.insert(file, hooks.map_err(|error| error.to_string()));
    }
    let refused = "rule read-only-except/writes compares with handles at hooks where the kernel does not say through \
                   which mount an object is reached: sb_remount, sb_umount, inode_create, inode_link, ";
    let read_only_except = seen.remove("read-only-except").unwrap().unwrap_err();
    assert!(read_only_except.starts_with(refused), "{read_only_except}");
    assert!(read_only_except.ends_with("or take the supervisor target"), "{read_only_except}");
    assert_eq!(seen, BTreeMap::from([("sandbox".to_owned(), Ok(6))]));
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn programs_of_the_shipped_rules_are_accepted() {
    BOTH.into_iter().for_each(shipped_rules);
}

fn shipped_rules(attachment: Attachment) {
    let mut bench = Bench::new(attachment);
    let rules = shipped_of_abi_1();
    assert!(rules.len() >= 8, "{}", rules.len());
    for rule in &rules {
        for hook in hooks::TABLE {
            bench.load(hook, &Domain::prepended([rule.clone()]));
        }
    }
    bench.report("each shipped rule alone");
    for hook in hooks::TABLE {
        bench.load(hook, &Domain::prepended(rules.clone()));
    }
    bench.report("and all together");
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn programs_of_random_rules_are_accepted() {
    BOTH.into_iter().for_each(random_rules);
}

fn random_rules(attachment: Attachment) {
    let mut bench = Bench::new(attachment);
    let mut runner = TestRunner::deterministic();
    let domains = proptest::collection::vec(rules::rule(), 1..4);
    for number in 0..45 {
        let domain = Domain::prepended(domains.new_tree(&mut runner).unwrap().current());
        // A third of the hooks each, so that every hook sees fifteen domains.
        for hook in hooks::TABLE.iter().skip(number % 3).step_by(3) {
            bench.load(hook, &domain);
        }
    }
    bench.report("45 domains of 1 to 3 random rules");
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn programs_of_random_filters_and_rules_tied_to_hooks_are_accepted() {
    BOTH.into_iter().for_each(random_filters);
}

fn random_filters(attachment: Attachment) {
    let mut bench = Bench::new(attachment);
    let mut runner = TestRunner::deterministic();
    let layer = prop_oneof![
        3 => rules::plain_hook_rule().prop_map(Layer::Rule),
        1 => rules::rule_of(Event::Fs).prop_map(Layer::Rule),
        3 => filters::filter().prop_map(Layer::Filter),
    ];
    let layers = proptest::collection::vec(layer, 2..9);
    for _ in 0..40 {
        let domain = Domain::layered(layers.new_tree(&mut runner).unwrap().current());
        for hook in ["file_open", "file_permission", "mmap_file"] {
            bench.load(hooks::by_name(hook).unwrap(), &domain);
        }
    }
    bench.report("40 domains of random filters and rules tied to hooks");
    assert_eq!(bench.loaded.len(), 3);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn programs_of_sixty_four_rules_are_accepted() {
    BOTH.into_iter().for_each(sixty_four_rules);
}

fn sixty_four_rules(attachment: Attachment) {
    let mut bench = Bench::new(attachment);
    let text: String =
        (1..=64).map(|n| format!("{ONE_OF_MANY}    w0 &= {}\n    exit\n", n << 9 | n)).collect();
    let objects = asm::parse(&text, "rules").unwrap_or_else(|errors| panic!("{errors}"));
    let verified = |object| verify(object, &Loader::default()).unwrap_or_else(|error| panic!("{error}"));
    let domain = Domain::prepended(objects.into_iter().map(verified));
    for hook in hooks::TABLE {
        bench.load(hook, &domain);
    }
    bench.report("a domain of 64 rules that look at mode and action");
    assert_eq!(bench.loaded.len(), bench.open_hooks());
}
