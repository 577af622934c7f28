//! Thousands of short-lived domains from several processes at once, some of which are killed at any moment.

use std::time::{Duration, Instant};

use super::accomplice::{Accomplice, listen, tell};
use super::*;

const PROCESSES: u64 = 4;
/// Different rules, so that some domains are shared.
const RULES: u64 = 40;
const AT_LEAST: u64 = 2000;

/// Numbers without an order (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// A process at work: until it is killed or told to stop.
pub fn work(name: &str) {
    let mut random = Random(listen().parse().unwrap());
    let mut engine = start(name);
    tell("working");
    let stop = thread::spawn(listen);
    while !stop.is_finished() {
        one_domain(&mut engine, &mut random);
        if random.below(50) == 0 {
            drop(engine);
            engine = start(name);
        }
    }
    drop(engine);
    tell("done");
}

fn one_domain(engine: &mut Engine, random: &mut Random) {
    let rule = format!("rule_{}", random.below(RULES));
    let denials = if random.below(8) == 0 { Denials::Own } else { Denials::Shared };
    let outer = engine.load(&Domain::prepended([denies(&rule, LOCK)]), denials).unwrap();
    let inner = (random.below(3) == 0)
        .then(|| engine.extend(&outer, [denies("inner", LOCK)], Denials::Shared).unwrap());
    let child = random.below(2) == 0;
    within(engine, &outer, || {
        if let Some(inner) = &inner {
            engine.enter(inner).unwrap();
        }
        assert!(refused(&unlock()));
        if child {
            thread::scope(|scope| assert!(refused(&scope.spawn(unlock).join().unwrap())));
        }
    });
    assert!(unlock().is_ok());
    // A token that nobody uses.
    let _ = engine.token(&outer).unwrap();
    if random.below(4) == 0 {
        drop((outer, inner));
        engine.collect().unwrap();
    }
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn alone_nothing_is_left_of_thousands_of_domains_and_killed_processes() {
    let name = "soak";
    let before = alone::objects();
    let mut random = Random(0x1d87_2b41_53f0_1c6d);
    let begin = |random: &mut Random| {
        let mut worker = Accomplice::start("soak", name);
        worker.say(&random.below(u64::MAX).to_string());
        worker
    };
    let mut workers: Vec<Accomplice> = (0..PROCESSES).map(|_| begin(&mut random)).collect();
    let mut engine = start(name);
    let (mut domains, mut killed, mut next) = (0, 0, 50);
    let started = Instant::now();
    while domains < AT_LEAST {
        thread::sleep(Duration::from_millis(random.below(200)));
        if domains >= next {
            let victim = usize::try_from(random.below(PROCESSES)).unwrap();
            assert_eq!(
                workers[victim].process.try_wait().unwrap(),
                None,
                "a process that nobody killed ended"
            );
            workers[victim] = begin(&mut random);
            killed += 1;
            println!("{} s: {domains} domains, {killed} processes killed", started.elapsed().as_secs());
            next = domains + 20 + random.below(100);
        }
        let own = engine.load(&Domain::prepended([denies("own", LOCK)]), Denials::Own).unwrap();
        domains = own.number();
        within(&engine, &own, || assert!(refused(&unlock())));
    }
    assert!(killed >= 15, "{killed}");
    println!("{domains} domains, {killed} processes killed, {} s", started.elapsed().as_secs());
    for mut worker in workers {
        worker.say("stop");
        assert!(worker.hear("done").is_some());
        assert_eq!(worker.end(), Some(true));
    }
    drop(engine);
    alone::leaves_nothing(name, before);
}
