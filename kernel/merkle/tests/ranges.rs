//! Ranges against a naive model, and proofs against tampering.

use std::{cell::RefCell, collections::BTreeMap, convert::Infallible};

use hedgerow_base::Digest;
use hedgerow_merkle::{
    Consistency, Inclusion, NodeAddress, Nodes, Range, leaf_hash, node_count, node_hash,
    peak_addresses, root_hash,
};
use hedgerow_wire::{List, decode, encode};
use proptest::prelude::*;

#[derive(Default)]
struct Kept(RefCell<BTreeMap<u64, Digest>>);

impl Nodes for Kept {
    type Error = Infallible;

    fn node(&self, address: NodeAddress) -> Result<Option<Digest>, Infallible> {
        Ok(self.0.borrow().get(&address.position()).copied())
    }
}

fn leaf(n: u64) -> Digest {
    leaf_hash(&n.to_be_bytes())
}

/// The root by definition: mountains built from scratch.
fn naive_root(length: u64) -> Digest {
    fn tree(first: u64, count: u64) -> Digest {
        if count == 1 {
            return leaf(first);
        }
        node_hash(&tree(first, count / 2), &tree(first + count / 2, count / 2))
    }
    let (mut peaks, mut first) = (Vec::new(), 0);
    for bit in (0..64).rev().filter(|bit| length >> bit & 1 == 1) {
        peaks.push(tree(first, 1 << bit));
        first += 1 << bit;
    }
    root_hash(length, &peaks)
}

fn grown(length: u64) -> (Kept, Range) {
    let (kept, mut range) = (Kept::default(), Range::new());
    let mut next = 0;
    for n in 0..length {
        range.append(leaf(n), |address, hash| {
            assert_eq!(
                address.position(),
                next,
                "nodes come in the order of their positions"
            );
            next += 1;
            kept.0.borrow_mut().insert(address.position(), hash);
        });
    }
    assert_eq!(next, node_count(length));
    (kept, range)
}

#[test]
fn roots_are_those_of_the_definition() {
    for length in 0..70 {
        let (kept, range) = grown(length);
        assert_eq!(range.root(), naive_root(length));
        assert_eq!(Range::load(&kept, length).unwrap(), range);
        assert_eq!(
            Range::from_peaks(length, range.peaks().to_vec()).unwrap(),
            range
        );
    }
    assert!(Range::from_peaks(3, vec![Digest::ZERO]).is_err());
}

#[test]
fn every_leaf_is_proved_under_every_length() {
    let (kept, _) = grown(40);
    for length in 1..=40 {
        for index in 0..length {
            let path = Inclusion::prove(&kept, length, index).unwrap();
            assert!(path.verify(&naive_root(length), length, index, leaf(index)));
            assert!(!path.verify(&naive_root(length), length, index, leaf(index + 1)));
        }
        assert!(Inclusion::prove(&kept, length, length).is_err());
    }
}

#[test]
fn every_length_goes_on_from_every_earlier_one() {
    let (kept, _) = grown(40);
    for new in 0..=40 {
        for old in 0..=new {
            let proof = Consistency::prove(&kept, old, new).unwrap();
            assert!(
                proof.verify(&naive_root(old), old, &naive_root(new), new),
                "{old} {new}"
            );
            assert!(!proof.verify(&naive_root(old), old, &naive_root(new + 1), new + 1));
        }
    }
    assert!(Consistency::prove(&kept, 5, 4).is_err());
}

#[test]
fn the_largest_ranges_do_not_overflow() {
    let length = (1 << 63) - 1;
    let last = peak_addresses(length).last().unwrap();
    assert_eq!(
        (last.level, last.index, last.last_leaf()),
        (0, length - 1, length - 1)
    );
    assert_eq!(node_count(length), u64::MAX - 1 - 63);
    assert!(
        Inclusion::default()
            .root(u64::MAX, u64::MAX - 1, leaf(0))
            .is_none()
    );
    assert!(!Consistency::default().verify(&leaf(0), u64::MAX, &leaf(0), u64::MAX));
}

/// The formats are for ever: this changes only with a new version of everything that is stored and proved.
#[test]
fn golden_root() {
    let (_, range) = grown(11);
    assert_eq!(
        range.root().to_hex(),
        "28ea42a265d3a3c3b38a5488c1463a81724d0fcee4069fbdf14953c62af359ef"
    );
}

proptest! {
    #[test]
    fn tampered_inclusions_fail(length in 1_u64..80, at in any::<prop::sample::Index>(), byte in any::<prop::sample::Index>(), flip in 1_u8..) {
        let (kept, range) = grown(length);
        let index = at.index(length as usize) as u64;
        let path = Inclusion::prove(&kept, length, index).unwrap();
        prop_assert!(path.verify(&range.root(), length, index, leaf(index)));
        let mut bytes = encode(&path);
        let which = byte.index(bytes.len());
        bytes[which] ^= flip;
        if let Ok(tampered) = decode::<Inclusion>(&bytes, 1 << 16) {
            prop_assert!(!tampered.verify(&range.root(), length, index, leaf(index)));
        }
        prop_assert!(!path.verify(&range.root(), length + 1, index, leaf(index)));
        for other in (0..length).filter(|&other| other != index) {
            prop_assert!(!path.verify(&range.root(), length, other, leaf(index)));
        }
        let longer = Inclusion(List::new([path.0.to_vec(), vec![Digest::ZERO]].concat()).unwrap());
        prop_assert!(!longer.verify(&range.root(), length, index, leaf(index)));
    }

    #[test]
    fn tampered_consistency_fails(new in 1_u64..80, cut in any::<prop::sample::Index>(), byte in any::<prop::sample::Index>(), flip in 1_u8..) {
        let (kept, range) = grown(new);
        let old = cut.index(new as usize) as u64;
        let old_root = naive_root(old);
        let proof = Consistency::prove(&kept, old, new).unwrap();
        prop_assert!(proof.verify(&old_root, old, &range.root(), new));
        let mut bytes = encode(&proof);
        let which = byte.index(bytes.len());
        bytes[which] ^= flip;
        if let Ok(tampered) = decode::<Consistency>(&bytes, 1 << 16) {
            prop_assert!(!tampered.verify(&old_root, old, &range.root(), new));
        }
        let rewritten = naive_root(old + 1);
        prop_assert!(!proof.verify(&rewritten, old, &range.root(), new));
    }
}
