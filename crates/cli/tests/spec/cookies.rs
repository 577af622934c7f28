// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sections 6.2 and 6.4 to 6.7: what is installed when, who runs for which cookie, what comes of its result, and who
//! inherits it.

use std::fmt::Write as _;

use crate::place::{
    ALLOW, ERRNO, KILL, KILL_THREAD, LANDLOCK, Place, TRACE, TRAP, always, filter, rule, target,
};

const OPENAT: u32 = 257;
const OPENAT2: u32 = 437;

/// For each cookie a test whether the file is in `maps`, which is refused with that errno.
fn per_cookie(name: &str, event: &str, cases: &[(u32, &str, u32)]) -> String {
    let cases = cases.iter().enumerate().map(|(number, (cookie, map, errno))| {
        let event = format!(".rule {name}{number}\n.event {event}\n");
        let text = rule(
            "unnamed",
            "FILE_OPEN",
            map,
            &format!("r7 = *(u16 *)(r6 + 4)\nif r7 != {cookie} goto allow\nr0 = {errno}"),
        );
        text.replacen(".rule unnamed\n.event FILE_OPEN\n", &event, 1)
    });
    cases.collect()
}

/// Install order SF0, SF1, LP0(file_open), SF2, LP1(file_open), LP2(file_permission), the seed's example: for each
/// program and each cookie a file that this one refuses for that one, with an errno of its own.
#[test]
fn the_example() {
    let place = Place::new();
    let mut handles = String::new();
    for cookie in 0..3 {
        place.write(&format!("sf{cookie}"), always(cookie));
    }
    for (program, event) in [(0, "FILE_OPEN"), (1, "FILE_OPEN"), (2, "FILE_PERMISSION")] {
        let maps: Vec<String> = (0..3).map(|cookie| format!("m{program}{cookie}")).collect();
        let cases: Vec<(u32, &str, u32)> = (0..3)
            .zip(&maps)
            .map(|(cookie, map)| (cookie, map.as_str(), 20 + 3 * program + cookie))
            .collect();
        place.write(&format!("lp{program}.s"), per_cookie("lp", event, &cases));
        for cookie in 0..3 {
            place.files(&format!("f{program}{cookie} every"));
            let _ = write!(handles, " -h m{program}{cookie}=f{program}{cookie} -h m{program}{cookie}=every");
        }
    }
    let layers = format!("-f sf0 -f sf1 -r lp0.s -f sf2 -r lp1.s -r lp2.s{handles}");
    place.refuses(&layers, "open:f00 open:f01 open:f02", "ENOTDIR EISDIR ok");
    place.refuses(&layers, "open:f10 open:f11 open:f12", "ENFILE EMFILE ENOTTY");
    place.refuses(&layers, "read:f20 read:f21 read:f22", "ETXTBSY EFBIG ENOSPC");
    // Each is asked at its hook alone; and of what all refuse, the newest program says it for the newest filter.
    place.refuses(&layers, "read:f10 open:f20 map:f22 open:every", "ENFILE ok ok ENOTTY");
}

/// The first result that is not 0 is kept: of the newest filter, and for that of the newest program that minds.
#[test]
fn the_first_errno_is_kept() {
    let place = Place::new();
    place.files("file").write("one", always(1)).write("two", always(2));
    let says = |name: &str, for_one: u32, for_two: u32| {
        per_cookie(name, "FILE_OPEN", &[(1, "list", for_one), (2, "list", for_two)])
    };
    let kept = |old: [u32; 2], new: [u32; 2]| {
        place.write("old.s", says("old", old[0], old[1])).write("new.s", says("new", new[0], new[1]));
        place.ask("-f one -f two -r old.s -r new.s -h list=file", "open:file")
    };
    assert_eq!(kept([20, 21], [22, 23]), "ENFILE", "the newest filter, then the newest program");
    assert_eq!(kept([20, 21], [22, 0]), "EISDIR", "the newest filter's other program");
    assert_eq!(kept([20, 0], [22, 0]), "EINVAL", "the other filter's newest program");
    assert_eq!(kept([20, 0], [0, 0]), "ENOTDIR");
    assert_eq!(kept([0, 0], [0, 0]), "ok");
}

/// A program before any filter never runs, and one after a filter does.
#[test]
fn nothing_runs_before_a_filter() {
    let place = Place::new();
    place.files("before after").write("all", always(1));
    for name in ["before", "after"] {
        place.write(&format!("{name}.s"), rule(name, "FILE_OPEN", name, "r0 = 30"));
    }
    let handles = "-h before=before -h after=after";
    let steps = "open:before open:after";
    place.refuses(&format!("-r before.s -f all -r after.s {handles}"), steps, "ok EROFS");
    assert_eq!(place.ask(&format!("-r before.s -r after.s {handles}"), steps), "ok ok");
    place.write("allows", filter(&[], ALLOW));
    assert_eq!(place.ask(&format!("-f allows -r before.s -r after.s {handles}"), steps), "ok ok");
}

