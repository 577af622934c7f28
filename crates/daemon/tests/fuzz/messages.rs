// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages that clients might send: right ones, right ones that were damaged, and noise.

use std::ops::Range;

use landlock_compiler::abi::handles::ArrayKind;
use landlock_compiler::abi::{Event, MAX_INSNS, Subtype};
use landlock_compiler::classic::Filter;
use landlock_compiler::domain::{Domain, Layer};
use landlock_compiler::insn::Insn;
use landlock_compiler::map::{Definition, Handle, Map};
use landlock_compiler::object::RuleObject;
use landlock_compiler::rule::Rule;
use landlock_compiler::verify::{Loader, verify_newest};
use landlock_daemon::protocol::{Parent, Request};
use landlock_daemon::rules::{self, MAX_BYTES, MAX_MAPS, MAX_RULES, MAX_TOTAL_INSNS};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Kinds of descriptors there are, the client's own end of the connection included, and the one that is a path.
pub const KINDS: usize = 5;
pub const PATH: usize = 0;

/// One message.
#[derive(Clone, Debug)]
pub struct Frame {
    pub bytes: Vec<u8>,
    /// Which descriptors come with it.
    pub descriptors: Vec<usize>,
    /// Nothing is wrong with it.
    pub is_right: bool,
}

/// All that a client says, and whether it waits for what is answered.
#[derive(Clone, Debug)]
pub struct Client {
    pub frames: Vec<Frame>,
    pub is_patient: bool,
}

/// Those who are there at the same time.
pub fn clients() -> impl Strategy<Value = Vec<Client>> {
    let frames = prop_oneof![
        8 => vec(said(), 1..3),
        1 => vec(said(), 0..1),
        1 => vec(said(), 10..40),
    ];
    let client = (frames, prop::bool::weighted(0.8))
        .prop_map(|(frames, is_patient)| Client { frames: frames.concat(), is_patient });
    vec(client, 1..4)
}

/// A message, whole or in two.
fn said() -> impl Strategy<Value = Vec<Frame>> {
    let cut = prop_oneof![9 => Just(None), 1 => any::<Index>().prop_map(Some)];
    (frame(), cut).prop_map(|(frame, cut)| match cut {
        Some(cut) if !frame.bytes.is_empty() => {
            let (one, other) = frame.bytes.split_at(cut.index(frame.bytes.len()));
            let half =
                |bytes: &[u8], descriptors| Frame { bytes: bytes.to_vec(), descriptors, is_right: false };
            vec![half(one, frame.descriptors), half(other, Vec::new())]
        }
        _ => vec![frame],
    })
}

fn frame() -> impl Strategy<Value = Frame> {
    let wrong =
        prop_oneof![6 => damaged(), 1 => noise(), 1 => huge(), 1 => beyond(), 1 => again(), 3 => change()];
    let wrong = wrong.prop_map(|bytes| (bytes, None));
    let right = request().prop_map(|(bytes, handles)| (bytes, Some(handles)));
    // As many handles as there are to be, or others, or of other things.
    let others = prop_oneof![
        8 => Just(None),
        1 => vec(0..KINDS, 0..5).prop_map(Some),
        1 => vec(Just(PATH), 0..5).prop_map(Some),
    ];
    (prop_oneof![right, wrong], others).prop_map(|((bytes, handles), others)| {
        let paths = vec![PATH; handles.unwrap_or(0)];
        let descriptors = others.unwrap_or_else(|| paths.clone());
        let is_right = handles.is_some() && descriptors == paths;
        Frame { bytes, descriptors, is_right }
    })
}

