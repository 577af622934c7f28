// SPDX-License-Identifier: MIT OR Apache-2.0
//! What clients get.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use landlock_compiler::verify::{Loader, verify_newest};
use landlock_daemon::client::{Daemon, Error};
use landlock_daemon::limits::MOST;
use landlock_daemon::protocol::{Answer, Request, Why};
use landlock_daemon::rules;
use landlock_daemon::server::End;
use rustix::net::{RecvFlags, SendFlags};

use crate::fake::{Fake, LONG, Live, domain, rule, until};

#[test]
fn a_token_is_good_once_and_as_long_as_its_client_is_there() {
    let live = Live::start(LONG);
    assert_eq!(live.daemon().hello().unwrap(), 7);
    let [used, given_up] = [(); 2].map(|()| live.daemon().load(&domain([rule("one")]), None, false).unwrap());
    assert_eq!((used.lacking.as_slice(), used.number), (["uring_cmd"].as_slice(), given_up.number));
    assert!(live.books.enter(used.token) && !live.books.enter(used.token));
    let token = given_up.token;
    drop(given_up);
    until(|| live.books.tokens() == 0);
    assert!(!live.books.enter(token));
}

#[test]
fn after_hello_one_thing_can_be_asked_for_on_the_same_connection() {
    let live = Live::start(LONG);
    let connection = live.daemon().connect().unwrap();
    assert_eq!([connection.hello().unwrap(), connection.hello().unwrap()], [7, 7]);
    let asked_twice = connection.clone();
    let grant = connection.load(&domain([rule("one")]), None, false).unwrap();
    assert!(live.books.enter(grant.token));
    assert!(matches!(asked_twice.hello(), Err(Error::Silent(_))));
    // Saying hello gives nobody more time.
    let greeted = live.daemon().connect().unwrap();
    until(|| greeted.hello().is_err());
}

fn ask(socket: &OwnedFd, request: Request, rules: &[u8]) {
    rustix::net::send(socket, &[&request.encode(), rules].concat(), SendFlags::NOSIGNAL).unwrap();
}

/// What a connection is granted, which is read as it comes: this kernel has no log to give.
fn granted(socket: &OwnedFd, request: Request, rules: &[u8]) -> (u64, u64) {
    ask(socket, request, rules);
    answered(socket)
}

