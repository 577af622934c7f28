// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sections 6.8 and 6.9: what comparisons answer. A rule makes many, and gives `EROFS` if all answers are as they should
//! be, else the number of the first that is not.

use std::fmt::Write as _;
use std::path::Path;

use crate::place::{Place, always, maps, rule};

const PROP: &str = "cmp_fs_prop";
const BENEATH: &str = "cmp_fs_beneath";
const CGROUP: &str = "cmp_cgroup_beneath";

const DENTRY: u64 = 1;
const INODE: u64 = 2;
const DEVICE: u64 = 4;
const MOUNT: u64 = 8;
const REVERSE: u64 = 1;
const OR: u64 = 1;
/// As an operation or as flags, each with low bits that exist.
const BEYOND_32_BITS: u64 = 1 << 32 | 1;

const MATCH: i32 = 0;
const NONE: i32 = 1;
const ENOENT: i32 = -2;
const EINVAL: i32 = -22;

/// Flags, map, operation, answer.
type Row = (u64, &'static str, u64, i32);

/// Text that goes through the rows, for the context in `r6`.
fn rows<'a>(rows: impl IntoIterator<Item = (&'a str, Row)>) -> String {
    let (mut asks, mut wrong) = (String::new(), Vec::new());
    for (number, (helper, (flags, map, op, answer))) in (1..).zip(rows) {
        let file = if helper == CGROUP { "" } else { "r4 = *(u64 *)(r6 + 8)\n" };
        let _ = write!(asks, "r1 = {flags:#x} ll\nr2 = map {map}\nr3 = {op:#x} ll\n{file}call {helper}\n");
        let _ = writeln!(asks, "if r0 != {answer} goto wrong{number}");
        wrong.push(format!("wrong{number}:\nr0 = {number}"));
        assert!(number < 30, "a number for each that is no EROFS");
    }
    format!("{asks}r0 = 30\nexit\n{}", wrong.join("\nexit\n"))
}

#[test]
fn properties() {
    let place = Place::new().mounting("mkdir -p bound && mount --bind . bound && exec \"$@\"");
    place.files("file beside").write("all", always(1));
    std::fs::hard_link(place.path("file"), place.path("link")).unwrap();
    const ALL: u64 = DENTRY | INODE | DEVICE | MOUNT;
    const ROWS: [Row; 28] = [
        (0, "itself", OR, MATCH),
        (0, "afar", OR, MATCH),
        (0, "empty", OR, NONE),
        (DENTRY, "itself", OR, MATCH),
        (DENTRY, "linked", OR, NONE),
        (DENTRY, "bound", OR, MATCH),
        (INODE, "linked", OR, MATCH),
        (INODE, "beside", OR, NONE),
        (DEVICE, "beside", OR, MATCH),
        (DEVICE, "afar", OR, NONE),
        (MOUNT, "beside", OR, MATCH),
        (MOUNT, "bound", OR, NONE),
        (MOUNT, "afar", OR, NONE),
        (ALL, "itself", OR, MATCH),
        (ALL, "linked", OR, NONE),
        (ALL, "bound", OR, NONE),
        (ALL, "beside", OR, NONE),
        // One has the name, another the mount; and one of several has all.
        (DENTRY | MOUNT, "split", OR, NONE),
        (DENTRY | MOUNT, "among", OR, MATCH),
        (16, "itself", OR, EINVAL),
        (255, "itself", OR, EINVAL),
        (BEYOND_32_BITS, "itself", OR, EINVAL),
        (DENTRY, "itself", 0, EINVAL),
        (DENTRY, "itself", 2, EINVAL),
        (DENTRY, "itself", 3, EINVAL),
        (DENTRY, "itself", BEYOND_32_BITS, EINVAL),
        (16, "empty", OR, EINVAL),
        (DENTRY, "empty", 2, EINVAL),
    ];
    place.write("rule.s", rule("rule", "FILE_OPEN", "list", &rows(ROWS.map(|row| (PROP, row)))));
    let handles = "-h list=file -h itself=file -h linked=link -h beside=beside -h afar=/proc/version -h bound=bound/file \
        -h split=bound/file -h split=beside -h among=beside -h among=/proc/version -h among=file";
    place.refuses(&format!("-f all -r rule.s {handles}"), "open:file", "EROFS");
}

#[test]
fn beneath() {
    let place = Place::new();
    place.files("dir/in/file other/file").write("all", always(1));
    const ROWS: [Row; 25] = [
        (0, "itself", OR, MATCH),
        (0, "above", OR, MATCH),
        (0, "root", OR, MATCH),
        (0, "inside", OR, NONE),
        (0, "beside", OR, NONE),
        (0, "several", OR, MATCH),
        (0, "empty", OR, NONE),
        (REVERSE, "itself", OR, MATCH),
        (REVERSE, "above", OR, NONE),
        (REVERSE, "root", OR, NONE),
        (REVERSE, "inside", OR, MATCH),
        (REVERSE, "beside", OR, NONE),
        (REVERSE, "several", OR, NONE),
        (REVERSE, "empty", OR, NONE),
        (2, "itself", OR, EINVAL),
        (3, "itself", OR, EINVAL),
        (0x80, "itself", OR, EINVAL),
        (BEYOND_32_BITS, "itself", OR, EINVAL),
        (0, "itself", 0, EINVAL),
        (0, "itself", 2, EINVAL),
        (0, "itself", 3, EINVAL),
        (0, "itself", BEYOND_32_BITS, EINVAL),
        (REVERSE, "itself", 2, EINVAL),
        (2, "empty", OR, EINVAL),
        (0, "empty", 3, EINVAL),
    ];
    place.write("rule.s", rule("rule", "FILE_OPEN", "list", &rows(ROWS.map(|row| (BENEATH, row)))));
    let handles = "-h list=dir/in -h itself=dir/in -h above=dir -h root=/ -h inside=dir/in/file -h beside=other \
        -h several=other -h several=dir";
    place.refuses(&format!("-f all -r rule.s {handles}"), "open:dir/in", "EROFS");
}

