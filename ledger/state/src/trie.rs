use alloc::{sync::Arc, vec::Vec};
use core::mem::replace;

use alloy_primitives::{B256, b256, keccak256};

use crate::node::{Kind, Link, Node, encode, nibble, settle};

/// A key of the trie: a keccak256 hash.
pub type Key = [u8; 32];

/// The root of the empty trie: keccak256 of RLP's empty string.
pub const EMPTY_ROOT: B256 =
    b256!("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");

/// What a trie keeps under a key.
pub trait Value: Clone {
    /// Computes what [`Value::encode`] needs.
    fn settle(&mut self) {}

    /// Writes the value as the leaf has it.
    fn encode(&self, out: &mut Vec<u8>);
}

/// A Merkle Patricia trie over 32-byte keys. Cloning shares all nodes.
#[derive(Clone, Debug)]
pub struct Trie<V> {
    root: Option<Link<V>>,
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { root: None }
    }
}

impl<V> Trie<V> {
    /// Whether it has no entry.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The value under `key`.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&V> {
        let (mut node, mut depth) = (self.root.as_ref()?, 0);
        loop {
            match &node.kind {
                Kind::Leaf { key: own, value } => return (own == key).then_some(value),
                Kind::Extension { path, child } => {
                    if !path
                        .iter()
                        .enumerate()
                        .all(|(n, own)| nibble(key, depth + n) == *own)
                    {
                        return None;
                    }
                    (node, depth) = (child, depth + path.len());
                }
                Kind::Branch { children } => {
                    (node, depth) = (children[nibble(key, depth) as usize].as_ref()?, depth + 1);
                }
            }
        }
    }

    /// Calls `visit` with every entry, in the order of the keys.
    pub fn for_each(&self, mut visit: impl FnMut(&Key, &V)) {
        fn walk<V>(link: &Link<V>, visit: &mut impl FnMut(&Key, &V)) {
            match &link.kind {
                Kind::Leaf { key, value } => visit(key, value),
                Kind::Extension { child, .. } => walk(child, visit),
                Kind::Branch { children } => children
                    .iter()
                    .flatten()
                    .for_each(|child| walk(child, visit)),
            }
        }
        if let Some(root) = &self.root {
            walk(root, &mut visit);
        }
    }
}

impl<V: Value> Trie<V> {
    /// Sets the value under `key`.
    pub fn insert(&mut self, key: Key, value: V) {
        match &mut self.root {
            Some(root) => insert(root, key, 0, value),
            None => self.root = Some(Node::leaf(key, value)),
        }
    }

    /// The value under `key`, to be changed.
    pub fn get_mut(&mut self, key: &Key) -> Option<&mut V> {
        // Looking first keeps the path of an absent key unchanged.
        self.get(key)?;
        let (mut link, mut depth) = (self.root.as_mut()?, 0);
        loop {
            let node = Arc::make_mut(link);
            node.reference = None;
            match &mut node.kind {
                Kind::Leaf { value, .. } => return Some(value),
                Kind::Extension { path, child } => (link, depth) = (child, depth + path.len()),
                Kind::Branch { children } => {
                    (link, depth) = (children[nibble(key, depth) as usize].as_mut()?, depth + 1);
                }
            }
        }
    }

    /// Takes the entry of `key` out; says whether there was one.
    pub fn remove(&mut self, key: &Key) -> bool {
        if self.get(key).is_none() {
            return false;
        }
        if let Some(root) = &mut self.root
            && remove(root, key, 0)
        {
            self.root = None;
        }
        true
    }

    /// The root hash. Hashes what has changed since the last time.
    pub fn root(&mut self) -> B256 {
        let Some(root) = &mut self.root else {
            return EMPTY_ROOT;
        };
        let mut scratch = Vec::with_capacity(1024);
        let reference = settle(root, 0, &mut scratch);
        match reference.as_bytes() {
            // The root is hashed even where it is short.
            [0xa0, hash @ ..] if reference.is_hash() => B256::from_slice(hash),
            short => keccak256(short),
        }
    }

