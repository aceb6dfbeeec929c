//! Seals convince whom they should, and nobody else.

use borsh::{BorshDeserialize, BorshSerialize};
use hedgerow_base::{NodeId, Roster};
use hedgerow_crypto::{
    Checks, Claimed, Domain, Keyring, MacCount, MacKey, MacSecret, MemberKeys, Seal, SealError,
    Sealed, Sealing, SigningKey,
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

/// Whether a receiver takes the vote, by every way that there is; all ways agree.
fn convinces(vote: &Sealed<Vote>, keyring: &Keyring) -> bool {
    let mut checks = Checks::default();
    let admitted = sent(vote).admit(keyring, &mut checks).is_ok() && checks.hold();
    let by_hand = match vote.seal() {
        Seal::Signature(signature) => {
            let now = keyring.verifies(vote.origin(), &vote.digest(), signature);
            assert_eq!(now, sent(vote).signature_holds(keyring));
            now
        }
        Seal::Mac(tag) => keyring.accepts(vote.origin(), &vote.digest(), *tag),
        Seal::Macs(tags) => tags.iter().any(|(to, tag)| {
            *to == keyring.me() && keyring.accepts(vote.origin(), &vote.digest(), *tag)
        }),
        Seal::Authenticator(tags) => {
            let tag = tags.entry(keyring.me().index()).unwrap();
            keyring.accepts(vote.origin(), &vote.digest(), tag)
        }
        Seal::None => unreachable!(),
    };
    assert_eq!(admitted, by_hand);
    if !matches!(vote.seal(), Seal::Signature(_)) {
        assert_eq!(admitted, sent(vote).mac_holds(keyring));
    }
    admitted
}

#[test]
fn what_is_sealed_in_one_context_is_refused_in_every_other() {
    let keyrings = keyrings(4);
    let contexts = [0, 1, 2, 256, 1 << 32, u64::MAX];
    for sealing in [
        Sealing::MacFor(NodeId(1)),
        Sealing::Authenticator,
        Sealing::Signature,
    ] {
        for said in contexts {
            let vote = Sealed::new(Vote(7), sealing, &keyrings[0].scoped(said));
            for heard in contexts {
                let takes = convinces(&vote, &keyrings[1].scoped(heard));
                assert_eq!(
                    takes,
                    said == heard,
                    "{sealing:?} in {said}, heard in {heard}"
                );
            }
        }
    }
}

#[test]
fn the_digest_and_the_bytes_of_a_value_are_the_same_in_all_contexts() {
    let keyring = &keyrings(4)[0];
    let here = Sealed::new(Vote(7), Sealing::Signature, keyring);
    let there = Sealed::new(Vote(7), Sealing::Signature, &keyring.scoped(9));
    assert_eq!((here.digest(), here.body()), (there.digest(), there.body()));
    assert_ne!(here.seal(), there.seal());
}

#[test]
fn context_0_is_no_context_and_a_scope_replaces_the_one_before() {
    let keyring = &keyrings(4)[0];
    let digest = hedgerow_crypto::hash(b"vote");
    assert_eq!(keyring.context(), 0);
    assert_eq!(keyring.scoped(5).context(), 5);
    assert_eq!(keyring.within(5).context(), 5);
    let inner = [(5, 6), (6, 5), (5, 7), (11, 0)];
    let mut inner = inner.map(|(outer, part)| keyring.scoped(outer).within(part).context());
    inner.sort_unstable();
    assert!(inner.windows(2).all(|two| two[0] != two[1]) && inner[0] > 11);
    for same in [keyring.scoped(0), keyring.scoped(5).scoped(0)] {
        assert_eq!(
            same.sign(&digest),
            SigningKey::from_seed([0; 32]).sign(&digest.0)
        );
        assert_eq!(same.authenticator(&digest), keyring.authenticator(&digest));
    }
    assert_eq!(
        keyring.scoped(5).scoped(6).sign(&digest),
        keyring.scoped(6).sign(&digest)
    );
}

#[test]
fn a_mac_without_context_covers_the_digest_alone() {
    let keyrings = keyrings(4);
    let digest = hedgerow_crypto::hash(b"vote");
    let tag = keyrings[0].tag_for(NodeId(1), &digest);
    // Recomputed from the definitions: X25519, then a key for the direction, then keyed BLAKE3.
    let secret = x25519_dalek::StaticSecret::from([100; 32]);
    let public = |seed: u8| MacSecret::from_seed([seed; 32]).public();
    let shared = secret.diffie_hellman(&public(101).into()).to_bytes();
    let key = blake3::derive_key(
        "hedgerow 2026 pairwise MAC key",
        &[shared, public(100), public(101)].concat(),
    );
    assert_eq!(tag, MacKey::new(key).tag(&digest));
    let scoped = keyrings[0].scoped(3).tag_for(NodeId(1), &digest);
    let covered = [&digest.0[..], &3_u64.to_le_bytes()].concat();
    assert_eq!(
        scoped.0,
        blake3::keyed_hash(&key, &covered).as_bytes()[..16]
    );
}

#[test]
fn an_authenticator_s_entries_are_the_macs_for_its_receivers() {
    let keyring = keyrings(6)[5].scoped(2);
    let digest = hedgerow_crypto::hash(b"vote");
    let tags = keyring.authenticator(&digest);
    for replica in keyring.roster().iter() {
        let tag = keyring.tag_for(replica, &digest);
        assert_eq!(tags.entry(replica.index()), Some(tag));
    }
    assert_eq!(tags.entry(4), None);
}

#[test]
fn a_chain_authenticator_convinces_those_it_is_for_and_costs_a_mac_each() {
    let keyrings = keyrings(6);
    let (chosen, before) = ([NodeId(1), NodeId(4)], keyrings[0].mac_count());
    let vote = Sealed::new(
        Vote(7),
        Sealing::MacsFor(chosen.into_iter().collect()),
        &keyrings[0],
    );
    assert_eq!(keyrings[0].mac_count().since(before).made, 2);
    for keyring in &keyrings {
        assert_eq!(
            sent(&vote).mac_holds(keyring),
            chosen.contains(&keyring.me())
        );
    }
}

#[test]
fn macs_are_counted_across_clones_and_contexts() {
    let keyrings = keyrings(5);
    let (digest, before) = (hedgerow_crypto::hash(b"vote"), keyrings[0].mac_count());
    let tag = keyrings[0].clone().tag_for(NodeId(1), &digest);
    let vote = Sealed::new(Vote(7), Sealing::Authenticator, &keyrings[0].scoped(3));
    let _ = Sealed::new(Vote(7), Sealing::Signature, &keyrings[0]);
    let _ = keyrings[0].tag_for(NodeId(5), &digest);
    assert!(!keyrings[0].accepts(NodeId(1), &digest, tag));
    assert!(!keyrings[0].accepts(NodeId(5), &digest, tag));
    let counted = keyrings[0].mac_count().since(before);
    assert_eq!(
        counted,
        MacCount {
            made: 1 + 4,
            checked: 1
        }
    );
    assert_eq!(counted.total(), 6);
    assert_eq!(keyrings[1].mac_count(), MacCount::default());
    assert!(convinces(&vote, &keyrings[1].scoped(3)));
    assert_eq!(keyrings[1].mac_count().made, 0);
    let (apart, before) = (keyrings[0].counted_apart(), keyrings[0].mac_count());
    assert_eq!(apart.tag_for(NodeId(1), &digest), tag);
    assert_eq!(apart.mac_count().total(), 1);
    assert_eq!(keyrings[0].mac_count(), before);
    let wrapped = MacCount {
        made: 1,
        checked: 0,
    }
    .since(MacCount {
        made: usize::MAX,
        checked: 0,
    });
    assert_eq!(wrapped.made, 2);
}
