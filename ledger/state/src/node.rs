use alloc::{sync::Arc, vec::Vec};

use alloy_primitives::keccak256;

use crate::{
    rlp,
    trie::{Key, Value},
};

/// A node shared by all versions of the trie that have it.
pub(crate) type Link<V> = Arc<Node<V>>;

/// A node and how its parent names it.
#[derive(Clone, Debug)]
pub(crate) struct Node<V> {
    pub(crate) kind: Kind<V>,
    /// `None` after a change, until the next [`settle`].
    pub(crate) reference: Option<Reference>,
}

/// Branches have no value of their own: all keys have the same length.
#[derive(Clone, Debug)]
pub(crate) enum Kind<V> {
    /// The whole key, so that a leaf needs no change (but a new reference) when it moves up or down.
    Leaf { key: Key, value: V },
    /// Nibbles that all keys below share. The child is a branch.
    Extension { path: Vec<u8>, child: Link<V> },
    /// At least two children.
    Branch { children: [Option<Link<V>>; 16] },
}

/// What stands for a node in its parent: the node's RLP where it is shorter than 32 bytes, else its hash as a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    length: u8,
    bytes: [u8; 33],
}

impl Reference {
    fn to(node: &[u8]) -> Self {
        let mut bytes = [0; 33];
        if node.len() < 32 {
            bytes[..node.len()].copy_from_slice(node);
            return Self {
                length: node.len() as u8,
                bytes,
            };
        }
        bytes[0] = 0xa0;
        bytes[1..].copy_from_slice(keccak256(node).as_slice());
        Self { length: 33, bytes }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length as usize]
    }

    /// Whether the node is kept under its hash, not within its parent.
    pub(crate) const fn is_hash(&self) -> bool {
        self.length == 33
    }
}

/// The nibble of `key` at `depth`.
pub(crate) const fn nibble(key: &Key, depth: usize) -> u8 {
    let byte = key[depth / 2];
    if depth.is_multiple_of(2) {
        byte >> 4
    } else {
        byte & 15
    }
}

impl<V> Node<V> {
    pub(crate) fn link(kind: Kind<V>) -> Link<V> {
        Arc::new(Self {
            kind,
            reference: None,
        })
    }

    pub(crate) fn leaf(key: Key, value: V) -> Link<V> {
        Self::link(Kind::Leaf { key, value })
    }
}

impl<V> Kind<V> {
    /// A branch without children: only on the way to another kind.
    pub(crate) const fn nothing() -> Self {
        Self::Branch {
            children: [const { None }; 16],
        }
    }
}

/// Computes the references of a node and of all changed ones below it.
pub(crate) fn settle<V: Value>(
    link: &mut Link<V>,
    depth: usize,
    scratch: &mut Vec<u8>,
) -> Reference {
    if let Some(reference) = link.reference {
        return reference;
    }
    let node = Arc::make_mut(link);
    match &mut node.kind {
        Kind::Leaf { value, .. } => value.settle(),
        Kind::Extension { path, child } => {
            settle(child, depth + path.len(), scratch);
        }
        Kind::Branch { children } => {
            for child in children.iter_mut().flatten() {
                settle(child, depth + 1, scratch);
            }
        }
    }
    scratch.clear();
    encode(&node.kind, depth, scratch);
    *node.reference.insert(Reference::to(scratch))
}

/// Writes the node's RLP; the nodes below it have been settled.
pub(crate) fn encode<V: Value>(kind: &Kind<V>, depth: usize, out: &mut Vec<u8>) {
    rlp::list(out, |out| match kind {
        Kind::Leaf { key, value } => {
            rlp::path((depth..64).map(|at| nibble(key, at)), true, out);
            let mut content = Vec::with_capacity(80);
            value.encode(&mut content);
            rlp::string(&content, out);
        }
        Kind::Extension { path, child } => {
            rlp::path(path.iter().copied(), false, out);
            refer(child, out);
        }
        Kind::Branch { children } => {
            for child in children {
                match child {
                    Some(child) => refer(child, out),
                    None => out.push(0x80),
                }
            }
            out.push(0x80);
        }
    });
}

fn refer<V>(child: &Link<V>, out: &mut Vec<u8>) {
    let reference = child.reference.as_ref();
    debug_assert!(
        reference.is_some(),
        "a parent is encoded after its children"
    );
    out.extend_from_slice(reference.map_or(&[], Reference::as_bytes));
}
