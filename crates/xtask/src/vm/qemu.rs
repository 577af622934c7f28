// SPDX-License-Identifier: MIT OR Apache-2.0
//! One run of the emulator: its command line, its time limit, and what came of it.
//!
//! The guest's standard output and error are ours, byte for byte and apart. The kernel's console goes to
//! a file, whose end is shown when there is no verdict. The emulator dies with this process.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::Options;
use super::cache::Parts;

const DISK_MIB: u64 = 512;
/// Lines of the guest kernel's log that a failure shows.
const CONSOLE_TAIL: usize = 60;

/// A guest ready to boot.
pub struct Machine {
    command: Command,
    control: PathBuf,
    console: PathBuf,
}

impl Machine {
    /// Lays out the machine; its files live in `scratch`.
    pub fn new(parts: &Parts, initramfs: &[u8], options: &Options, scratch: &Path) -> Result<Machine> {
        let file = |name: &str| scratch.join(name);
        std::fs::write(file("initramfs"), initramfs)?;
        std::fs::write(file("control"), "")?;
        let mut command = parts.emulator.command();
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-cpu", "max"]);
        command.args(["-device", "virtio-serial-pci"]);
        command.arg("-kernel").arg(&parts.kernel.image).arg("-initrd").arg(file("initramfs"));
        command.args(["-append", &kernel_arguments(options)]);
        command.args(["-m", &options.memory.to_string(), "-smp", &options.smp.to_string()]);
        command.args(acceleration(options));
        add_port(&mut command, "out", Path::new("/proc/self/fd/1"));
        add_port(&mut command, "err", Path::new("/proc/self/fd/2"));
        add_port(&mut command, "control", &file("control"));
        let console = if options.console { "/proc/self/fd/2".into() } else { file("console") };
        command.args(["-chardev", &chardev("console", &console), "-serial", "chardev:console"]);
        if options.disk {
            make_disk(&file("disk"))?;
            let drive = format!("file={},format=raw,if=virtio,cache=unsafe", file("disk").display());
            command.args(["-drive", &drive]);
        }
        Ok(Machine { command, control: file("control"), console: file("console") })
    }

    /// Boots, waits, and gives the status of the guest's command.
    pub fn run(mut self, limit: Duration) -> Result<u8> {
        let piped = self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut emulator = piped.spawn().context("cannot run the emulator")?;
        let out = forward(emulator.stdout.take().expect("piped"), io::stdout());
        let err = forward(emulator.stderr.take().expect("piped"), io::stderr());
        let ended = wait(&mut emulator, limit);
        for stream in [out, err] {
            stream.join().map_err(|_| anyhow!("a thread forwarding output died"))?.context("output")?;
        }
        match verdict(&self.control)? {
            Verdict::Status(status) => ended.map(|()| status),
            Verdict::Refused(reason) => bail!("the guest is not what was asked for: {reason}"),
            Verdict::None => {
                let why = ended.err().unwrap_or_else(|| anyhow!("the guest ended before the command did"));
                bail!("{why:#}{}", self.end_of_console())
            }
        }
    }

    fn end_of_console(&self) -> String {
        let console = std::fs::read(&self.console).unwrap_or_default();
        let console = String::from_utf8_lossy(&console);
        let lines: Vec<&str> = console.lines().collect();
        match &lines[lines.len().saturating_sub(CONSOLE_TAIL)..] {
            [] => String::new(),
            tail => format!("; the end of its kernel's log:\n{}", tail.join("\n")),
        }
    }
}

/// A panic ends the guest, and so does an oops: what runs after one proves nothing. The kernel's check of
/// its timer is left out: on a busy host the emulated one can look broken.
fn kernel_arguments(options: &Options) -> String {
    let mut arguments = "console=ttyS0 panic=-1 oops=panic no_timer_check rdinit=/init".to_owned();
    if !options.console {
        arguments += " quiet";
    }
    for more in &options.append {
        arguments = format!("{arguments} {more}");
    }
    arguments
}

fn acceleration(options: &Options) -> Vec<String> {
    let words: &[&str] = match options.icount {
        true => &["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off,align=off"],
        false => &["-accel", "tcg,thread=multi"],
    };
    words.iter().map(|&word| word.to_owned()).collect()
}

fn add_port(command: &mut Command, name: &str, file: &Path) {
    command.args(["-chardev", &chardev(name, file)]);
    command.args(["-device", &format!("virtserialport,chardev={name},name={name}")]);
}

fn chardev(name: &str, file: &Path) -> String {
    format!("file,id={name},path={}", file.display())
}

fn make_disk(path: &Path) -> Result<()> {
    std::fs::File::create(path)?.set_len(DISK_MIB << 20)?;
    let made = Command::new("mkfs.ext4").arg("-q").arg(path).status();
    ensure!(made.context("cannot run mkfs.ext4: apt-get install e2fsprogs")?.success(), "mkfs.ext4 failed");
    Ok(())
}

/// Hands on what the guest writes as it comes.
fn forward<R, W>(mut from: R, mut to: W) -> std::thread::JoinHandle<io::Result<()>>
where
    R: Read + Send + 'static,
    W: Write + Send + 'static,
{
    std::thread::spawn(move || {
        let mut buffer = [0; 64 << 10];
        loop {
            match from.read(&mut buffer)? {
                0 => return Ok(()),
                count => to.write_all(&buffer[..count]).and_then(|()| to.flush())?,
            }
        }
    })
}

/// Waits for the emulator to end by itself; ends it when the limit is reached.
fn wait(emulator: &mut Child, limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    let pid = Pid::from_child(emulator);
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left)?;
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => {
                emulator.kill()?;
                emulator.wait()?;
                bail!("the guest did not end within {} s (--timeout)", limit.as_secs());
            }
            Ok(_) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let status = emulator.wait()?;
    ensure!(
        status.success(),
        "the emulator ended with {status}: if it is missing, apt-get install qemu-system-x86"
    );
    Ok(())
}

/// What the guest said on its control port.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The command ended with this status.
    Status(u8),
    /// The guest would not run the command.
    Refused(String),
    /// Nothing was said.
    None,
}

fn verdict(control: &Path) -> Result<Verdict> {
    let said = std::fs::read_to_string(control)?;
    let Some(line) = said.lines().next() else { return Ok(Verdict::None) };
    match line.split_once(' ') {
        Some(("status", status)) => Ok(Verdict::Status(status.parse()?)),
        Some(("refused", reason)) => Ok(Verdict::Refused(reason.to_owned())),
        _ => bail!("the guest said {line:?}, which means nothing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_guests_own_words_are_a_verdict() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let said = |text: &str| {
            std::fs::write(file.path(), text).unwrap();
            verdict(file.path())
        };
        assert_eq!(said("status 3\n").unwrap(), Verdict::Status(3));
        assert_eq!(
            said("refused lsm=bpf: the list is yama\n").unwrap(),
            Verdict::Refused("lsm=bpf: the list is yama".into())
        );
        assert_eq!(said("refused first\nstatus 0\n").unwrap(), Verdict::Refused("first".into()));
        assert_eq!(said("").unwrap(), Verdict::None);
        for nonsense in ["status\n", "status 256\n", "status -1\n", "ok\n"] {
            assert!(said(nonsense).is_err(), "{nonsense}");
        }
    }
}
