//! Who traces whom.

use super::*;

/// A process that sleeps until it is killed.
pub struct Process(std::process::Child);

impl Process {
    pub fn start() -> Process {
        Process(std::process::Command::new("sleep").arg("1000").spawn().unwrap())
    }

    /// Whether its memory can be opened and its folder seen, both behind the kernel's ptrace access check.
    /// Others of /proc are not any more: newer kernels show auxv to holders of CAP_PERFMON unasked.
    pub fn can_be_traced(&self) -> bool {
        let memory = File::open(format!("/proc/{}/mem", self.0.id())).is_ok();
        assert_eq!(fs::read_link(format!("/proc/{}/cwd", self.0.id())).is_ok(), memory);
        memory
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "needs privilege: cargo xtask guest-test"]
fn threads_trace_only_what_their_rules_bind_as_well() {
    let mut engine = start("threads_trace_only_what_their_rules_bind_as_well");
    let outer = engine.load(&Domain::prepended([denies("outer", 32)]), Denials::Shared).unwrap();
    let inner = engine.extend(&outer, [denies("inner", 32)], Denials::Shared).unwrap();
    let other = engine.load(&Domain::prepended([denies("outer", 32)]), Denials::Own).unwrap();
    let nested = || {
        engine.enter(&outer).unwrap();
        engine.enter(&inner).unwrap();
        Process::start()
    };
    let free = Process::start();
    let in_other = within(&engine, &other, Process::start);
    let in_outer = within(&engine, &outer, Process::start);
    let in_inner = thread::scope(|scope| scope.spawn(nested).join().unwrap());
    let all = [&free, &in_other, &in_outer, &in_inner];
    let traceable = || all.map(Process::can_be_traced);
    assert_eq!(within(&engine, &outer, traceable), [false, false, true, true]);
    assert_eq!(within(&engine, &other, traceable), [false, true, false, false]);
    let from_inner = within(&engine, &outer, || {
        engine.enter(&inner).unwrap();
        traceable()
    });
    assert_eq!(from_inner, [false, false, false, true]);
    assert_eq!(traceable(), [true; 4]);
}
