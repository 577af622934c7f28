//! What stays and what goes: adoption, collection, slots given again.

use std::sync::mpsc;
use std::time::Duration;

use super::accomplice::Accomplice;
use super::*;

/// Gets the shell of [`accomplice`] to try to make a folder: what it says.
fn try_it(shell: &mut Accomplice) -> String {
    shell.say("go");
    loop {
        let word = shell.hear("").expect("the shell lives");
        if ["made", "refused"].contains(&word.as_str()) {
            return word;
        }
    }
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_process_stays_in_its_domain_when_all_of_ours_are_killed() {
    let name = "all_killed";
    let mut accomplice = Accomplice::start("confine", name);
    let shell = accomplice.hear("shell ").unwrap();
    assert_eq!(try_it(&mut accomplice), "refused");
    accomplice.kill();
    assert_eq!(try_it(&mut accomplice), "refused", "nobody of ours lives");
    let folder = std::env::temp_dir().join(name).join("folder");
    fs::create_dir(&folder).unwrap();
    fs::remove_dir(&folder).unwrap();
    let mut engine = start(name);
    assert_eq!(try_it(&mut accomplice), "refused", "taken up");
    let [living] = &engine.domains().unwrap()[..] else { panic!("not one domain") };
    assert_eq!((living.rules.as_slice(), living.parent), (&["no_new".to_owned()][..], None));
    assert!(living.threads >= 1 && living.hooks.contains(&"inode_mkdir"), "{living:?}");
    let same = engine.load(&Domain::prepended([denies("no_new", NEW)]), Denials::Shared).unwrap();
    assert_eq!(same.number(), living.number);
    within(&engine, &same, || assert!(refused(&fs::create_dir(&folder))));
    drop((engine, same));
    assert_eq!(try_it(&mut accomplice), "refused", "closed again");
    let kill = std::process::Command::new("kill").args(["-9", &shell]).status().unwrap();
    assert!(kill.success());
    becomes(|| start(name).domains().unwrap().is_empty());
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn the_same_rules_are_one_domain_unless_its_denials_are_its_own() {
    let mut engine = start("the_same_rules");
    let load = |engine: &mut Engine, name, denials| {
        engine.load(&Domain::prepended([denies(name, LOCK)]), denials).unwrap()
    };
    let first = load(&mut engine, "a", Denials::Shared);
    assert_eq!(load(&mut engine, "a", Denials::Shared).number(), first.number());
    let others = [
        load(&mut engine, "b", Denials::Shared),
        load(&mut engine, "a", Denials::Own),
        load(&mut engine, "a", Denials::Own),
        engine.extend(&first, [denies("a", LOCK)], Denials::Shared).unwrap(),
    ];
    let mut numbers: Vec<u64> = others.iter().map(Loaded::number).chain([first.number()]).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 5);
    assert_eq!(engine.domains().unwrap().len(), 5);
    let again = engine.extend(&first, [denies("a", LOCK)], Denials::Shared).unwrap();
    assert_eq!(again.number(), others[3].number());
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn what_nobody_needs_is_collected_and_its_slot_given_again() {
    let name = "collected";
    let mut engine = start(name);
    let domain = engine.load(&read_only(), Denials::Shared).unwrap();
    let (number, hooks) = (domain.number(), domain.hooks().count());
    assert_eq!(engine.attached_hooks().unwrap().len(), hooks + 1);
    let slots = || {
        let folder = Folder::open(&format(name).join("domains")).unwrap();
        folder.names().unwrap().len()
    };
    let taken = slots();
    drop(domain);
    engine.collect().unwrap();
    assert!(engine.domains().unwrap().is_empty());
    assert_eq!(engine.attached_hooks().unwrap(), ["file_lock"], "the canary's");
    let shown = |rule| engine.rule(number, rule, Some(2)).unwrap();
    assert_eq!(
        (shown(0).name.as_str(), shown(0).line.as_deref()),
        ("read_only", Some("rule:6")),
        "remembered"
    );
    assert_eq!((shown(1).name.as_str(), shown(1).line), ("?", None));
    for _ in 0..5 {
        let domain = engine.load(&read_only(), Denials::Shared).unwrap();
        assert!(domain.number() > number && slots() == taken);
        within(&engine, &domain, || assert!(refused(&write_to(Path::new("/dev/null")))));
        drop(domain);
        becomes(|| {
            engine.collect().unwrap();
            engine.domains().unwrap().is_empty()
        });
    }
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_domain_stays_while_a_thread_is_in_it_or_somebody_holds_it() {
    let mut engine = start("stays");
    let held = engine.load(&Domain::prepended([denies("held", LOCK)]), Denials::Shared).unwrap();
    let lived_in = engine.load(&read_only(), Denials::Shared).unwrap();
    let null = Path::new("/dev/null");
    let barrier = &std::sync::Barrier::new(2);
    thread::scope(|scope| {
        let token = engine.token(&lived_in).unwrap();
        scope.spawn(move || {
            rustix::thread::set_no_new_privs(true).unwrap();
            landlock_kernel::enter(token).unwrap();
            barrier.wait();
            barrier.wait();
            assert!(refused(&write_to(null)));
        });
        barrier.wait();
        let number = lived_in.number();
        drop(lived_in);
        let living = engine.collect().and_then(|()| engine.domains());
        // Whatever came of it, the other thread is not left waiting.
        barrier.wait();
        let numbers: Vec<u64> = living.unwrap().iter().map(|living| living.number).collect();
        assert_eq!(numbers, [held.number(), number]);
    });
    within(&engine, &held, || assert!(refused(&unlock())));
    assert!(unlock().is_ok() && write_to(null).is_ok());
}

/// Otherwise who is in a domain that got the slot of one that is gone would be taken for one of it.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn nothing_of_a_domain_that_is_gone_passes_to_the_next_with_its_slot() {
    let mut engine = start("gone");
    let outer = engine.load(&Domain::prepended([denies("outer", LOCK)]), Denials::Shared).unwrap();
    let inner = engine.extend(&outer, [denies("inner", LOCK)], Denials::Shared).unwrap();
    let nested = || {
        engine.enter(&outer).unwrap();
        engine.enter(&inner).unwrap();
        Process::start()
    };
    let in_inner = thread::scope(|scope| scope.spawn(nested).join().unwrap());
    let in_outer = within(&engine, &outer, Process::start);
    assert_eq!(within(&engine, &outer, || [&in_inner, &in_outer].map(Process::can_be_traced)), [true, true]);
    drop(in_outer);
    let number = outer.number();
    drop(outer);
    becomes(|| {
        engine.collect().unwrap();
        engine.domains().unwrap().iter().all(|living| living.number != number)
    });
    let next = engine.load(&Domain::prepended([denies("next", LOCK)]), Denials::Shared).unwrap();
    let in_next = within(&engine, &next, Process::start);
    let traced = within(&engine, &next, || {
        let entered = engine.enter(&inner).map_err(|error| error.to_string());
        assert!(entered.unwrap_err().ends_with("not in the domain that this one extends"));
        [&in_inner, &in_next].map(Process::can_be_traced)
    });
    assert_eq!(traced, [false, true]);
    let deeper = engine.extend(&inner, [denies("deeper", LOCK)], Denials::Shared).unwrap();
    assert_eq!(deeper.domain().rules().len(), 3);
    let [living] =
        &engine.domains().unwrap().into_iter().filter(|one| one.number == inner.number()).collect::<Vec<_>>()
            [..]
    else {
        panic!("inner is not listed")
    };
    assert_eq!(living.parent, Some(number));
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_domains_own_denials_are_not_with_the_others() {
    let mut engine = start("own_denials");
    let rules = Domain::prepended([denies("lock", LOCK)]);
    let [shared, own] = [Denials::Shared, Denials::Own].map(|denials| engine.load(&rules, denials).unwrap());
    let mut ring = engine.denials().unwrap();
    ring.consume(|_| {}).unwrap();
    let second = engine.denials().unwrap_err();
    assert!(matches!(second, Error::Read { .. }), "{second}");
    assert!(matches!(shared.denials(), Err(Error::NotOwn)));
    for domain in [&shared, &own] {
        within(&engine, domain, || assert!(refused(&unlock())));
    }
    for (ring, domain) in [(&mut ring, &shared), (&mut own.denials().unwrap(), &own)] {
        let mut numbers = Vec::new();
        ring.consume(|bytes| numbers.push(Record::parse(bytes).unwrap().domain)).unwrap();
        assert_eq!(numbers, [domain.number()]);
    }
    assert_eq!(own.lost_denials().unwrap(), 0);
    let (asking, asked) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            asked.recv().unwrap();
            thread::sleep(Duration::from_millis(50));
            drop(ring);
        });
        asking.send(()).unwrap();
        assert!(engine.denials().is_ok(), "who only had a look is not waited for");
    });
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_folder_others_can_change_is_refused() {
    let folder = Path::new("/sys/fs/bpf/open_to_all");
    fs::create_dir(folder).unwrap();
    let chmod = |mode| rustix::fs::chmod(folder, rustix::fs::Mode::from_raw_mode(mode)).unwrap();
    chmod(0o777);
    let error = Engine::open_in(folder).unwrap_err();
    assert!(matches!(error, Error::Open { .. }), "{error}");
    chmod(0o700);
    assert!(Engine::open_in(folder).is_ok());
}

