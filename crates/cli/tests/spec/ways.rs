// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ways around a list of files, against a list of what may not be opened and a list of all that may. Each has its twins:
//! without rules, and under the same rule with something else in its list.

use std::fs;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::place::{Place, always, target};

const TOKEN: &str = "the crown jewels";

/// Refuses with `errno` to open what is, or what is not, beneath a handle.
fn list(refused: &str, errno: u32) -> String {
    format!(
        ".rule list\n.event FILE_OPEN\n.license \"GPL\"\n.map list fs 48\nr4 = *(u64 *)(r1 + 8)\nr1 = 0\nr2 = map list\n\
         r3 = 1\ncall cmp_fs_beneath\nif r0 {refused} 0 goto refused\nr0 = 0\nexit\nrefused:\nr0 = {errno}\nexit\n"
    )
}

/// A way, as `ways.py` calls it, the mounts it needs, and what comes of it.
type Case = (&'static str, &'static str, &'static str);

const EROFS: &str = "stopped: EROFS";
const EACCES: &str = "stopped: EACCES";
const EPERM: &str = "stopped: EPERM";
const REACHED: &str = "reached";

/// For each way a folder, named by its number: `secret` with the token, `open` of the same shape without, and the token
/// in a file beside them.
struct Ways<'a> {
    place: Place,
    cases: &'a [Case],
}

impl Ways<'_> {
    fn new(cases: &[Case]) -> Ways<'_> {
        let place = Place::new();
        let mut script = String::from("set -e; ");
        for (number, (way, mount, _)) in cases.iter().enumerate() {
            for (folder, content) in [("secret", TOKEN), ("open", "nothing")] {
                place.write(&format!("{number}/{folder}/file"), content);
                place.write(&format!("{number}/{folder}/deep/er/file"), content);
            }
            place.write(&format!("{number}/token"), TOKEN).write(&format!("{number}/m/none"), "");
            if let Some((_, depth)) = way.split_once("deep:") {
                make_deep(&place.path(&format!("{number}/secret")), depth.parse().unwrap());
            }
            script += &format!("cd {number}; {mount} true; cd ..; ");
        }
        place.write("all", always(1)).write("deny.s", list("==", 30)).write("allow.s", list("!=", 13));
        place.write("programs/prelude.py", include_str!("../bypasses/prelude.py"));
        place.write("programs/ways.py", include_str!("ways.py"));
        Ways { place: place.mounting(&(script + "exec \"$@\"")), cases }
    }

    /// What comes of each under the layers.
    fn taken(self, layers: &str, more: &str) -> Vec<(&'static str, String)> {
        let lists: String = (0..self.cases.len()).map(|at| format!(" -h list={at}/secret")).collect();
        let layers = layers.replace(LISTS, &lists);
        let ways = self.cases.iter().enumerate().map(|(at, (way, ..))| format!("{at}:{way}{more}"));
        let words: Vec<String> = ["programs/ways.py".to_owned()].into_iter().chain(ways).collect();
        let output = self.place.run(&layers, &words.iter().map(String::as_str).collect::<Vec<_>>());
        let said = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), self.cases.len(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        self.cases.iter().zip(lines).map(|((way, ..), line)| (*way, line.to_owned())).collect()
    }
}

impl Drop for Ways<'_> {
    fn drop(&mut self) {
        (0..self.cases.len()).for_each(|at| remove_deep(&self.place.path(&format!("{at}/secret"))));
    }
}

/// Stands for the `secret` of each folder.
const LISTS: &str = " -h list=@/secret";
const DENY: &str = "-f all -r deny.s -h list=@/secret";
const DENY_OTHER: &str = "-f all -r deny.s -h list=deny.s";

fn each(cases: &[Case], said: impl Fn(&Case) -> &'static str) -> Vec<(&'static str, String)> {
    cases.iter().map(|case| (case.0, said(case).to_owned())).collect()
}

#[track_caller]
fn denied(cases: &[Case]) {
    assert_eq!(Ways::new(cases).taken("", ""), each(cases, |_| REACHED), "without rules");
    assert_eq!(Ways::new(cases).taken(DENY_OTHER, ""), each(cases, |_| REACHED), "another list");
    assert_eq!(Ways::new(cases).taken(DENY, ""), each(cases, |case| case.2));
}

#[test]
fn under_a_list_of_what_may_not_be_opened() {
    denied(&[
        ("names", "", EROFS),
        ("magic_links", "", EROFS),
        ("renamed", "", EROFS),
        ("exchanged", "", EROFS),
        ("path_reused_old", "", EROFS),
        ("inside_name", "", EROFS),
        ("deleted_made_again", "", EROFS),
        // Documented: who may not open may still make and move names, and what is deleted is nowhere.
        ("path_reused_new", "", REACHED),
        ("moved_out", "", REACHED),
        ("exchanged_out", "", REACHED),
        ("hard_link_out", "", REACHED),
        ("deleted_directory", "", REACHED),
        ("deleted_file", "", REACHED),
    ]);
}

