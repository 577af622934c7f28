// SPDX-License-Identifier: MIT OR Apache-2.0
//! One attack, carried out three times: without `landlock`, under rules that allow everything but are asked
//! about everything, and under the rule that forbids it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::playground::{Outcome, PROGRAM, Playground, Rule, SECRET, TOKEN, User, VAULT};

const PRELUDE: &str = include_str!("prelude.py");
const URING: &str = include_str!("uring.py");
const OUTSIDE: &str = include_str!("outside.py");
const PYTHON: &str = "/usr/bin/python3";

/// An attack and the circumstances it needs.
#[derive(Clone, Copy)]
pub struct Attack {
    family: &'static str,
    name: &'static str,
    user: User,
    descriptor: Option<&'static str>,
    start: &'static str,
    outside: bool,
    result: Option<&'static str>,
}

/// Tests of attacks that a rule denies: name, attack, rule, hook.
macro_rules! attacks {
    ($($name:ident: $attack:expr, $rule:expr, $hook:literal;)+) => {
        $(#[test]
        fn $name() {
            $attack.is_denied($rule, $hook);
        })+
    };
}
pub(crate) use attacks;

impl Attack {
    /// Function `name` of a family's program.
    pub fn of(family: &'static str, name: &'static str) -> Attack {
        Attack { family, name, user: User::Ours, descriptor: None, start: ".", outside: false, result: None }
    }

    /// Carried out by this user.
    pub fn of_user(self, user: User) -> Attack {
        Attack { user, ..self }
    }

    /// Carried out by a user without privileges.
    pub fn by_nobody(self) -> Attack {
        self.of_user(User::Nobody)
    }

    /// With this file open as descriptor 3 before the rules are in force, for writing if it is a file.
    pub fn holding(self, file: &'static str) -> Attack {
        Attack { descriptor: Some(file), ..self }
    }

    /// With this working directory.
    pub fn starting_in(self, directory: &'static str) -> Attack {
        Attack { start: directory, ..self }
    }

    /// With a process outside of the sandbox that gives descriptors away.
    pub fn with_an_accomplice(self) -> Attack {
        Attack { outside: true, ..self }
    }

    /// That says how it went in this file, after the command has ended.
    pub fn result_is_left_in(self, file: &'static str) -> Attack {
        Attack { result: Some(file), ..self }
    }

    /// The attack works without the rule; under it, it fails with `EPERM` and a denial that names `hook`.
    pub fn is_denied(self, rule: Rule, hook: &str) {
        self.works_without_the_rule();
        let (outcome, changed) = self.carry_out(std::slice::from_ref(&rule));
        assert_eq!(self.report(&outcome), "stopped: EPERM", "{outcome:#?}");
        assert!(outcome.denied(hook, &rule.name), "no denial at {hook} by {}: {outcome:#?}", rule.name);
        assert!(!changed, "the secret was changed: {outcome:#?}");
    }

    /// Like [`Attack::is_denied`], where what is denied is a step on the way, whatever the object.
    pub fn is_refused(self, rule: Rule, reason: &str) {
        let (plain, _) = self.carry_out(&[]);
        assert_eq!(self.report(&plain), "reached", "without landlock: {plain:#?}");
        let (outcome, _) = self.carry_out(&[rule]);
        assert_eq!(self.report(&outcome), "stopped: EPERM", "{outcome:#?}");
        let told = |denial: &Value| denial["reason"].as_str().is_some_and(|text| text.contains(reason));
        assert!(outcome.denials.iter().any(told), "{outcome:#?}");
    }

    /// The attack works outside of a sandbox, and fails with this errno in any.
    pub fn is_closed(self, errno: &str) {
        let (plain, _) = self.carry_out(&[]);
        assert_eq!(self.report(&plain), "reached", "without landlock: {plain:#?}");
        self.is_never_possible(errno);
    }

    /// The attack fails with this errno in any sandbox; outside of one there is nothing to attack.
    pub fn is_never_possible(self, errno: &str) {
        let (outcome, changed) = self.carry_out(&Rule::transparent());
        assert_eq!(self.report(&outcome), format!("stopped: {errno}"), "{outcome:#?}");
        assert!(!changed, "the secret was changed: {outcome:#?}");
    }

    /// The attack ends with this report outside of a sandbox and in one that allows everything.
    pub fn is_the_same_plain_and_confined(self, report: &str) {
        let (plain, _) = self.carry_out(&[]);
        assert_eq!(self.report(&plain), report, "without landlock: {plain:#?}");
        let (allowed, _) = self.carry_out(&Rule::transparent());
        assert_eq!(self.report(&allowed), report, "under rules that allow it: {allowed:#?}");
    }

    /// The same steps succeed plain, and when every one of them is decided by the supervisor.
    pub fn works_without_the_rule(&self) {
        let (plain, _) = self.carry_out(&[]);
        assert_eq!(self.report(&plain), "reached", "without landlock: {plain:#?}");
        let (allowed, _) = self.carry_out(&Rule::transparent());
        assert_eq!(self.report(&allowed), "reached", "under rules that allow it: {allowed:#?}");
        assert_eq!(allowed.denials.len(), 0, "{allowed:#?}");
    }

    /// First line of the report; and nothing else may have broken.
    fn report(&self, outcome: &Outcome) -> String {
        let mut lines = outcome.stdout.lines();
        let report = lines.next().unwrap_or("nothing").to_owned();
        let rest = lines.next();
        assert!(rest == Some("the rest works") || outcome.code == Some(0), "{}: {outcome:#?}", self.name);
        report
    }

