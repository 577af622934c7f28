// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nothing makes the verifier panic, and generated rules are accepted.

use proptest::prelude::*;

use crate::testing::{fuzz, rules, streams};
use crate::verify::{Loader, verify};

const ADMIN: Loader = Loader { cap_sys_admin: true };

proptest! {
    #[test]
    fn generated_rules_are_accepted(rule in rules::rule()) {
        prop_assert!(!rule.insns().is_empty());
    }

    #[test]
    fn bytes_do_not_panic(bytes: Vec<u8>) {
        fuzz::verifier(&bytes);
    }

    #[test]
    fn noise_does_not_panic(object in streams::noise()) {
        let _ = verify(object, &ADMIN).map_err(|problems| problems.to_string());
    }

    #[test]
    fn grown_rules_are_accepted(object in streams::grown()) {
        prop_assert!(verify(object, &ADMIN).is_ok());
    }

    #[test]
    fn mutated_rules_do_not_panic(object in streams::mutated()) {
        let _ = verify(object, &ADMIN).map_err(|problems| problems.to_string());
    }
}
