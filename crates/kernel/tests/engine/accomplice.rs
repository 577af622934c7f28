//! Processes that tests start and kill: this executable again, doing what the test says.

use std::env;
use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::*;

const ROLE: &str = "ACCOMPLICE";
const ENGINE: &str = "ACCOMPLICE_ENGINE";

/// A process, killed when this is dropped.
pub struct Accomplice {
    pub process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Accomplice {
    /// Starts one in a role, for the engine of this name.
    pub fn start(role: &str, engine: &str) -> Accomplice {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "accomplice::plays_its_role"])
            .envs([(ROLE, role), (ENGINE, engine)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Accomplice { process, input, output: BufReader::new(output) }
    }

    /// Says a line; whether anybody hears it does not matter.
    pub fn say(&mut self, line: &str) {
        let _ = writeln!(self.input, "{line}");
    }

    /// Waits for a line that begins so and gives the rest; none if the process ended before.
    pub fn hear(&mut self, beginning: &str) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            match self.output.read_line(&mut line) {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
            // The harness does not end its own line.
            if let Some((_, rest)) = line.split_once(beginning) {
                return Some(rest.trim().to_owned());
            }
        }
    }

    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Waits for the end: whether it succeeded, none if a signal killed it.
    pub fn end(mut self) -> Option<bool> {
        let _ = self.hear("there is no such line");
        let status = self.process.wait().unwrap();
        status.code().map(|code| code == 0)
    }
}

impl Drop for Accomplice {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Not a test: what the processes do.
#[test]
#[ignore = "started by other tests"]
fn plays_its_role() {
    let engine = env::var(ENGINE).unwrap();
    match env::var(ROLE).unwrap().as_str() {
        "confine" => confine(&engine),
        "live" => live(&engine),
        "soak" => soak::work(&engine),
        role => panic!("no such role: {role}"),
    }
}

pub fn listen() -> String {
    let mut line = String::new();
    stdin().read_line(&mut line).unwrap();
    line.trim().to_owned()
}

pub fn tell(line: &str) {
    println!("{line}");
    stdout().flush().unwrap();
}

/// Starts a shell in a domain that may make nothing new, and waits. The shell tries to make a folder whenever it
/// hears a line, and outlives this.
fn confine(name: &str) {
    let mut engine = start(name);
    let domain = engine.load(&Domain::prepended([denies("no_new", NEW)]), Denials::Shared).unwrap();
    let folder = scratch(name).join("folder");
    let script = format!(
        "echo shell $$; while read line; do if mkdir {0} && rmdir {0}; then echo made; else echo refused; fi; done",
        folder.display()
    );
    let mut shell = within(&engine, &domain, || Command::new("sh").args(["-c", &script]).spawn().unwrap());
    shell.wait().unwrap();
}

/// The whole life of an engine, from making the state to taking it down.
fn live(name: &str) {
    listen();
    let mut engine = start(name);
    let outer = engine.load(&Domain::prepended([denies("outer", LOCK)]), Denials::Shared).unwrap();
    let inner = engine.extend(&outer, [denies("inner", LOCK)], Denials::Own).unwrap();
    within(&engine, &outer, || {
        engine.enter(&inner).unwrap();
        assert!(refused(&unlock()));
    });
    drop((outer, inner));
    engine.collect().unwrap();
    drop(engine);
    tell("lived");
}