/// A right request, and how many handles belong to it.
fn request() -> impl Strategy<Value = (Vec<u8>, usize)> {
    let parent = (1u32.., any::<u64>()).prop_map(|(engine, domain)| Parent { engine, domain });
    let layers = prop_oneof![3 => rules().prop_map(|rules| (rules, 0)), 2 => layers()];
    let load = (proptest::option::of(parent), any::<bool>(), layers)
        .prop_map(|(parent, own_log, layers)| (Request::Load { parent, own_log }, layers));
    let short = prop_oneof![Just(Request::Hello), any::<u64>().prop_map(Request::Threads)];
    prop_oneof![3 => load, 1 => short.prop_map(|request| (request, (Vec::new(), 0)))]
        .prop_map(|(request, (layers, handles))| ([request.encode().as_slice(), &layers].concat(), handles))
}

/// Filters, and rules with maps that some of them share.
fn layers() -> impl Strategy<Value = (Vec<u8>, usize)> {
    let maps = vec((any::<bool>(), 0..4usize), 1..=MAX_MAPS).prop_map(|maps| {
        let map = |(is_files, handles): (bool, usize)| {
            let kind = if is_files { ArrayKind::Fs } else { ArrayKind::Cgroup };
            let map = Map::new(Definition { name: "some".to_owned(), kind, max_entries: 3 });
            (0..handles.min(3)).for_each(|number| map.append(Handle::numbered(number as u64)).unwrap());
            map
        };
        maps.into_iter().map(map).collect::<Vec<Map>>()
    });
    let which = prop_oneof![1 => Just(Vec::new()), 3 => vec(prop::option::of(any::<Index>()), 1..5)];
    (maps, which, vec(any::<u16>(), 0..3)).prop_map(|(maps, which, cookies)| {
        let filters = cookies.into_iter().map(|cookie| Layer::Filter(Filter::always(cookie)));
        let rules =
            which.iter().map(|which| compares(which.map(|which| maps[which.index(maps.len())].clone())));
        let layers: Vec<Layer> = filters.chain(rules.map(Layer::Rule)).collect();
        let layers = if layers.is_empty() { vec![Layer::Filter(Filter::always(5))] } else { layers };
        let (bytes, handles) = rules::with_handles(&Domain::layered(layers)).unwrap();
        (bytes, handles.len())
    })
}

/// A rule at a hook, with a map or without one.
fn compares(map: Option<Map>) -> Rule {
    let subtype = Subtype { abi: 2, event: Event::FileOpen as u32, ..Subtype::default() };
    let object = RuleObject::from_insns("hook", vec![mov(0), EXIT], subtype, "GPL");
    let object = RuleObject { maps: map.into_iter().collect(), ..object };
    verify_newest(object, &Loader::default()).unwrap()
}

/// Rules as the protocol has them, each of them right.
fn rules() -> impl Strategy<Value = Vec<u8>> {
    let few = vec(prop_oneof![9 => rule(2..20), 1 => rule(MAX_INSNS..MAX_INSNS + 1)], 1..4);
    prop_oneof![9 => few, 1 => vec(rule(2..20), MAX_RULES - 4..=MAX_RULES)].prop_map(|rules| rules.concat())
}

/// A token for a domain that is not there.
fn again() -> impl Strategy<Value = Vec<u8>> {
    (1u64 << 32..).prop_map(|number| Request::Again(number).encode().to_vec())
}

/// A change of what was granted, if something was.
fn change() -> impl Strategy<Value = Vec<u8>> {
    let change = any::<u64>().prop_map(Request::Change);
    prop_oneof![4 => change, 1 => Just(Request::Seal)].prop_map(|request| request.encode().to_vec())
}

/// One more than there may be: instructions of a rule, rules, instructions of all rules.
fn beyond() -> impl Strategy<Value = Vec<u8>> {
    let longest = || rule(MAX_INSNS..MAX_INSNS + 1);
    let all = MAX_TOTAL_INSNS / MAX_INSNS;
    let rules = prop_oneof![
        vec(rule(MAX_INSNS + 1..MAX_INSNS + 2), 1),
        vec(rule(2..3), MAX_RULES + 1),
        (vec(longest(), all), rule(2..3)).prop_map(|(rules, more)| [rules, vec![more]].concat()),
    ];
    let load = Request::Load { parent: None, own_log: false };
    rules.prop_map(move |rules| [load.encode().as_slice(), &rules.concat()].concat())
}

