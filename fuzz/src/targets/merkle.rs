//! Paths of mountain ranges, as a liar would send them.

use std::sync::OnceLock;

use hedgerow_base::Digest;
use hedgerow_merkle::{Consistency, Inclusion, MAX_PATH, Range, leaf_hash};
use hedgerow_wire::{BorshDeserialize, List, encode};

use super::canonical;

pub(crate) fn run(data: &[u8]) {
    canonical::<Inclusion>(data);
    let mut left = data;
    let Ok((length, index, other)) = <(u64, u64, u64)>::deserialize_reader(&mut left) else {
        return;
    };
    let hashes = left.chunks_exact(32).take(MAX_PATH);
    let hashes = hashes
        .map(|chunk| Digest(chunk.try_into().expect("32 bytes")))
        .collect();
    let path = List::new(hashes).expect("at most as many as allowed");
    let leaf = leaf_hash(b"what nobody ever appended");
    let inclusion = Inclusion(path.clone());
    // A root that the liar does not choose: no path leads there.
    assert!(
        !inclusion.verify(&honest_root(), length, index, leaf),
        "a made-up leaf is in the range"
    );
    if let Some(root) = inclusion.root(length, index, leaf) {
        assert!(index < length && inclusion.verify(&root, length, index, leaf));
    }
    let lie = Consistency(path).verify(&honest_root(), length, &Digest([9; 32]), other);
    assert!(
        !lie || length == 0,
        "a range goes on from one that it does not contain"
    );
}

fn honest_root() -> Digest {
    static ROOT: OnceLock<Digest> = OnceLock::new();
    *ROOT.get_or_init(|| {
        let mut range = Range::default();
        for leaf in 0..100_u8 {
            range.append(leaf_hash(&[leaf]), |_, _| {});
        }
        range.root()
    })
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let path = |length: u64, index: u64, other: u64, hashes: usize| {
        let mut bytes = encode(&(length, index, other));
        bytes.extend(vec![7; 32 * hashes]);
        bytes
    };
    vec![
        path(100, 3, 200, 8),
        path(1, 0, 1, 0),
        path(64, 63, 65, 6),
        path(u64::MAX, u64::MAX - 1, u64::MAX, 64),
        path(1 << 63, 5, 7, 63),
    ]
}