/// What somebody took away is not made up for while threads rely on it, and made anew when none does.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn damage_is_not_passed_over_in_silence() {
    let name = "damaged";
    let remove = |folder: &str, pin: &str| {
        Folder::open(&format(name).join(folder)).unwrap().remove(pin).unwrap();
    };
    for (folder, pin) in [("hooks/inode_permission", "dispatch"), (".", "inherit"), (".", "gate")] {
        let mut engine = start(name);
        let domain = engine.load(&read_only(), Denials::Shared).unwrap();
        let process = within(&engine, &domain, Process::start);
        remove(folder, pin);
        let error = Engine::open_in(&Path::new("/sys/fs/bpf").join(name)).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        drop((process, domain, engine));
        becomes(|| Engine::open_in(&Path::new("/sys/fs/bpf").join(name)).is_ok());
    }
    // Nobody holds the domain, and nobody can tell any more that a thread is in it.
    let mut engine = start(name);
    let domain = engine.load(&read_only(), Denials::Shared).unwrap();
    let process = within(&engine, &domain, Process::start);
    drop((domain, engine));
    remove(".", "counts");
    let error = Engine::open_in(&Path::new("/sys/fs/bpf").join(name)).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    drop(process);
    remove(".", "gate");
    becomes(|| Engine::open_in(&Path::new("/sys/fs/bpf").join(name)).is_ok());
}