/// Cookies are 16 bits, whole.
#[test]
fn cookies_are_16_bits() {
    let place = Place::new();
    for cookie in [0, 0x00ff, 0xff00, 0x8000, 0xffff] {
        place.files(&format!("f{cookie}")).write("filter", always(cookie));
        let decide = format!("r7 = *(u16 *)(r6 + 4)\nif r7 != {cookie} goto allow\nr0 = 30");
        let other = format!("r7 = *(u16 *)(r6 + 4)\nif r7 == {cookie} goto allow\nr0 = 28");
        let text = rule("is", "FILE_OPEN", "list", &decide) + &rule("is_not", "FILE_OPEN", "list", &other);
        place.write("rule.s", text);
        place.refuses(&format!("-f filter -r rule.s -h list=f{cookie}"), &format!("open:f{cookie}"), "EROFS");
    }
}

/// What a filter said counts for the system call it said it of: there is nothing left of it at the next one.
#[test]
fn a_cookie_is_of_one_system_call() {
    let place = Place::new();
    place.files("file").write("rule.s", rule("rule", "FILE_OPEN", "list", "r0 = 30"));
    place.write("filter", filter(&[(OPENAT2, LANDLOCK | 7)], ALLOW));
    let steps = "open:file open2:file open:file thread:open:file open2:file";
    place.refuses("-f filter -r rule.s -h list=file", steps, "ok EROFS ok ok EROFS");
}

/// Killing, TRAP and ERRNO win over a cookie, which wins over TRACE and ALLOW, whichever filter is the older; and
/// programs run for a cookie that has won over nothing.
#[test]
fn a_cookie_among_what_filters_say() {
    const HARMLESS: [u32; 12] = [24, 95, 96, 100, 110, 111, 121, 124, 140, 145, 146, 147];
    let place = Place::new();
    let actions = [KILL, KILL_THREAD, TRAP, ERRNO | 28, TRACE, ALLOW];
    let of = |first: &dyn Fn(u32) -> u32, second: &dyn Fn(u32) -> u32| -> Vec<(u32, u32)> {
        let said = |(at, nr): (usize, &u32)| {
            (*nr, if at < 6 { first(actions[at]) } else { second(actions[at - 6]) })
        };
        HARMLESS.iter().enumerate().map(said).collect()
    };
    let (says, cookie) = (|action| action, |_| LANDLOCK | 9);
    let mut older = of(&says, &cookie);
    let mut newer = of(&cookie, &says);
    // An open that one hands to a tracer, and one that the other does.
    older.extend([(OPENAT, LANDLOCK | 9), (OPENAT2, TRACE)]);
    newer.extend([(OPENAT, TRACE), (OPENAT2, LANDLOCK | 9)]);
    place.files("file other").write("rule.s", rule("rule", "FILE_OPEN", "list", "r0 = 30"));
    place.write("older", filter(&older, ALLOW)).write("newer", filter(&newer, ALLOW));
    let steps: String = HARMLESS.iter().map(|nr| format!("fork:call:{nr}:0:0 ")).collect();
    let steps = format!("{steps} open:file open2:file open:other open2:other");
    let one = "SIGSYS SIGSYS SIGSYS ENOSPC ok ok";
    let layers = "-f older -f newer -r rule.s -h list=file";
    place.refuses(layers, &steps, &format!("{one} {one} EROFS EROFS ok ok"));
    // Where no other filter gives a cookie, what one says is what happens.
    let only = format!("{one} ok ok ok ok ok ok").replacen("ENOSPC ok", "ENOSPC ENOSYS", 1);
    place.write("older", filter(&older[..6], ALLOW));
    assert_eq!(place.ask("-f older", &steps), format!("{only} ok ok ok ok"));
}

/// 0 allows, 1 to 34 is that errno, anything else EPERM; the low 32 bits count.
#[test]
fn results() {
    const RESULTS: [(&str, &str); 14] = [
        ("r0 = 0", "ok"),
        ("r0 = 1", "EPERM"),
        ("r0 = 2", "ENOENT"),
        ("r0 = 13", "EACCES"),
        ("r0 = 33", "EDOM"),
        ("r0 = 34", "ERANGE"),
        ("r0 = 35", "EPERM"),
        ("r0 = 65536", "EPERM"),
        ("r0 = 2147483647", "EPERM"),
        ("r0 = -1", "EPERM"),
        ("r0 = -13", "EPERM"),
        ("r0 = 0xfffffff3 ll", "EPERM"),
        ("r0 = 0x100000000 ll", "ok"),
        ("r0 = 0x10000000d ll", "EACCES"),
    ];
    let place = Place::new();
    place.write("all", always(1));
    let (mut rules, mut layers, mut steps) =
        (String::new(), String::from("-f all -r rules.s"), String::new());
    for (number, (result, _)) in RESULTS.iter().enumerate() {
        rules += &rule(&format!("r{number}"), "FILE_OPEN", &format!("m{number}"), result);
        place.files(&format!("f{number}"));
        let _ = write!(layers, " -h m{number}=f{number}");
        let _ = write!(steps, " open:f{number}");
    }
    place.write("rules.s", rules);
    place.refuses(&layers, &steps, &RESULTS.map(|(_, said)| said).join(" "));
}

