//! A genesis is read or refused, and a refusal says where and what to do.

mod common;

use common::genesis;
use hedgerow_base::NodeId;
use hedgerow_chain::{Genesis, OptionValue, Seat};

/// The refusal of the test network's genesis after one edit of its JSON text.
fn refusal(from: &str, to: &str) -> String {
    let text = genesis().to_json();
    assert!(text.contains(from), "{text}");
    Genesis::from_json(&text.replacen(from, to, 1))
        .unwrap_err()
        .to_string()
}

#[test]
fn a_genesis_is_the_same_after_writing_and_reading() {
    let genesis = genesis();
    let again = Genesis::from_json(&genesis.to_json()).unwrap();
    assert_eq!(again, genesis);
    assert_eq!(again.digest(), genesis.digest());
    assert_eq!(genesis.ordering.options["window"], OptionValue::Number(256));
    assert_eq!(
        genesis.ordering.options["batch"],
        OptionValue::Text("burst".into())
    );
    let mut other = genesis.clone();
    other
        .ordering
        .options
        .insert("window".into(), OptionValue::Number(257));
    assert_ne!(other.digest(), genesis.digest());
    assert_ne!(
        other.trust_root().unwrap().genesis,
        genesis.trust_root().unwrap().genesis
    );
}

#[test]
fn members_are_found_by_identifier_and_by_key() {
    let genesis = genesis();
    assert_eq!(genesis.member(NodeId(3)).unwrap().0, Seat::Validator);
    let (seat, gateway) = genesis.member(NodeId(4)).unwrap();
    assert_eq!((seat, gateway.name.as_str()), (Seat::Gateway, "g0"));
    assert!(genesis.member(NodeId(5)).is_none());
    assert_eq!(genesis.find(&gateway.key), Some((NodeId(4), Seat::Gateway)));
    assert_eq!(genesis.find(&[0; 32]), None);
    assert_eq!(
        (genesis.roster().unwrap().n(), genesis.roster().unwrap().f()),
        (4, 1)
    );
}

#[test]
fn refusals_name_the_key_and_the_mend() {
    let cases = [
        (
            "\"network\": 4711",
            "\"network\": 0",
            "genesis: `network`: 0 is not a network number; use 1 to",
        ),
        ("\"network\": 4711,", "", "missing field `network`"),
        ("\"network\"", "\"netwrok\"", "unknown field `netwrok`"),
        ("\"name\": \"test\"", "\"name\": \"\"", "genesis: `name`: "),
        (
            "\"name\": \"v1\"",
            "\"name\": \"V1\"",
            "genesis: `validators[1].name`: 'V' is not allowed in a name",
        ),
        (
            "\"name\": \"v1\"",
            "\"name\": \"v0\"",
            "genesis: `validators[1].name`: validators[0] has the same one",
        ),
        (
            "\"name\": \"g0\"",
            "\"name\": \"v3\"",
            "genesis: `gateways[0].name`: validators[3] has the same one",
        ),
        (
            "\"consensus\": \"pbft\"",
            "\"consensus\": \"\"",
            "genesis: `ordering.consensus`: a protocol's name has 1 to 32 characters, this one has 0 bytes; name",
        ),
        (
            "\"checkpoint_interval\": 128",
            "\"checkpoint_interval\": 0",
            "genesis: `ordering.checkpoint_interval`: 0 is not a number of slots; use 1 to",
        ),
        (
            "\"window\": 256",
            "\"window\": [1]",
            "an option of `ordering`",
        ),
    ];
    for (from, to, expected) in cases {
        let error = refusal(from, to);
        assert!(
            error.contains(expected),
            "{error:?} does not say {expected:?}"
        );
    }
    let mut empty = genesis();
    empty.validators.clear();
    assert!(
        empty
            .validate()
            .unwrap_err()
            .to_string()
            .contains("`validators`")
    );
    let mut key = genesis();
    key.validators[2].key = key.gateways[0].key;
    assert!(
        key.validate()
            .unwrap_err()
            .to_string()
            .contains("gateways[0].key")
    );
    assert!(key.trust_root().is_err());
}
