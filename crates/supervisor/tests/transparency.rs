// SPDX-License-Identifier: MIT OR Apache-2.0
//! What no rule forbids goes on as if nobody looked: same results, same errno, for calls about names and attributes
//! and for programs that make many of them.

mod support;

use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use support::{Bench, driver, transparent_but_for_walks, transparent_for_all_types};

const SOMEBODY: [&str; 5] = ["--reuid", "1000", "--regid", "1000", "--clear-groups"];

/// Who makes the calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    Root,
    /// A user, under a supervisor that is root.
    Dropped,
    /// A user, under a supervisor that is the same user.
    Unprivileged,
}

/// What the probe prints in a fresh folder that belongs to the caller, the folder's own name left out.
fn probed(caller: Caller, way: &[&str], text: Option<&str>) -> String {
    let bench = Bench::new();
    let probe = bench.probe("names", &["-w"]);
    let rule = bench.rule("rule", text.unwrap_or(""));
    std::fs::create_dir(bench.path("work")).expect("work");
    bench.file("theirs", 0o644, "somebody else's");
    std::fs::set_permissions(bench.path("."), PermissionsExt::from_mode(0o755)).expect("chmod");
    let owner = if caller == Caller::Root { 0 } else { 1000 };
    chown(bench.path("work"), Some(owner), Some(owner)).expect("these tests need root: chown");
    let mut command = match (caller, text) {
        (Caller::Root, None) => bench.plain(&probe),
        (Caller::Root, Some(_)) => bench.confined(&[&rule], &probe),
        (_, None) => bench.plain("setpriv"),
        (Caller::Dropped, Some(_)) => bench.confined(&[&rule], "setpriv"),
        (Caller::Unprivileged, Some(_)) => bench.plain("setpriv"),
    };
    if caller != Caller::Root {
        command.args(SOMEBODY);
    }
    if caller == Caller::Unprivileged && text.is_some() {
        // It writes the log, and where it is run from every user may run it.
        chown(bench.path("."), Some(owner), Some(owner)).expect("chown");
        let copied = Command::new("cp").arg(driver()).arg(bench.path("confine")).status();
        assert!(copied.is_ok_and(|status| status.success()));
        command.arg(bench.path("confine")).arg(bench.path("log")).arg(&rule).arg("--");
    }
    if caller != Caller::Root {
        command.arg(&probe);
    }
    let outcome = bench.run(command.args(way).current_dir(bench.path("work")));
    assert_eq!(outcome.denials, [] as [serde_json::Value; 0]);
    outcome.printed().replace(bench.path("").to_str().expect("UTF-8"), "/bench/")
}

fn assert_no_difference(caller: Caller) {
    for (text, way) in
        [(transparent_but_for_walks(), &[][..]), (transparent_for_all_types(), &["opened"][..])]
    {
        let plain = probed(caller, way, None);
        let confined = probed(caller, way, Some(&text));
        assert!(plain.lines().count() > 1700, "the probe stopped early: {plain}");
        let different = plain.lines().zip(confined.lines()).find(|(plain, confined)| plain != confined);
        assert_eq!(different, None, "plain, then confined");
        assert_eq!(plain.lines().count(), confined.lines().count());
    }
}

#[test]
fn root_sees_no_difference() {
    assert_no_difference(Caller::Root);
}

#[test]
fn a_caller_with_less_rights_than_the_supervisor_sees_no_difference() {
    assert_no_difference(Caller::Dropped);
}

#[test]
fn an_unprivileged_supervisor_makes_no_difference() {
    assert_no_difference(Caller::Unprivileged);
}

/// Programs that make, copy, move and remove trees; then what is left, told with all its attributes.
const PROGRAMS: &str = r#"
set -e
export HOME="$PWD" GIT_CONFIG_NOSYSTEM=1 TZ=UTC LC_ALL=C
umask 027
mkdir -p src/deep/er src/empty
printf one > src/one; printf two > src/deep/two; ln -s ../one src/deep/link; ln src/one src/deep/er/hard
mkfifo src/fifo; chmod 4751 src/deep/two; chmod 1777 src/empty
setfattr -n user.note -v kept src/one
setfacl -m u:1:r src/deep/two
touch -h -d @1000000000 src/deep/link; find src -type f -o -type p | xargs touch -d @1234567890.5
find src -depth -type d -exec touch -d @1111111111 {} +
tar --xattrs --acls --format=posix -cf a.tar src
mkdir out; tar --xattrs --acls -xpf a.tar -C out
cp -a src copy; cp -al src linked
mv copy moved; mv -T moved copy; ln -sfn copy current; ln -sfn linked current
rm -rf out/src/deep; truncate -s 5000 out/src/one; rmdir out/src/empty
git init -q repo; cd repo
git config user.name n; git config user.email e@example.invalid; git config commit.gpgsign false
cp ../src/one ../src/deep/two .; git add .
GIT_AUTHOR_DATE='@1 +0000' GIT_COMMITTER_DATE='@1 +0000' git commit -qm first
git mv one three; GIT_AUTHOR_DATE='@2 +0000' GIT_COMMITTER_DATE='@2 +0000' git commit -qam second
git log --format='%H %s'; git status --short; git checkout -q HEAD~1; ls; git fsck --strict; cd ..
rm -rf repo/.git; stat -f -c %T .; test -r src/one; test ! -w src/none; readlink -f current
echo; find src out copy linked repo -printf '%p %M %n %U:%G %s %l\n' | sed '/^.* d/s/ [0-9]* $//' | sort
find src out/src/one copy linked -printf '%p %T@\n' | grep -v 'out/src/one' | sort
getfattr -R -d --absolute-names src out copy; getfacl -R src out copy linked
"#;

#[test]
fn programs_see_no_difference() {
    let run = |text: Option<&str>| {
        let bench = Bench::new();
        let rule = bench.rule("rule", text.unwrap_or(""));
        std::fs::create_dir(bench.path("work")).expect("work");
        let mut command = if text.is_some() { bench.confined(&[&rule], "bash") } else { bench.plain("bash") };
        let outcome = bench.run(command.args(["-c", PROGRAMS]).current_dir(bench.path("work")));
        assert_eq!(outcome.denials, [] as [serde_json::Value; 0]);
        outcome.printed().replace(bench.path("").to_str().expect("UTF-8"), "/bench/")
    };
    // Not under a rule that can deny walks: tar opens what it extracts with O_PATH.
    assert_eq!(run(Some(&transparent_but_for_walks())), run(None));
}
