//! The bounded types.

use hedgerow_base::{Digest, Height, NodeId, NodeSet};
use hedgerow_wire::{Blob, List, Text, encode};

use super::canonical;

type Nested = List<(Text<16>, Option<Blob<300>>, List<u64, 4>), 8>;

pub(crate) fn run(data: &[u8]) {
    canonical::<Nested>(data);
    canonical::<List<Digest, 1000>>(data);
    canonical::<Blob<{ 1 << 20 }>>(data);
    canonical::<(NodeId, Height, NodeSet, bool, Option<u16>)>(data);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let item = (
        Text::new("one").expect("short"),
        Some(Blob::new(vec![7; 300]).expect("short")),
        List::new(vec![1, 2]).expect("short"),
    );
    let nested: Nested = List::new(vec![item.clone(), item]).expect("short");
    vec![
        encode(&nested),
        encode(&vec![Digest::ZERO; 3]),
        encode(&vec![0_u8; 40]),
        encode(&(NodeId(3), Height(9), NodeSet::default(), true, Some(7_u16))),
    ]
}
