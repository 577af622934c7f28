// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages and rules as bytes: pure data.

use landlock_compiler::insn::Insn;
use landlock_daemon::protocol::{Answer, Parent, Refusal, Request, Why};
use landlock_daemon::rules::{self, MAX_BYTES, MAX_RULES, MAX_TOTAL_INSNS, Wrong};
use proptest::prelude::*;

use crate::fake::{domain, rule};

fn requests() -> impl Strategy<Value = Request> {
    let parent = (1u32.., any::<u64>()).prop_map(|(engine, domain)| Parent { engine, domain });
    prop_oneof![
        Just(Request::Hello),
        any::<u64>().prop_map(Request::Threads),
        any::<u64>().prop_map(Request::Again),
        any::<u64>().prop_map(Request::Change),
        Just(Request::Seal),
        (proptest::option::of(parent), any::<bool>())
            .prop_map(|(parent, own_log)| Request::Load { parent, own_log }),
    ]
}

fn answers() -> impl Strategy<Value = Answer> {
    let why = prop_oneof![Just(Why::Rules), Just(Why::Limit), Just(Why::Malformed), Just(Why::TooMany)];
    let granted = (any::<u64>(), any::<u64>(), proptest::collection::vec("[a-z_]{1,20}", 0..9));
    prop_oneof![
        any::<u32>().prop_map(|engine| Answer::Hello { engine }),
        any::<u64>().prop_map(Answer::Threads),
        Just(Answer::Changed),
        granted.prop_map(|(token, number, lacking)| Answer::Granted { token, number, lacking }),
        (why, ".{0,200}").prop_map(|(why, text)| Answer::Refused(Refusal { why, text })),
    ]
}

proptest! {
    #[test]
    fn what_is_said_is_understood(request in requests(), answer in answers()) {
        let said = request.encode();
        prop_assert_eq!(Request::decode(&said), Ok((request, [].as_slice())));
        prop_assert_eq!(Answer::decode(&answer.encode()), Some(answer));
    }

    #[test]
    fn a_request_is_said_in_one_way_only(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        if let Ok((request, rest)) = Request::decode(&bytes) {
            prop_assert_eq!([&request.encode(), rest].concat(), bytes.clone());
        }
        Answer::decode(&bytes);
    }

    #[test]
    fn a_request_with_a_wrong_byte_is_another_or_none(request in requests(), at in 0..Request::SIZE, bit in 0..8u8) {
        let mut bytes = request.encode();
        bytes[at] ^= 1 << bit;
        prop_assert_ne!(Request::decode(&bytes).ok(), Some((request, [].as_slice())));
    }

    #[test]
    fn any_bytes_are_rules_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = rules::decode(&bytes);
    }

    #[test]
    fn damaged_rules_are_rules_or_an_error(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = rules::encode(&domain([rule("one"), rule("two")])).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(cut.index(bytes.len()) + 1);
        let _ = rules::decode(&bytes).map(|layers| layers.verified(Vec::new()));
    }
}

#[test]
fn rules_are_the_same_on_the_other_side() {
    let sent = [rule("one"), rule("two")];
    let received = rules::decode(&rules::encode(&domain(sent.clone())).unwrap()).unwrap();
    for (sent, received) in sent.iter().zip(received.rules()) {
        let object = sent.object();
        assert_eq!((&received.name, &received.insns), (&object.name, &object.insns));
        assert_eq!((received.subtype, &received.license), (object.subtype, &object.license));
    }
    assert_eq!((received.rules().count(), received.handles()), (2, 0));
}

#[test]
fn rules_have_limits() {
    let many: Vec<_> = (0..MAX_RULES).map(|_| rule("one")).collect();
    let bytes = rules::encode(&domain(many.clone())).unwrap();
    assert!(bytes.len() <= MAX_BYTES);
    assert_eq!(rules::encode(&domain(many.into_iter().chain([rule("one")]))), Err(Wrong::TooMany));
    let read = |bytes: &[u8]| rules::decode(bytes).map(|layers| layers.rules().count());
    assert_eq!(read(&[]), Err(Wrong::Nothing));
    assert_eq!(read(&bytes[..bytes.len() - 1]), Err(Wrong::Short));
    // A header that announces more instructions than there can be.
    let mut long = bytes[..36].to_vec();
    long[32..36].copy_from_slice(&u32::MAX.to_ne_bytes());
    assert_eq!(read(&long), Err(Wrong::TooLong));
    // As many as there may be, and one more.
    let one = |count: usize| {
        let mut bytes = bytes[..36].to_vec();
        bytes[32..36].copy_from_slice(&u32::try_from(count).unwrap().to_ne_bytes());
        bytes[24..32].fill(0);
        bytes.extend(vec![0; count * Insn::SIZE]);
        read(&bytes)
    };
    assert_eq!((one(MAX_TOTAL_INSNS), one(MAX_TOTAL_INSNS + 1)), (Ok(1), Err(Wrong::TooLong)));
}

#[test]
fn another_version_is_told_apart_from_garbage() {
    let mut newer = Request::Hello.encode();
    newer[3] = 2;
    assert_eq!(Request::decode(&newer).unwrap_err().why, Why::Version);
    assert_eq!(Request::decode(b"GET / HTTP/1.0\r\n\r\n").unwrap_err().why, Why::Malformed);
}

#[test]
fn a_long_answer_is_cut_between_letters() {
    let text = "ü".repeat(Answer::MAX_TEXT);
    let sent = Answer::Refused(Refusal::new(Why::Rules, text)).encode();
    assert!(sent.len() <= Answer::MAX);
    assert!(matches!(Answer::decode(&sent), Some(Answer::Refused(refusal)) if refusal.text.ends_with('ü')));
}
