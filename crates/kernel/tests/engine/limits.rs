//! Every limit is met with a clear error, before anything runs.

use landlock_kernel::{MAX_DOMAINS, MAX_THREADS};

use super::*;

fn pinned(engine: &str, map: &str) -> Map {
    let folder = Folder::open(&format(engine)).unwrap();
    Map::from_pin(&folder, map).unwrap()
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_domain_too_many_is_refused() {
    let name = "domains_full";
    let mut engine = start(name);
    let counts = pinned(name, "counts");
    let set = |threads: u64| {
        for slot in 1..=MAX_DOMAINS {
            counts.update(&slot.to_ne_bytes(), &threads.to_ne_bytes(), Update::Any).unwrap();
        }
    };
    // As if threads were in all of them.
    set(1);
    let full = engine.load(&read_only(), Denials::Shared).unwrap_err();
    assert_eq!(full.to_string(), "there is no place for more domains: the limit is 4095");
    set(0);
    assert!(engine.load(&read_only(), Denials::Shared).is_ok());
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_token_too_many_is_refused_and_goes_with_its_domain() {
    let mut engine = start("tokens_full");
    let domain = engine.load(&read_only(), Denials::Shared).unwrap();
    let full = loop {
        if let Err(error) = engine.token(&domain) {
            break error;
        }
    };
    assert_eq!(
        full.to_string(),
        "there is no place for more tokens that were not used yet: the limit is 4096"
    );
    drop(domain);
    engine.collect().unwrap();
    let domain = engine.load(&read_only(), Denials::Shared).unwrap();
    within(&engine, &domain, || assert!(refused(&write_to(Path::new("/dev/null")))));
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn a_thread_too_many_is_not_let_in_or_not_made() {
    let name = "threads_full";
    let mut engine = start(name);
    let domain = engine.load(&read_only(), Denials::Shared).unwrap();
    let threads = pinned(name, "threads");
    let key = |thread: u32| u64::from(thread).to_ne_bytes();
    let spawn = || thread::Builder::new().spawn(|| ()).map(|thread| thread.join().unwrap());
    within(&engine, &domain, || {
        spawn().unwrap();
        let places = (1..=MAX_THREADS)
            .take_while(|&thread| threads.update(&key(thread), &[0; 16], Update::Make).is_ok());
        assert!(places.count() > 65_000);
        assert_eq!(spawn().unwrap_err().raw_os_error(), Some(Errno::AGAIN.raw_os_error()));
    });
    let enter = || {
        rustix::thread::set_no_new_privs(true).unwrap();
        engine.enter(&domain)
    };
    // The thread that was in the domain left a place.
    let filled = |thread: u32| threads.update(&key(thread), &[0; 16], Update::Make).is_ok();
    becomes(|| engine.domains().unwrap()[0].threads == 0);
    (MAX_THREADS + 1..MAX_THREADS + 100).take_while(|&thread| filled(thread)).for_each(drop);
    let full = thread::scope(|scope| scope.spawn(enter).join().unwrap()).unwrap_err();
    assert!(full.to_string().ends_with("too many threads are in domains"), "{full}");
    (1..MAX_THREADS + 100).for_each(|thread| assert!(threads.delete(&key(thread)).is_ok()));
    within(&engine, &domain, || {
        spawn().unwrap();
        assert!(refused(&write_to(Path::new("/dev/null"))));
    });
    assert_eq!(pinned(name, "tokens").elements(4096).unwrap(), []);
}
