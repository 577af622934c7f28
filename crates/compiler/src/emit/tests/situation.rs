// SPDX-License-Identifier: MIT OR Apache-2.0
//! A hook that is called, with arguments and objects as the hook table says them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;

use super::super::pidfd::FILE_SYSTEM;
use super::super::{Attachment, Layout, Member};
use super::layouts;
use super::machine::{self, Kernel, Memory, Outcome};
use crate::abi::{Event, HandleKind};
use crate::classic::SyscallData;
use crate::evaluate::{Current, HookCall, Input};
use crate::hooks::{self, Arg2, Asked, Hook, Instance};
use crate::insn::Insn;
use crate::op::Size;
use crate::testing::rules;

const ARGUMENTS: u64 = 0xffff_c900_0004_0000;
const TASK: u64 = 0xffff_8880_0001_0000;
const REGISTERS: u64 = 0xffff_c900_0005_0000;
const PF_KTHREAD: u64 = 0x0020_0000;
const TS_COMPAT: u64 = 2;
const S_PRIVATE: u64 = 0x200;
const RENAME_EXCHANGE: u64 = 2;
const READ_IMPLIES_EXEC: u64 = 0x0040_0000;
const PROT_READ: u32 = 1;
const PROT_EXEC: u32 = 4;
const REQPROT: u64 = 0x7777_0000_0001;

/// Which object is the inode of a link that is followed.
const FOLLOWED: usize = 1;

/// A call of a hook.
#[derive(Clone, Debug)]
pub struct Situation {
    pub hook: &'static Hook,
    pub ring_is_full: bool,
    layout: usize,
    /// Mode and so on of the running thread; each object takes its mode from `objects`.
    input: Input,
    /// Objects by expression, in the order of the instances.
    objects: Vec<Object>,
    /// The number arguments: masks, protections, flags, commands. Upper halves are junk.
    number: u64,
    flags: u64,
    /// Files are handles of processes.
    pidfd: bool,
    in_kernel: bool,
    personality: u64,
    /// In the order of `struct pt_regs`, the arguments before the place of the call.
    registers: [u64; 10],
}

const REGISTER: [Member; 10] = [
    Member::RegisterBx,
    Member::RegisterCx,
    Member::RegisterDx,
    Member::RegisterSi,
    Member::RegisterDi,
    Member::RegisterBp,
    Member::Register8,
    Member::Register9,
    Member::Register10,
    Member::RegisterIp,
];

/// What is behind an expression.
#[derive(Clone, Copy, Debug)]
enum Object {
    /// The argument itself is NULL.
    NoArgument,
    /// What it leads to is NULL.
    Null,
    /// It is there; a dentry may be negative.
    There { mode: Option<u16>, private: bool },
}

pub fn situation() -> impl Strategy<Value = Situation> {
    let all: Vec<&str> = hooks::TABLE.iter().map(|hook| hook.name).collect();
    at(&all)
}