    /// The nodes from the root towards `key`, in RLP, as `eth_getProof` lists them: to the key's leaf, or to the node
    /// that shows its absence. Nodes within their parents are not listed on their own.
    pub fn prove(&mut self, key: &Key) -> Vec<Vec<u8>> {
        self.root();
        let mut proof = Vec::new();
        let (Some(mut node), mut depth) = (self.root.as_ref(), 0) else {
            return proof;
        };
        loop {
            if depth == 0 || node.reference.is_some_and(|reference| reference.is_hash()) {
                let mut bytes = Vec::new();
                encode(&node.kind, depth, &mut bytes);
                proof.push(bytes);
            }
            match &node.kind {
                Kind::Leaf { .. } => return proof,
                Kind::Extension { path, child } => {
                    if !path
                        .iter()
                        .enumerate()
                        .all(|(n, own)| nibble(key, depth + n) == *own)
                    {
                        return proof;
                    }
                    (node, depth) = (child, depth + path.len());
                }
                Kind::Branch { children } => {
                    let Some(child) = &children[nibble(key, depth) as usize] else {
                        return proof;
                    };
                    (node, depth) = (child, depth + 1);
                }
            }
        }
    }
}

fn insert<V: Value>(link: &mut Link<V>, key: Key, depth: usize, value: V) {
    let node = Arc::make_mut(link);
    node.reference = None;
    match &mut node.kind {
        Kind::Leaf {
            key: own,
            value: old,
        } if *own == key => *old = value,
        Kind::Leaf { key: own, .. } => {
            let own = *own;
            let fork = (depth..64)
                .find(|&at| nibble(&own, at) != nibble(&key, at))
                .unwrap_or(63);
            let mut branch = Kind::nothing();
            if let Kind::Branch { children } = &mut branch {
                children[nibble(&key, fork) as usize] = Some(Node::leaf(key, value));
                let moved = replace(&mut node.kind, Kind::nothing());
                children[nibble(&own, fork) as usize] = Some(Node::link(moved));
            }
            node.kind = extended((depth..fork).map(|at| nibble(&key, at)).collect(), branch);
        }
        Kind::Extension { path, child } => {
            let same = path
                .iter()
                .enumerate()
                .take_while(|(n, own)| nibble(&key, depth + n) == **own)
                .count();
            if same == path.len() {
                return insert(child, key, depth + same, value);
            }
            let below = if same + 1 == path.len() {
                Arc::clone(child)
            } else {
                Node::link(Kind::Extension {
                    path: path[same + 1..].to_vec(),
                    child: Arc::clone(child),
                })
            };
            let mut branch = Kind::nothing();
            if let Kind::Branch { children } = &mut branch {
                children[path[same] as usize] = Some(below);
                children[nibble(&key, depth + same) as usize] = Some(Node::leaf(key, value));
            }
            node.kind = extended(path[..same].to_vec(), branch);
        }
        Kind::Branch { children } => match &mut children[nibble(&key, depth) as usize] {
            Some(child) => insert(child, key, depth + 1, value),
            none => *none = Some(Node::leaf(key, value)),
        },
    }
}

/// `branch` at the end of `path`.
fn extended<V>(path: Vec<u8>, branch: Kind<V>) -> Kind<V> {
    if path.is_empty() {
        branch
    } else {
        Kind::Extension {
            path,
            child: Node::link(branch),
        }
    }
}

/// Takes out the leaf of `key`, which is there; says whether nothing is left.
fn remove<V: Value>(link: &mut Link<V>, key: &Key, depth: usize) -> bool {
    let node = Arc::make_mut(link);
    node.reference = None;
    match &mut node.kind {
        Kind::Leaf { .. } => return true,
        Kind::Extension { path, child } => {
            let gone = remove(child, key, depth + path.len());
            debug_assert!(
                !gone,
                "an extension leads to a branch, which had two children"
            );
            let (path, child) = (core::mem::take(path), Arc::clone(child));
            node.kind = above(path, child);
        }
        Kind::Branch { children } => {
            let own = &mut children[nibble(key, depth) as usize];
            if !own
                .as_mut()
                .is_some_and(|child| remove(child, key, depth + 1))
            {
                return false;
            }
            *own = None;
            let mut left = children
                .iter_mut()
                .enumerate()
                .filter_map(|(n, child)| Some((n, child.as_mut()?)));
            if let (Some((n, only)), None) = (left.next(), left.next()) {
                let only = Arc::clone(only);
                node.kind = above(alloc::vec![n as u8], only);
            }
        }
    }
    false
}

/// What stands where `path` leads to `child`, whatever kind the child is: a leaf has its whole key in itself, two
/// extensions are one.
fn above<V: Clone>(mut path: Vec<u8>, child: Link<V>) -> Kind<V> {
    match &child.kind {
        Kind::Leaf { .. } => Arc::unwrap_or_clone(child).kind,
        Kind::Extension { path: rest, child } => {
            path.extend_from_slice(rest);
            Kind::Extension {
                path,
                child: Arc::clone(child),
            }
        }
        Kind::Branch { .. } => Kind::Extension { path, child },
    }
}