/// The hook is the event's number; a hook's arguments are what the kernel asks with.
#[test]
fn contexts() {
    let place = Place::new();
    place.files("opened used mapped");
    // 19 more, for errnos that nobody tries again for.
    let field = |load: &str| format!("r0 = *({load})\nr0 += 19");
    let hooks = [("FILE_OPEN", "opened"), ("FILE_PERMISSION", "used"), ("MMAP_FILE", "mapped")];
    place.write("all", always(1));
    let asked = |load: &str| {
        let rules = hooks.map(|(event, of)| {
            let known = event == "FILE_OPEN" && load.contains("u64");
            rule(of, event, of, &if known { "r0 = 0".to_owned() } else { field(load) })
        });
        place.write("rules.s", rules.concat());
        let layers = "-f all -r rules.s -h opened=opened -h used=used -h mapped=mapped";
        place.ask(layers, "open:opened read:used write:used append:used map:mapped share:mapped")
    };
    // 6, 7 and 8.
    assert_eq!(asked("u32 *)(r6 + 0"), "ENOTTY ETXTBSY ETXTBSY ETXTBSY EFBIG EFBIG");
    // Reading 4, writing 2; PROT_READ 1, as it was asked for.
    assert_eq!(asked("u64 *)(r6 + 16"), "ok ENFILE EISDIR EISDIR ENOTDIR ENOTDIR");
    place.write("rules.s", rule("prot", "MMAP_FILE", "mapped", "r0 = *(u64 *)(r6 + 24)\nr0 += 19"));
    let layers = "-f all -r rules.s -h mapped=mapped";
    place.refuses(layers, "map:mapped share:mapped open:mapped", "ENOTDIR ENOTDIR ok");
    place.write("rules.s", rule("flags", "MMAP_FILE", "mapped", "r0 = *(u64 *)(r6 + 32)\nr0 += 19"));
    place.refuses(layers, "map:mapped share:mapped open:mapped", "EISDIR ENOTDIR ok");
}

/// Threads, processes and programs that a confined one starts are confined as it is, at every hook.
#[test]
fn inheritance() {
    let place = Place::new();
    let hooks = [("FILE_OPEN", "opened"), ("FILE_PERMISSION", "used"), ("MMAP_FILE", "mapped")];
    let rules = hooks.map(|(event, of)| rule(of, event, of, "r0 = 30"));
    place.files("opened used mapped").write("all", always(1)).write("rules.s", rules.concat());
    let ways = ["", "thread:", "fork:", "exec:", "fork:fork:", "fork:exec:thread:fork:", "thread:exec:"];
    let each = |way| format!("{way}open:opened {way}read:used {way}map:mapped {way}map:used");
    let layers = "-f all -r rules.s -h opened=opened -h used=used -h mapped=mapped";
    place.refuses(layers, &ways.map(each).join(" "), &["EROFS EROFS EROFS ok"; 7].join(" "));
}

/// What a thread of the kernel's does for a caller is in no system call: no filter has spoken, so what would be asked is
/// refused. The supervisor has no such threads: io_uring is closed.
#[test]
fn outside_of_system_calls() {
    let place = Place::new();
    for name in ["uring.py", "prelude.py"] {
        let text = if name == "uring.py" {
            include_str!("../bypasses/uring.py")
        } else {
            include_str!("../bypasses/prelude.py")
        };
        place.write(name, text);
    }
    place.files("file other").write("all", always(1));
    place.write("rule.s", rule("rule", "FILE_OPEN", "list", "r0 = 30"));
    let steps = "uring:caller:file uring:caller:other uring:worker:other uring:poller:other open:other";
    let expected = match target().as_str() {
        "kernel" => "EROFS ok EPERM EPERM ok",
        _ => "EPERM EPERM EPERM EPERM ok",
    };
    place.refuses("-f all -r rule.s -h list=file", steps, expected);
    // No older filter, nothing to refuse.
    if target() == "kernel" {
        assert_eq!(place.ask("-r rule.s -h list=file", steps), "ok ok ok ok ok");
    }
}