#[test]
fn among_mounts() {
    denied(&[
        ("bound", "mount --bind secret m;", EROFS),
        ("bound", "mount --bind secret m; mount --bind m open;", EROFS),
        ("names", "mount --rbind . m;", EROFS),
        (
            "names",
            "mount -t tmpfs none secret/deep; mkdir secret/deep/er; cp token secret/deep/er/file;",
            EROFS,
        ),
        // Another on top of it is beneath it.
        ("names", "cp token open/file; cp token open/deep/er/file; mount --bind open secret;", EROFS),
        ("own_namespace", "", EROFS),
        (
            "bound_meanwhile",
            "{ until [ -e ready ]; do sleep 0.1; done; mount --bind secret m; touch mounted; } > /dev/null 2>&1 &",
            EROFS,
        ),
        // What is inside, mounted elsewhere by itself, is where it is mounted.
        ("bound_below", "mount --bind secret/deep m;", REACHED),
    ]);
}

/// What was moved out of what is mounted is nowhere, or that cannot be told from there: whatever is in the list.
#[test]
fn out_of_what_is_mounted() {
    let cases = [("left", "mount --bind secret/deep m;", REACHED)];
    assert_eq!(Ways::new(&cases).taken("", ""), each(&cases, |_| REACHED));
    for layers in [DENY, DENY_OTHER] {
        let expected = if target() == "kernel" { REACHED } else { EPERM };
        assert_eq!(Ways::new(&cases).taken(layers, ""), each(&cases, |_| expected));
    }
}

/// Threads under such a rule mount nothing; and the supervisor opens nothing that has no path.
#[test]
fn mounting_and_handles_of_files() {
    let by_handle = if target() == "kernel" { EROFS } else { EPERM };
    let cases = [("mounted_inside", "", EPERM), ("by_handle", "", by_handle)];
    assert_eq!(Ways::new(&cases).taken("", ""), each(&cases, |_| REACHED));
    assert_eq!(Ways::new(&cases).taken(DENY, ""), each(&cases, |case| case.2));
}

#[test]
fn under_a_list_of_all_that_may_be_opened() {
    let cases = [
        ("elsewhere", "", EACCES),
        ("moved_out", "", EACCES),
        ("hard_link_out", "", EACCES),
        ("path_reused_new", "", EACCES),
        ("deleted_directory", "", EACCES),
        ("deleted_file", "", EACCES),
        ("names", "", REACHED),
        ("renamed", "", REACHED),
        ("exchanged", "", REACHED),
        ("path_reused_old", "", REACHED),
        ("inside_name", "", REACHED),
        ("deleted_made_again", "", REACHED),
        // Documented: a link to what may not be opened, made where it may.
        ("hard_link_in", "", REACHED),
    ];
    // What Python needs.
    let system = ["/usr", "/lib", "/lib64", "/bin", "/etc", "/dev"];
    let there = system.into_iter().filter(|path| Path::new(path).exists());
    let layers =
        there.fold("-f all -r allow.s -h list=programs".to_owned(), |all, path| all + " -h list=" + path);
    assert_eq!(Ways::new(&cases).taken("", ""), each(&cases, |_| REACHED), "without rules");
    assert_eq!(Ways::new(&cases).taken(&(layers + LISTS), ""), each(&cases, |case| case.2));
}

/// However often it is tried, and without rules it takes not often.
#[test]
fn races() {
    let cases = ["parents_raced", "links_raced", "folders_raced"].map(|way| (way, "", EROFS));
    assert_eq!(Ways::new(&cases).taken("", ":until"), each(&cases, |_| REACHED), "without rules");
    assert_eq!(Ways::new(&cases).taken(DENY, ""), each(&cases, |case| case.2));
}

/// From some depth on it cannot be told, and is refused: so many steps, or bytes of a path, of which each level here
/// has two.
#[test]
fn depth() {
    let [near, beyond] =
        if target() == "kernel" { ["deep:16200", "deep:16500"] } else { ["deep:1950", "deep:2100"] };
    let cases = [("deep:21", "", EROFS), ("deep:300", "", EROFS), (near, "", EROFS), (beyond, "", EPERM)];
    assert_eq!(Ways::new(&cases).taken("", ""), each(&cases, |_| REACHED), "without rules");
    assert_eq!(Ways::new(&cases).taken(DENY, ""), each(&cases, |case| case.2));
}

/// A chain of directories, with the token in the last.
fn make_deep(folder: &Path, depth: usize) {
    let mut here = fs::File::open(folder).unwrap();
    for _ in 0..depth {
        rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
        here = open_at(&here, "d", OFlags::RDONLY);
    }
    let file = open_at(&here, "file", OFlags::CREATE | OFlags::WRONLY);
    rustix::io::write(&file, TOKEN.as_bytes()).unwrap();
}

fn open_at(at: &fs::File, name: &str, flags: OFlags) -> fs::File {
    rustix::fs::openat(at, name, flags, Mode::RWXU).unwrap().into()
}

/// Nothing that recurses could remove it.
fn remove_deep(folder: &Path) {
    let (top, next) = (folder.join("d"), folder.join("next"));
    while fs::rename(top.join("d"), &next).is_ok() {
        let _ = fs::remove_dir(&top).and_then(|()| fs::rename(&next, &top));
    }
}