fn answered(socket: &OwnedFd) -> (u64, u64) {
    let mut answer = [0; Answer::MAX];
    let (length, _) = rustix::net::recv(socket, &mut answer[..], RecvFlags::empty()).unwrap();
    match Answer::decode(&answer[..length]) {
        Some(Answer::Granted { token, number, .. }) => (token, number),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_domain_with_a_log_of_its_own_stays_for_more_than_one() {
    let live = Live::start(LONG);
    let rules = rules::encode(&domain([rule("one")])).unwrap();
    let kept = live.connect();
    let (token, number) = granted(&kept, Request::Load { parent: None, own_log: true }, &rules);
    assert!(live.books.enter(token));
    for _ in 0..3 {
        let again = live.daemon().again(number).unwrap();
        assert_eq!(again.number, number);
        assert!(live.books.enter(again.token) && !live.books.enter(again.token));
    }
    // Two at a time, one of which is given up.
    let [good, given_up] = [(); 2].map(|()| live.daemon().again(number).unwrap());
    let token = given_up.token;
    drop(given_up);
    until(|| live.books.tokens() == 1);
    assert!(!live.books.enter(token) && live.books.enter(good.token));
    drop(kept);
    until(
        || matches!(live.daemon().again(number), Err(Error::Refused(refusal)) if refusal.why == Why::Domain),
    );
    assert!(
        matches!(live.daemon().again(1 << 50), Err(Error::Refused(refusal)) if refusal.why == Why::Domain)
    );
}

#[test]
fn the_log_of_a_domain_that_was_collected_is_waited_for_a_little() {
    let live = Live::start(LONG);
    let rules = rules::encode(&domain([rule("one")])).unwrap();
    let load = Request::Load { parent: None, own_log: true };
    live.books.lingering.store(5, Ordering::Relaxed);
    let kept = live.connect();
    let (token, _) = granted(&kept, load, &rules);
    assert!(live.books.enter(token));
    live.books.lingering.store(1000, Ordering::Relaxed);
    let shared = || live.daemon().load(&domain([rule("two")]), None, false);
    assert!(matches!(shared(), Err(Error::Refused(refusal)) if refusal.why == Why::Limit));
    // Once more after it was collected, and not again.
    assert_eq!(live.books.lingering.load(Ordering::Relaxed), 998);
    live.books.lingering.store(0, Ordering::Relaxed);
    shared().unwrap();
}

#[test]
fn the_same_rules_are_loaded_once_and_go_after_a_while() {
    let live = Live::start(LONG);
    let grants: Vec<_> =
        (0..10).map(|_| live.daemon().load(&domain([rule("same")]), None, false).unwrap()).collect();
    let other = live.daemon().load(&domain([rule("other")]), None, false).unwrap();
    assert_eq!(live.books.loads.load(Ordering::Relaxed), 2);
    assert!(grants.iter().all(|grant| grant.number == grants[0].number && grant.number != other.number));
    assert!(live.daemon().threads(other.number).unwrap() > 0);
    assert_eq!(live.daemon().threads(other.number + 1000).unwrap(), 0);
    drop((grants, other));
    until(|| live.books.held() == 0);
}

#[test]
fn a_full_table_refuses_and_has_places_again() {
    let live = Live::start(LONG);
    let load = |index: usize| live.daemon().load(&domain([rule(&format!("rule{index}"))]), None, false);
    let grants: Vec<_> = (0..MOST.domains).map(|index| load(index).unwrap()).collect();
    match load(MOST.domains) {
        Err(Error::Refused(refusal)) => {
            assert_eq!(refusal.why, Why::Limit);
            assert!(refusal.text.contains("the limit is 64"), "{refusal}");
        }
        other => panic!("{other:?}"),
    }
    // What is there already takes no place.
    load(0).unwrap();
    drop(grants);
    until(|| load(MOST.domains).is_ok());
}

#[test]
fn rules_are_verified_again() {
    let live = Live::start(LONG);
    let debug =
        landlock_compiler::asm::parse(".rule debug\n.event FS\n.ability DEBUG\nr0 = 1\nexit\n", "test");
    let debug = verify_newest(debug.unwrap().remove(0), &Loader { cap_sys_admin: true }).unwrap();
    let answer = live.daemon().load(&domain([rule("good"), debug]), None, false);
    assert!(matches!(&answer, Err(Error::Refused(refusal)) if refusal.why == Why::Rules), "{answer:?}");
    live.daemon().load(&domain([rule("good")]), None, false).unwrap();
    assert_eq!(live.books.loads.load(Ordering::Relaxed), 1);
}

#[test]
fn who_is_not_the_expected_user_is_not_believed() {
    let live = Live::start(LONG);
    let stranger = Daemon::at(&live.socket, rustix::process::geteuid().as_raw() + 1);
    assert!(matches!(stranger.hello(), Err(Error::Stranger(_))));
    let nobody = Daemon::at(&live.socket.with_extension("none"), 0);
    assert!(matches!(nobody.hello(), Err(Error::Absent { .. })));
}

#[test]
fn it_ends_when_nobody_wants_anything_and_when_its_ground_is_gone() {
    // It is asked before it serves: how soon anybody comes is the machine's business, and it does not wait long.
    let (serves, may_serve) = std::sync::mpsc::channel();
    let live = Live::with(Duration::from_millis(200), move || may_serve.recv().unwrap(), Fake);
    let client = live.connect();
    let rules = rules::encode(&domain([rule("one")])).unwrap();
    ask(&client, Request::Load { parent: None, own_log: false }, &rules);
    serves.send(()).unwrap();
    let (token, _) = answered(&client);
    assert!(live.books.enter(token));
    drop(client);
    assert_eq!(live.end(), End::Idle);

    let live = Live::start(LONG);
    live.books.is_gone.store(true, Ordering::Relaxed);
    let answer = live.daemon().load(&domain([rule("one")]), None, false);
    assert!(answer.is_err());
    assert_eq!(live.end(), End::Gone);
}

#[test]
fn a_silent_client_is_dropped() {
    let live = Live::start(LONG);
    let silent = live.connect();
    let mut nothing = [0; 1];
    // The end comes from the other side.
    assert_eq!(rustix::io::read(silent.as_fd(), &mut nothing), Ok(0));
}