/// Where nothing but memory is mapped there is no file, whatever flags and operations are; and there is a cgroup.
#[test]
fn no_file() {
    let place = Place::new();
    place.files("file").write("all", always(1));
    let all = [
        (PROP, (15, "files", OR, ENOENT)),
        (PROP, (0, "empty", OR, ENOENT)),
        (PROP, (16, "files", 7, ENOENT)),
        (BENEATH, (0, "files", OR, ENOENT)),
        (BENEATH, (REVERSE, "files", OR, ENOENT)),
        (BENEATH, (9, "files", 9, ENOENT)),
        (CGROUP, (0, "groups", OR, NONE)),
        (CGROUP, (REVERSE, "groups", OR, NONE)),
        (CGROUP, (2, "groups", OR, EINVAL)),
        (CGROUP, (BEYOND_32_BITS, "groups", OR, EINVAL)),
        (CGROUP, (0, "groups", 0, EINVAL)),
        (CGROUP, (0, "groups", 2, EINVAL)),
        (CGROUP, (0, "groups", BEYOND_32_BITS, EINVAL)),
    ];
    let rows = rows(all);
    let text = format!(
        ".rule rule\n.event MMAP_FILE\n.license \"GPL\"\n{}r6 = r1\nr7 = *(u64 *)(r6 + 32)\nif r7 != 0x20022 goto allow\n\
         {rows}\nexit\nallow:\nr0 = 0\nexit\n",
        maps(&rows, "")
    );
    place.write("rule.s", text);
    place.refuses("-f all -r rule.s -h files=file", "memory:1 memory:3 map:file", "EROFS EROFS ok");
}

/// Flags and operations that are known only when the rule runs.
#[test]
fn calculated() {
    let place = Place::new();
    place.files("op flags").write("all", always(1));
    let with = |flags: &str, op: &str| {
        format!(
            "r7 = *(u64 *)(r6 + 16)\nr1 = {flags}\nr2 = map same\nr3 = {op}\nr4 = *(u64 *)(r6 + 8)\ncall {BENEATH}\n\
             if r0 == 0 goto match\nif r0 == -22 goto invalid\nr0 = 34\nexit\nmatch:\nr0 = 20\nexit\ninvalid:\nr0 = 22"
        )
    };
    // Reading has mask 4, writing 2.
    let rules = rule("op", "FILE_PERMISSION", "op", &with("0", "r7\nr3 -= 3"))
        + &rule("flags", "FILE_PERMISSION", "flags", &with("r7\nr1 &= 2", "1"));
    place.write("rules.s", rules);
    let layers = "-f all -r rules.s -h op=op -h flags=flags -h same=op -h same=flags";
    place.refuses(layers, "read:op write:op read:flags write:flags", "ENOTDIR EINVAL ENOTDIR EINVAL");
}

/// At each hook the caller's cgroup is compared, as it is at that moment: the same or beneath, or the other way round.
#[test]
fn cgroups() {
    let place = Place::new();
    // Cgroups are the whole machine's; folders of tests have names of their own.
    let folder = place.path("all");
    let folder = folder.parent().and_then(Path::file_name).unwrap();
    let name = format!("landlock-spec-{}", folder.display());
    let place = place.mounting(&format!(
        "mkdir -p cg && mount -t cgroup2 none cg && mkdir -p cg/{name}/in cg/{name}-beside && \"$@\"; code=$?; \
         for group in {name}/in {name} {name}-beside; do for i in $(seq 1000); do rmdir cg/$group && break; sleep 0.1; done; done 2> /dev/null; \
         exit $code"
    ));
    place.write("all", always(1));
    let mut rules = String::new();
    let mut layers = format!("-f all -r rules.s -h groups=cg/{name}");
    let mut asked = String::new();
    for (event, step) in [("FILE_OPEN", "open"), ("FILE_PERMISSION", "read"), ("MMAP_FILE", "map")] {
        for options in [0, REVERSE] {
            let of = format!("{step}{options}");
            let answer = "r7 = r0\nr0 = 20\nif r7 == 0 goto end\nr0 = 21\nif r7 == 1 goto end\nr0 = 34\nend:";
            let decide = format!("r1 = {options}\nr2 = map groups\nr3 = 1\ncall {CGROUP}\n{answer}");
            rules += &rule(&of, event, &of, &decide);
            place.files(&of);
            let _ = write!(layers, " -h {of}={of}");
            let _ = write!(asked, " {step}:{of}");
        }
    }
    place.write("rules.s", rules);
    let (is, not) = ("ENOTDIR", "EISDIR");
    let mut steps = String::new();
    let mut expected = Vec::new();
    for (group, beneath, above) in [
        (".".to_owned(), not, is),
        (name.clone(), is, is),
        (format!("{name}/in"), is, not),
        (format!("{name}-beside"), not, not),
        (name.clone(), is, is),
    ] {
        let _ = write!(steps, " enter:{group}{asked}");
        expected.push(format!("ok{}", format!(" {beneath} {above}").repeat(3)));
    }
    place.refuses(&layers, &steps, &expected.join(" "));
}