    fn carry_out(&self, rules: &[Rule]) -> (Outcome, bool) {
        let (playground, command) = self.prepare(rules);
        let secret = playground.path().join("secret");
        let outside = self.outside.then(|| accomplice(&playground));
        let before = traits(&secret);
        let mut outcome = playground.run(command);
        drop(outside);
        if let Some(name) = self.result {
            outcome.stdout = wait_for(|| fs::read_to_string(playground.path().join(name)).ok()) + "\n";
            if outcome.stdout.starts_with("stopped") {
                // Whoever writes the log is not waited for by anybody.
                outcome.denials =
                    wait_for(|| Some(playground.denials()).filter(|denials| !denials.is_empty()));
            }
        }
        (outcome, traits(&secret) != before)
    }

    /// Kills a descendant of the started command, counted from `timeout`, once the attack has made `ready`,
    /// and then makes `killed`.
    pub fn carry_out_and_kill(&self, rule: &Rule, distance: usize) -> Outcome {
        let (playground, mut command) = self.prepare(std::slice::from_ref(rule));
        let started = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start");
        wait_for(|| playground.path().join("ready").exists().then_some(()));
        let victim = (0..distance).fold(started.id(), |pid, _| child_of(pid));
        let killed = Command::new("kill").args(["-KILL", &victim.to_string()]).status();
        assert!(killed.expect("kill").success(), "{victim} could not be killed");
        playground.file("killed", "", 0o644);
        Outcome::of(started.wait_with_output().expect("wait"), playground.denials())
    }

    fn prepare(&self, rules: &[Rule]) -> (Playground, Command) {
        let playground = Playground::new(self.user);
        furnish(&playground);
        playground.file("prelude.py", PRELUDE, 0o644);
        playground.file("uring.py", URING, 0o644);
        playground.file("attack.py", self.family, 0o644);
        let script = playground.path().join("attack.py");
        let command = [PYTHON, "-B", "-S", script.to_str().expect("UTF-8"), self.name];
        let mut command =
            if rules.is_empty() { playground.plain(&command) } else { playground.confined(rules, &command) };
        let held = self.descriptor.map(|name| open(&playground.path().join(name)));
        command = introduced(&command, &playground, held);
        command.current_dir(playground.path().join(self.start));
        (playground, command)
    }
}

/// The only child of a process.
fn child_of(pid: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("children in /proc");
    children.trim().parse().expect("one child")
}

/// What somebody is about to bring about, within minutes.
fn wait_for<T>(mut what: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(there) = what() {
            return there;
        }
        assert!(start.elapsed() < Duration::from_secs(300), "what was to come did not");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The command with its process id in the file `top`, and with a file of ours as descriptor 3.
pub fn introduced(command: &Command, playground: &Playground, held: Option<fs::File>) -> Command {
    let descriptor = if held.is_some() { "exec 3<&0 </dev/null" } else { ":" };
    let top = playground.file("top", "", 0o666);
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("echo $$ >{}; {descriptor}; exec \"$@\"", top.display())).arg("sh");
    shell.arg(command.get_program()).args(command.get_args());
    shell.stdin(held.map_or_else(Stdio::null, Stdio::from));
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell
}

/// For reading, and if it is a file for writing.
pub fn open(path: &Path) -> fs::File {
    fs::OpenOptions::new().read(true).write(!path.is_dir()).open(path).expect("open")
}

/// The objects that attacks are about.
pub fn furnish(playground: &Playground) {
    for name in ["secret", "secret2", "secret3"] {
        let secret = playground.file(name, format!("{TOKEN}\n"), SECRET & 0o7777);
        let colour = Command::new("setfattr").args(["-n", "user.colour", "-v", "blue"]).arg(&secret).status();
        assert!(colour.expect("setfattr").success(), "extended attributes are needed here");
    }
    for name in ["ordinary", "ordinary0", "ordinary1", "ordinary2"] {
        playground.file(name, "before!", 0o600);
    }
    playground.directory("empty", 0o755);
    playground.directory("vault", 0o755);
    playground.directory("vault/empty", 0o755);
    playground.file("vault/inner", "inner", 0o600);
    playground.file("vault/spare", "spare", 0o600);
    // Whose it is it stays.
    playground.file("program", "", 0o644);
    playground.program("program", "/bin/true", PROGRAM & 0o7777);
    playground.program("vault/program", "/bin/true", 0o755);
    std::os::unix::fs::symlink("..", playground.path().join("vault/link")).expect("symlink");
    std::os::unix::fs::symlink("nowhere", playground.path().join("dangling")).expect("symlink");
    for (program, name) in [("/usr/bin/id", "suid"), ("/usr/bin/cat", "suid-cat")] {
        playground.program(name, program, 0o4755);
    }
    playground.program("loader", "/lib64/ld-linux-x86-64.so.2", PROGRAM & 0o7777);
    playground.restrict("vault", VAULT & 0o7777);
}

/// Everything about the secret that an attacker could change; `None`: its name is gone.
fn traits(secret: &Path) -> Option<(Vec<u8>, u32, u32, i64)> {
    let metadata = fs::symlink_metadata(secret).ok()?;
    Some((fs::read(secret).ok()?, metadata.mode(), metadata.uid(), metadata.mtime()))
}

/// A process that is ended when dropped.
pub struct Outside(Child);

impl Drop for Outside {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn accomplice(playground: &Playground) -> Outside {
    let script = playground.file("outside.py", OUTSIDE, 0o644);
    let script = script.to_str().expect("UTF-8");
    let mut command = playground.plain(&[PYTHON, "-B", "-S", script]);
    let mut outside = Outside(command.stdout(Stdio::null()).spawn().expect("start"));
    wait_for(|| {
        assert!(outside.0.try_wait().expect("wait").is_none(), "the accomplice ended");
        playground.path().join("outside").exists().then_some(())
    });
    outside
}
