// SPDX-License-Identifier: MIT OR Apache-2.0
//! What ordinary users get from it, and what they do not.

use std::process::Command;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;

use landlock_compiler::emit::denial::Record;
use landlock_daemon::client::{Daemon, Error};
use landlock_daemon::limits::MOST;
use landlock_daemon::protocol::Why;
use landlock_kernel::{DomainId, Engine, enter};

use crate::{
    EXEC, FEW, LOCK, ONE, OTHER, Running, WRITE, anybodys, as_user, becomes, denies, domain, load, refused,
    unlock, write_to,
};

fn why(answer: Result<impl Sized, Error>) -> Option<Why> {
    match answer {
        Err(Error::Refused(refusal)) => Some(refusal.why),
        _ => None,
    }
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_user_confines_itself_and_all_it_starts_and_killing_the_daemon_lifts_nothing() {
    let kill = Running::start().killer();
    let file = anybodys("confined");
    let touch = || Command::new("touch").arg(&file).status().unwrap().success();
    as_user(ONE, || {
        assert!(Engine::open().is_err());
        assert!(write_to(&file).is_ok() && touch());
        let grant = load(&[denies("read_only", WRITE)]);
        // Having a token binds nobody.
        assert!(write_to(&file).is_ok());
        enter(grant.token).unwrap();
        assert!(refused(&write_to(&file)) && !touch());
        assert!(thread::scope(|scope| scope.spawn(|| refused(&write_to(&file))).join().unwrap()));
        assert!(enter(grant.token).is_err());
        kill();
        assert!(refused(&write_to(&file)) && !touch());
    });
    assert!(write_to(&file).is_ok() && touch());
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_restarted_daemon_takes_up_what_is_there() {
    let daemon = Running::start();
    let (tell, told) = channel();
    let (end, ended) = channel::<()>();
    let file = anybodys("restarted");
    let confined = thread::spawn(move || {
        as_user(ONE, move || {
            let grant = load(&[denies("stays", WRITE)]);
            enter(grant.token).unwrap();
            tell.send(grant.number).unwrap();
            // Until the test is over.
            let _ = ended.recv();
            assert!(refused(&write_to(&file)));
        });
    });
    let number = told.recv().unwrap();
    let threads = |user| as_user(user, || Daemon::default().threads(number).unwrap());
    assert_eq!(threads(ONE), 1);
    daemon.kill();
    assert!(Daemon::default().hello().is_err());
    let daemon = Running::start();
    assert_eq!((threads(ONE), threads(OTHER)), (1, 0));
    // The same rules are the same domain; another user's are another one.
    let again = |user| as_user(user, || load(&[denies("stays", WRITE)]).number);
    assert!(again(ONE) == number && again(OTHER) != number);
    drop(end);
    confined.join().unwrap();
    becomes(|| threads(ONE) == 0);
    drop(daemon);
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn limits_hold_for_a_user_also_after_a_restart() {
    let daemon = Running::start();
    let log = |index: usize| {
        as_user(ONE, || {
            Daemon::default().load(&domain([denies(&format!("rule{index}"), 1 << 20)]), None, true)
        })
    };
    let grants: Vec<_> = (0..MOST.logs).map(|index| log(index).unwrap()).collect();
    assert_eq!(why(log(MOST.logs)), Some(Why::Limit));
    as_user(OTHER, || Daemon::default().load(&domain([denies("other", WRITE)]), None, true).unwrap());
    as_user(ONE, || load(&[denies("without_log", WRITE)]));
    // A thread in each keeps them, whoever serves.
    let tokens: Vec<u64> = grants.iter().map(|grant| grant.token).collect();
    let end = Arc::new(Barrier::new(tokens.len() + 1));
    let entered = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = tokens
        .into_iter()
        .map(|token| {
            let (end, entered) = (end.clone(), entered.clone());
            thread::spawn(move || {
                rustix::thread::set_no_new_privs(true).unwrap();
                enter(token).unwrap();
                entered.fetch_add(1, Ordering::SeqCst);
                end.wait();
            })
        })
        .collect();
    becomes(|| entered.load(Ordering::SeqCst) == threads.len());
    daemon.kill();
    let _daemon = Running::start();
    assert_eq!(why(log(MOST.logs)), Some(Why::Limit));
    end.wait();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    drop(grants);
    becomes(|| log(MOST.logs).is_ok());
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_user_reads_its_own_denials_without_the_daemon() {
    let kill = Running::start().killer();
    let file = anybodys("logged");
    as_user(ONE, || {
        let mut grant = Daemon::default().load(&domain([denies("logged", WRITE)]), None, true).unwrap();
        let mut log = grant.log.take().unwrap();
        // Who reads is outside of the domain, and an ordinary user like who is inside.
        thread::scope(|scope| {
            let inside = || {
                enter(grant.token).unwrap();
                assert!(refused(&write_to(&file)));
            };
            scope.spawn(inside).join().unwrap();
        });
        kill();
        let mut seen = Vec::new();
        log.denials.consume(|record| seen.extend(Record::parse(record).map(|record| record.domain))).unwrap();
        assert_eq!(seen, [grant.number]);
        assert_eq!(log.lost.count().unwrap(), 0);
    });
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_domain_inside_of_another_is_for_who_is_in_that() {
    let _daemon = Running::start();
    let rules = [denies("inner", EXEC)];
    let exec = || Command::new("true").status().map_err(|error| error.raw_os_error());
    as_user(ONE, || {
        let engine = Daemon::default().hello().unwrap();
        enter(load(&[denies("outer", LOCK)]).token).unwrap();
        let here = DomainId::of_this_thread_in(engine).unwrap();
        let inner = Daemon::default().load(&domain(rules.clone()), Some(here), false);
        let inner = inner.unwrap();
        thread::scope(|scope| {
            // In the outer domain, where the token is good.
            let inside = || {
                assert!(exec().is_ok() && refused(&unlock()));
                enter(inner.token).unwrap();
                assert!(exec().is_err() && refused(&unlock()));
            };
            scope.spawn(inside).join().unwrap();
        });
        assert!(exec().is_ok());
    });
    // A lie: this thread is in no domain.
    let (tell, told) = channel();
    let (end, ended) = channel::<()>();
    let confined = thread::spawn(move || {
        as_user(ONE, move || {
            enter(load(&[denies("outer", WRITE)]).token).unwrap();
            tell.send(DomainId::of_this_thread().unwrap()).unwrap();
            let _ = ended.recv();
        });
    });
    let claimed = told.recv().unwrap();
    as_user(OTHER, || {
        let grant = Daemon::default().load(&domain(rules.clone()), Some(claimed), false).unwrap();
        assert!(enter(grant.token).is_err() && exec().is_ok());
        let nowhere = DomainId { domain: claimed.domain + 4096, ..claimed };
        assert_eq!(
            why(Daemon::default().load(&domain(rules.clone()), Some(nowhere), false)),
            Some(Why::Domain)
        );
    });
    drop(end);
    confined.join().unwrap();
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn it_has_given_up_what_it_does_not_need() {
    let daemon = Running::start();
    // CAP_PERFMON and CAP_BPF.
    let kept = format!("{:016x}", (1u64 << 38) | (1 << 39));
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(daemon.field(set), kept, "{set}");
    }
    assert_eq!((daemon.field("CapInh"), daemon.field("CapAmb")), ("0".repeat(16), "0".repeat(16)));
    assert_eq!((daemon.field("NoNewPrivs"), daemon.field("Seccomp")), ("1".to_owned(), "2".to_owned()));
}

/// Users who ask for the same and for others, all at once, and leave nothing behind.
#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn many_clients_at_once_are_served() {
    const CLIENTS: u32 = 200;
    let most = Some(u64::from(4 * CLIENTS));
    rustix::process::setrlimit(
        rustix::process::Resource::Nofile,
        rustix::process::Rlimit { current: most, maximum: most },
    )
    .unwrap();
    let daemon = Running::start();
    as_user(ONE, || load(&[denies("first", WRITE)]));
    becomes(|| daemon.descriptors() < FEW);
    let before = daemon.descriptors();
    let served = AtomicU32::new(0);
    thread::scope(|scope| {
        for index in 0u32..CLIENTS {
            let served = &served;
            let client = move || {
                as_user(ONE + index % 3, || {
                    let grant = load(&[denies(&format!("rule{}", index % 2), WRITE)]);
                    enter(grant.token).unwrap();
                    assert!(refused(&write_to(std::path::Path::new("/dev/null"))));
                    served.fetch_add(1, Ordering::Relaxed);
                });
            };
            thread::Builder::new().stack_size(64 << 10).spawn_scoped(scope, client).unwrap();
        }
    });
    assert_eq!(served.load(Ordering::Relaxed), CLIENTS);
    becomes(|| daemon.descriptors() <= before);
    let resident: usize = daemon.field("VmRSS").trim_end_matches(" kB").parse().unwrap();
    println!("resident after {CLIENTS} clients: {resident} KiB");
    assert!(resident < 100 << 10, "{resident} KiB");
}