/// A call of one of these hooks.
pub fn at(names: &[&str]) -> impl Strategy<Value = Situation> + use<> {
    let calls: Vec<(usize, &'static Hook)> = (0..layouts().len())
        .flat_map(|layout| hooks::TABLE.iter().map(move |hook| (layout, hook)))
        .filter(|(layout, hook)| {
            names.contains(&hook.name) && layouts()[*layout].hooks.contains_key(hook.name)
        })
        .collect();
    let mode = prop::option::weighted(0.8, any::<u16>());
    let there = (mode, prop::bool::weighted(0.1));
    let object = prop_oneof![
        1 => Just(Object::NoArgument),
        1 => Just(Object::Null),
        12 => there.prop_map(|(mode, private)| Object::There { mode, private }),
    ];
    let number = prop_oneof![any::<u64>(), 0..0x40_u64];
    let objects = prop::collection::vec(object, 4);
    let personality = prop_oneof![Just(0), Just(READ_IMPLIES_EXEC), any::<u32>().prop_map(u64::from)];
    let registers = prop::array::uniform10(prop_oneof![0..4_u64, any::<u64>()]);
    let of_one_in_ten = || prop::bool::weighted(0.1);
    let worlds = (any::<bool>(), of_one_in_ten(), of_one_in_ten(), personality, registers);
    (select(calls), rules::input(Event::Fs), objects, number, any::<u64>(), worlds).prop_map(
        |(
            (layout, hook),
            input,
            objects,
            number,
            flags,
            (ring_is_full, pidfd, in_kernel, personality, registers),
        )| Situation {
            hook,
            ring_is_full,
            layout,
            input,
            objects,
            number,
            flags,
            pidfd,
            in_kernel,
            personality,
            registers,
        },
    )
}

impl Situation {
    pub fn layout(&self) -> &'static Layout {
        &layouts()[self.layout]
    }

    pub fn current(&self) -> &Current {
        &self.input.current
    }

    /// Architecture and number of the system call; both 0 outside of one.
    pub fn syscall(&self) -> (u32, u32) {
        match (self.in_kernel, self.flags & TS_COMPAT != 0) {
            (true, _) => (0, 0),
            (false, true) => (0x4000_0003, self.input.syscall_nr),
            (false, false) => (0xc000_003e, self.input.syscall_nr),
        }
    }

    /// What filters are asked about.
    pub fn data(&self) -> Option<SyscallData> {
        let [bx, cx, dx, si, di, bp, r8, r9, r10, instruction_pointer] = self.registers;
        let args = match self.flags & TS_COMPAT != 0 {
            true => [bx, cx, dx, si, di, bp].map(|register| register & 0xffff_ffff),
            false => [di, si, dx, r10, r8, r9],
        };
        let (arch, nr) = self.syscall();
        (!self.in_kernel).then_some(SyscallData { nr, arch, instruction_pointer, args })
    }

    /// The call, as rules tied to the hook see it.
    pub fn call(&self) -> Option<HookCall> {
        let low = |number: u64| u32::try_from(number & 0xffff_ffff).unwrap();
        let high = self.number & !0xffff_ffff;
        Some(match self.hook.name {
            "file_open" if self.makes_a_pidfd() => return None,
            "file_open" => HookCall::FileOpen,
            "file_permission" => HookCall::FilePermission { mask: low(self.number) },
            "mmap_file" => HookCall::MmapFile {
                anonymous: !matches!(self.objects[0], Object::There { .. }),
                reqprot: self.reqprot(),
                prot: high | u64::from(self.protection()),
                flags: self.flags,
            },
            _ => return None,
        })
    }

    /// The protection that was asked for.
    fn reqprot(&self) -> u64 {
        match self.layout().attachment {
            Attachment::Lsm => REQPROT,
            Attachment::ModifyReturn => self.number,
        }
    }

    /// What the rules are to be asked, by number of the instance.
    pub fn questions(&self) -> Vec<(usize, Input)> {
        let before = self.layout().attachment == Attachment::ModifyReturn;
        let exchange = self.hook.name == "inode_rename" && self.flags & RENAME_EXCHANGE != 0;
        let ways: &[bool] = match before {
            _ if self.makes_a_pidfd() => &[],
            true if self.is_the_kernels_own() => &[],
            true if exchange => &[true, false],
            _ => &[false],
        };
        let instances =
            ways.iter().flat_map(|way| self.hook.instances.iter().enumerate().map(move |i| (i, *way)));
        instances
            .filter_map(|((number, i), exchanged)| Some((number, self.question(i, exchanged)?)))
            .collect()
    }

    /// Nobody is asked.
    fn makes_a_pidfd(&self) -> bool {
        self.hook.name == "file_open" && self.pidfd && matches!(self.objects[0], Object::There { .. })
    }

    /// Whether the inode operated on is private: of a new name its folder's.
    fn is_the_kernels_own(&self) -> bool {
        let of = |name: &str| matches!(self.object_of(name), Object::There { mode: Some(_), private: true });
        match self.hook.name {
            "inode_create" | "inode_symlink" | "inode_mkdir" | "inode_mknod" => of("dir"),
            "inode_rename" => of("old_dentry") || of("new_dentry"),
            "inode_link" => of("old_dentry"),
            "inode_follow_link" => of("inode"),
            "inode_file_setattr" | "inode_file_getattr" => false,
            name if name.starts_with("inode_") => ["inode", "path", "dentry"].into_iter().any(of),
            _ => false,
        }
    }

    fn question(&self, instance: &Instance, exchanged: bool) -> Option<Input> {
        let low = |number: u64| u32::try_from(number & 0xffff_ffff).unwrap();
        let object = match exchanged {
            true => self.object_of(&exchange(instance.object)),
            false => self.object(instance),
        };
        let mode = match object {
            Object::There { mode, .. } => mode.map(u32::from),
            Object::NoArgument | Object::Null => return None,
        };
        if instance.asked == Asked::IfPositive && mode.is_none() {
            return None;
        }
        let arg2 = match instance.arg2 {
            Arg2::Actions(actions) => actions.bits(),
            Arg2::Mask => hooks::may(low(self.number)).bits(),
            Arg2::Protection => hooks::mem(self.protection(), self.is_private()).bits(),
            Arg2::Command(_) => low(self.number).into(),
        };
        let (arch, syscall_nr) = self.syscall();
        Some(Input { event: instance.event, arg2, mode, arch, syscall_nr, ..self.input.clone() })
    }

    fn is_private(&self) -> bool {
        match self.hook.name {
            "file_mprotect" => self.flags & 8 == 0,
            _ => self.flags & 0xf == 2,
        }
    }

    fn protection(&self) -> u32 {
        let asked = u32::try_from(self.number & 0xffff_ffff).unwrap();
        let adjusted = self.layout().attachment == Attachment::Lsm || self.hook.name != "mmap_file";
        match self.personality & READ_IMPLIES_EXEC != 0 && asked & PROT_READ != 0 {
            true if !adjusted => asked | PROT_EXEC,
            _ => asked,
        }
    }

    fn object(&self, instance: &Instance) -> Object {
        match self.object_of(instance.object) {
            Object::Null if !instance.object.contains("->") => Object::NoArgument,
            object => object,
        }
    }

    /// One object for each expression, whichever instance asks.
    fn object_of(&self, expression: &str) -> Object {
        let named = |instance: &&Instance| instance.object == expression;
        let Some(first) = self.hook.instances.iter().position(|instance| named(&instance)) else {
            let followed = (self.hook.name, expression) == ("inode_follow_link", "inode");
            return if followed { self.objects[FOLLOWED] } else { Object::NoArgument };
        };
        match (self.objects[first], self.hook.instances[first].handle) {
            // Only dentries, and paths by them, can be without an inode.
            (Object::There { mode: None, private }, HandleKind::Inode) => {
                Object::There { mode: Some(0), private }
            }
            (object, _) => object,
        }
    }

    pub fn run(&self, insns: &[Insn]) -> Result<Outcome, String> {
        let mut memory = Memory::default();
        let mut arguments: BTreeMap<&str, u64> = BTreeMap::new();
        for name in ["mask", "prot", "cmd"] {
            arguments.insert(name, self.number);
        }
        arguments.insert("flags", self.flags);
        arguments.insert("reqprot", REQPROT);
        for (instance, base) in
            self.hook.instances.iter().zip((1..).map(|n| 0xffff_8881_0000_0000 + n * 0x10_0000))
        {
            let (argument, step) = instance.object.split_once("->").unwrap_or((instance.object, ""));
            if !arguments.contains_key(argument) {
                let value = self.build(&mut memory, instance, step, base);
                arguments.insert(argument, value);
            }
        }
        if self.hook.name == "inode_follow_link" {
            let inode = match self.objects[FOLLOWED] {
                object @ Object::There { mode: Some(_), .. } => {
                    self.build_object(&mut memory, HandleKind::Inode, object, 0xffff_8882_0000_0000)
                }
                _ => 0,
            };
            arguments.insert("inode", inode);
        }
        for (position, name) in self.layout().hooks[self.hook.name].iter().enumerate() {
            let value =
                arguments.get(name.trim_end_matches("__nullable")).copied().unwrap_or(0x5151_5151_5151_5151);
            memory.put(ARGUMENTS + 8 * position as u64, Size::Double, value);
        }
        self.build_task(&mut memory);
        machine::run(
            insns,
            &Kernel {
                memory: &memory,
                arguments: ARGUMENTS,
                task: TASK,
                registers: REGISTERS,
                current: &self.input.current,
                ring_is_full: self.ring_is_full,
            },
        )
    }

    fn put(&self, memory: &mut Memory, base: u64, member: Member, value: u64) {
        let offset = u64::try_from(self.layout().members[&member]).unwrap();
        memory.put(base + offset, member.size(), value);
    }

    fn build_task(&self, memory: &mut Memory) {
        self.put(memory, TASK, Member::TaskFlags, if self.in_kernel { PF_KTHREAD } else { 0x0040_0000 });
        self.put(memory, TASK, Member::TaskPersonality, self.personality);
        self.put(memory, TASK, Member::TaskStatus, self.flags & TS_COMPAT);
        self.put(memory, REGISTERS, Member::SyscallNumber, self.input.syscall_nr.into());
        for (member, value) in REGISTER.into_iter().zip(self.registers) {
            self.put(memory, REGISTERS, member, value);
        }
    }

    /// The value of the argument, with all it leads to.
    fn build(&self, memory: &mut Memory, instance: &Instance, step: &str, base: u64) -> u64 {
        let object = self.object(instance);
        if matches!(object, Object::NoArgument) {
            return 0;
        }
        let address = match object {
            Object::There { .. } => self.build_object(memory, instance.handle, object, base),
            _ => 0,
        };
        let Some(member) = Member::ALL.iter().find(|member| member.path() == step) else { return address };
        let outer = base + 0x8_0000;
        self.put(memory, outer, *member, address);
        match member {
            Member::VmaFile => self.put(memory, outer, Member::VmaFlags, self.flags),
            Member::UringFile => self.put(memory, outer, Member::UringOperation, self.number),
            _ => {}
        }
        outer
    }

    fn build_object(&self, memory: &mut Memory, handle: HandleKind, object: Object, base: u64) -> u64 {
        let inode = match object {
            Object::There { mode: Some(mode), private } => {
                self.put(memory, base, Member::InodeMode, mode.into());
                self.put(memory, base, Member::InodeFlags, if private { S_PRIVATE } else { !S_PRIVATE });
                base
            }
            _ => 0,
        };
        let (dentry, outer) = (base + 0x1_0000, base + 0x2_0000);
        match handle {
            HandleKind::Inode => inode,
            HandleKind::File => {
                let (pidfs, super_block) = (FILE_SYSTEM.unsigned_abs().into(), base + 0x3_0000);
                self.put(memory, outer, Member::FileInode, inode);
                self.put(memory, outer, Member::FileDentry, dentry);
                self.put(memory, dentry, Member::DentrySuper, super_block);
                self.put(
                    memory,
                    super_block,
                    Member::SuperBlockMagic,
                    if self.pidfd { pidfs } else { 0xef53 },
                );
                outer
            }
            HandleKind::Dentry => {
                self.put(memory, dentry, Member::DentryInode, inode);
                dentry
            }
            HandleKind::Path => {
                self.put(memory, dentry, Member::DentryInode, inode);
                self.put(memory, outer, Member::PathDentry, dentry);
                outer
            }
        }
    }
}

/// The expression for the other name of a rename.
fn exchange(expression: &str) -> String {
    match expression.split_at(3) {
        ("old", rest) => format!("new{rest}"),
        (_, rest) => format!("old{rest}"),
    }
}
