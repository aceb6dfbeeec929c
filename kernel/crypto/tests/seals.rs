//! Seals convince whom they should, and nobody else.

use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{NodeId, Roster};
use hedgerow_crypto::{
    Checks, Claimed, Domain, Keyring, MacSecret, MemberKeys, Seal, SealError, Sealed, Sealing,
    SigningKey,
};
use hedgerow_wire::{decode, encode};

#[derive(Debug, Clone, PartialEq, BorshSerialize, BorshDeserialize)]
struct Vote(u64);
impl Domain for Vote {
    const DOMAIN: &'static str = "test/vote";
    const MAX: usize = 64;
}

#[derive(Debug, BorshSerialize, BorshDeserialize)]
struct Other(u64);
impl Domain for Other {
    const DOMAIN: &'static str = "test/other";
    const MAX: usize = 64;
}

fn keyrings(members: u8) -> Vec<Keyring> {
    let roster = Roster::new(4).unwrap();
    let secrets: Vec<_> = (0..members)
        .map(|n| {
            (
                SigningKey::from_seed([n; 32]),
                MacSecret::from_seed([n + 100; 32]),
            )
        })
        .collect();
    let keys: Vec<_> = secrets
        .iter()
        .map(|(signing, mac)| MemberKeys {
            verifying: signing.verifying_key(),
            mac: mac.public(),
        })
        .collect();
    let keyring = |(n, (signing, mac)): (u32, &(SigningKey, MacSecret))| {
        Keyring::new(NodeId(n), roster, signing.clone(), mac, &keys).unwrap()
    };
    (0..).zip(&secrets).map(keyring).collect()
}

fn sent<T: Domain + BorshSerialize + BorshDeserialize>(sealed: &Sealed<T>) -> Claimed<T> {
    decode(&encode(sealed), 4096).unwrap()
}

#[test]
fn an_authenticator_convinces_every_replica_and_the_author() {
    let keyrings = keyrings(5);
    let vote = Sealed::new(Vote(7), Sealing::Authenticator, &keyrings[4]);
    for keyring in &keyrings[..4] {
        let mut checks = Checks::default();
        assert_eq!(
            sent(&vote).admit(keyring, &mut checks).unwrap().value(),
            &Vote(7)
        );
        assert!(checks.is_empty());
    }
    let own = Sealed::new(Vote(7), Sealing::Authenticator, &keyrings[1]);
    assert!(sent(&own).mac_holds(&keyrings[1]));
}

#[test]
fn a_mac_convinces_only_its_receiver_and_only_in_its_direction() {
    let keyrings = keyrings(4);
    let vote = Sealed::new(Vote(7), Sealing::MacFor(NodeId(1)), &keyrings[0]);
    assert!(sent(&vote).mac_holds(&keyrings[1]));
    assert!(!sent(&vote).mac_holds(&keyrings[2]));
    let Err(SealError::WrongMac(NodeId(0))) =
        sent(&vote).admit(&keyrings[0], &mut Checks::default())
    else {
        panic!("what was said to another came back to its author as the other's words")
    };
}

#[test]
fn a_seal_over_one_kind_is_worth_nothing_on_another() {
    let keyrings = keyrings(4);
    let vote = Sealed::new(Vote(7), Sealing::Signature, &keyrings[0]);
    let other: Claimed<Other> = decode(&encode(&vote), 4096).unwrap();
    assert!(sent(&vote).signature_holds(&keyrings[2]));
    assert!(!other.signature_holds(&keyrings[2]));
}

#[test]
fn signatures_are_collected_and_checked_together() {
    let keyrings = keyrings(4);
    let good = Sealed::new(Vote(1), Sealing::Signature, &keyrings[0]);
    let bad = Sealed::new(Vote(2), Sealing::Signature, &keyrings[0]).resealed(good.seal().clone());
    let messages: Vec<Checks> = [&good, &bad, &good, &good, &good]
        .into_iter()
        .map(|vote| {
            let mut checks = Checks::default();
            sent(vote).admit(&keyrings[3], &mut checks).unwrap();
            checks
        })
        .collect();
    assert_eq!(
        Checks::hold_each(&messages),
        [true, false, true, true, true]
    );
}

#[test]
fn a_stranger_and_a_missing_seal_are_refused() {
    let keyrings = keyrings(6);
    let stranger = Sealed::new(Vote(7), Sealing::Signature, &keyrings[5]);
    let smaller = &self::keyrings(4)[0];
    assert!(matches!(
        sent(&stranger).admit(smaller, &mut Checks::default()),
        Err(SealError::Stranger(NodeId(5)))
    ));
    let bare = Sealed::new(Vote(7), Sealing::None, &keyrings[0]);
    assert_eq!(bare.seal(), &Seal::None);
    assert!(matches!(
        sent(&bare).admit(smaller, &mut Checks::default()),
        Err(SealError::WrongKind)
    ));
}

#[test]
fn a_sealed_value_larger_than_its_kind_is_refused() {
    #[derive(BorshSerialize, BorshDeserialize, Debug)]
    struct Big(Vec<u8>);
    impl Domain for Big {
        const DOMAIN: &'static str = "test/big";
        const MAX: usize = 16;
    }
    let big = Sealed::new(Big(vec![0; 64]), Sealing::None, &keyrings(4)[0]);
    assert!(decode::<Claimed<Big>>(&encode(&big), 4096).is_err());
}
