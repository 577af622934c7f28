// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the service may not, as systemd says and as the kernel does.

use std::path::Path;
use std::process::Command;

use super::{INSTALLED, SERVICE, SOCKET, UNITS, install, makes, pid, property, said, systemctl};

/// Ten times the exposure that systemd-analyze sees, at most.
const EXPOSURE: &str = "--threshold=40";

#[test]
#[ignore = "needs systemd: cargo xtask guest-test"]
fn systemd_finds_nothing_wrong_with_the_units() {
    install();
    let analyze = |words: &[&str]| said(Command::new("systemd-analyze").arg("--no-pager").args(words));
    for (unit, _) in UNITS {
        assert_eq!(analyze(&["verify", &format!("{INSTALLED}/{unit}")]), (true, String::new()), "{unit}");
    }
    let (is_low, table) = analyze(&["security", "--offline=true", EXPOSURE, SERVICE]);
    println!("{}", table.lines().last().unwrap());
    assert!(is_low, "{table}");
}

/// Of the daemon that serves.
#[test]
#[ignore = "needs systemd: cargo xtask guest-test"]
fn the_daemon_that_runs_has_what_the_unit_leaves_it() {
    install();
    systemctl(&["start", SOCKET]);
    assert!(!makes("no_new") && makes("harmless"));
    let pid = pid().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(':').trim().to_owned()
    };
    // CAP_PERFMON and CAP_BPF.
    let kept = format!("{:016x}", (1u64 << 38) | (1 << 39));
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(field(set), kept, "{set}");
    }
    for (name, value) in [("NoNewPrivs", "1"), ("Seccomp", "2"), ("Umask", "0077")] {
        assert_eq!(field(name), value, "{name}");
    }
    // Two are the daemon's own.
    assert!(field("Seccomp_filters").parse::<u32>().unwrap() > 2, "{status}");
    // What it pins is for the whole machine.
    let mounts = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap();
    assert_eq!(mounts(pid), mounts(1));
    let group = format!("/sys/fs/cgroup{}", property(SERVICE, "ControlGroup"));
    let limit = |name: &str| std::fs::read_to_string(Path::new(&group).join(name)).unwrap();
    assert_eq!((limit("memory.max").trim(), limit("pids.max").trim()), ("1073741824", "160"));
}

/// Each is the work of one directive.
const FORBIDDEN: &str = "\
    try() { name=$1; shift; \"$@\" > /dev/null 2>&1 && echo $name || echo \"no $name\"; }\n\
    cd /run\n\
    touch probed\n\
    try CapabilityBoundingSet chown 1000 probed\n\
    try RestrictSUIDSGID chmod u+s probed\n\
    try RestrictNamespaces unshare -n true\n\
    try DevicePolicy dd if=/dev/cpu_dma_latency count=0\n\
    try RestrictAddressFamilies ip link\n\
    try LockPersonality linux32 true\n\
    try SystemCallFilter hostname guest\n\
    rm probed\n";

#[test]
#[ignore = "needs systemd: cargo xtask guest-test"]
fn what_the_unit_forbids_is_forbidden() {
    install();
    std::fs::write("/run/forbidden", FORBIDDEN).unwrap();
    let outside = said(Command::new("sh").arg("/run/forbidden")).1;
    let names: Vec<&str> = outside.lines().collect();
    assert!(names.len() == 7 && !outside.contains("no "), "{outside}");
    let unit =
        UNITS[0].1.replace("ExecStart=/usr/bin/landlockd", "ExecStart=sh -c 'sh /run/forbidden > /run/seen'");
    let unit = unit
        .replace("Requires=", "#")
        .replace("Sockets=", "#")
        .replace("[Service]", "[Service]\nType=oneshot");
    std::fs::write(Path::new(INSTALLED).join("forbidden.service"), unit).unwrap();
    systemctl(&["daemon-reload"]);
    systemctl(&["start", "forbidden.service"]);
    let inside = std::fs::read_to_string("/run/seen").unwrap();
    let denied: Vec<String> = names.iter().map(|name| format!("no {name}")).collect();
    assert_eq!(inside.lines().collect::<Vec<_>>(), denied);
}