/// A rule that has so many instructions.
fn rule(insns: Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    let license = select(vec!["", "GPL"]);
    (1..5u32, "[a-z_]{1,20}", license, -1..2i32, insns).prop_map(|(event, name, license, verdict, insns)| {
        let numbers = [1, event, 0, 0, 0, 0].map(u32::to_ne_bytes).concat();
        let lengths = [name.len(), license.len(), insns];
        let lengths = lengths.map(|length| u32::try_from(length).unwrap().to_ne_bytes()).concat();
        let insns: Vec<u8> = [vec![mov(verdict); insns - 1], vec![EXIT]]
            .concat()
            .iter()
            .flat_map(|insn| insn.encode())
            .collect();
        [numbers, lengths, name.into_bytes(), license.as_bytes().to_vec(), insns].concat()
    })
}

const EXIT: Insn = Insn { code: 0x95, dst: 0, src: 0, off: 0, imm: 0 };

/// `r0 = number`
fn mov(number: i32) -> Insn {
    Insn { code: 0xb7, dst: 0, src: 0, off: 0, imm: number }
}

/// A right request, changed here and there.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    (request(), vec(damage(), 1..4)).prop_map(|((bytes, _), damages)| damages.into_iter().fold(bytes, apply))
}

#[derive(Clone, Debug)]
enum Damage {
    /// A word of the request or of a rule's head: numbers that lengths, kinds and counts are compared with.
    Word(Index, u32),
    Byte(Index, u8),
    Cut(Index),
    More(Vec<u8>),
    /// Two messages in one.
    Twice,
    Without(Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let telling = [0, 1, 2, 3, 7, 8, 63, 64, 65, 127, 128, 129, 4096, 4097, 16384, 16385, 1 << 16];
    let telling = telling.into_iter().chain([i32::MAX as u32, 1 << 31, 1 << 29, u32::MAX - 7, u32::MAX]);
    prop_oneof![
        4 => (any::<Index>(), select(telling.collect::<Vec<_>>())).prop_map(|(at, word)| Damage::Word(at, word)),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => vec(any::<u8>(), 1..100).prop_map(Damage::More),
        1 => Just(Damage::Twice),
        1 => (any::<Index>(), 1..40usize).prop_map(|(at, length)| Damage::Without(at, length)),
    ]
}

fn apply(mut bytes: Vec<u8>, damage: Damage) -> Vec<u8> {
    if bytes.is_empty() {
        return bytes;
    }
    let length = bytes.len();
    match damage {
        Damage::Word(at, word) => {
            // Mostly in the heads of request and first rule.
            let at = at.index(length.min(Request::SIZE + 36)) / 4 * 4;
            let end = length.min(at + 4);
            bytes[at..end].copy_from_slice(&word.to_ne_bytes()[..end - at]);
        }
        Damage::Byte(at, byte) => bytes[at.index(length)] = byte,
        Damage::Cut(at) => bytes.truncate(at.index(length)),
        Damage::More(more) => bytes.extend(more),
        Damage::Twice => bytes.extend_from_within(..),
        Damage::Without(at, count) => {
            let at = at.index(length);
            bytes.drain(at..length.min(at + count));
        }
    }
    bytes
}

/// Bytes of no meaning, some behind a right beginning.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let beginning =
        prop_oneof![Just(Vec::new()), request().prop_map(|(bytes, _)| bytes[..Request::SIZE].to_vec())];
    (beginning, vec(any::<u8>(), 0..3000)).prop_map(|(beginning, bytes)| [beginning, bytes].concat())
}

/// As long as a message may be, and longer.
fn huge() -> impl Strategy<Value = Vec<u8>> {
    let most = Request::SIZE + MAX_BYTES;
    let length = prop_oneof![Just(most - 1), Just(most), Just(most + 1), most + 2..most + 50_000];
    (request(), length, any::<u8>()).prop_map(|((mut bytes, _), length, byte)| {
        bytes.resize(length, byte);
        bytes
    })
}
