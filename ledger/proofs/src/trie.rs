//! Reading Ethereum's trie nodes (Yellow Paper, appendices B to D).

use alloy_primitives::keccak256;
use hedgerow_base::Digest;

/// One item of an RLP list.
#[derive(Clone, Copy, Default)]
pub(crate) struct Item<'a> {
    /// Whether it is a list itself.
    pub(crate) list: bool,
    /// All its bytes.
    pub(crate) whole: &'a [u8],
    /// Its bytes without its header.
    pub(crate) content: &'a [u8],
}

/// Takes the first item off `bytes`.
fn split<'a>(bytes: &mut &'a [u8]) -> Option<Item<'a>> {
    let whole = *bytes;
    let header = alloy_rlp::Header::decode(bytes).ok()?;
    let (content, rest) = bytes.split_at_checked(header.payload_length)?;
    *bytes = rest;
    Some(Item {
        list: header.list,
        whole: whole.get(..whole.len() - rest.len())?,
        content,
    })
}

/// The `N` items of the list that `bytes`, all of them, are.
pub(crate) fn items<const N: usize>(mut bytes: &[u8]) -> Option<[Item<'_>; N]> {
    let list = split(&mut bytes).filter(|item| item.list && bytes.is_empty())?;
    let mut rest = list.content;
    let mut items = [Item::default(); N];
    for item in &mut items {
        *item = split(&mut rest)?;
    }
    rest.is_empty().then_some(items)
}

fn nibble(bytes: &[u8], at: usize) -> Option<u8> {
    let byte = bytes.get(at / 2)?;
    Some(if at.is_multiple_of(2) {
        byte >> 4
    } else {
        byte & 15
    })
}

/// Whether the key's nibbles from `depth` on begin with those of a hex-prefix encoded path. Gives the depth after them,
/// and whether the path is a leaf's.
fn follow(key: &[u8; 32], depth: usize, path: &[u8]) -> Option<(usize, bool)> {
    let flag = path.first()? >> 4;
    // Even paths begin after the flag's byte, odd ones with its second half.
    let skip = 2 - (flag & 1) as usize;
    let length = path.len() * 2 - skip;
    let same = (0..length).all(|n| {
        let own = nibble(path, n + skip);
        own.is_some() && nibble(key, depth + n) == own
    });
    (same && flag < 4).then_some((depth + length, flag & 2 != 0))
}

/// The value under `key` in the trie with that root, where `nodes` are exactly the nodes from the root to its leaf.
/// `None` when they are anything else.
#[must_use]
pub fn trie_value<'a>(
    root: &Digest,
    key: &[u8; 32],
    nodes: impl IntoIterator<Item = &'a [u8]>,
) -> Option<&'a [u8]> {
    let mut nodes = nodes.into_iter();
    let (mut expected, mut depth) = (root.0, 0);
    loop {
        let mut node = nodes.next()?;
        if keccak256(node).0 != expected {
            return None;
        }
        // A node of less than 32 bytes lies within its parent.
        expected = loop {
            let child = if let Some(branch) = items::<17>(node) {
                let child = *branch.get(nibble(key, depth)? as usize)?;
                depth += 1;
                child
            } else {
                let [path, child] = items::<2>(node)?;
                let (after, leaf) = follow(key, depth, path.content)?;
                depth = after;
                if leaf {
                    return (depth == 64 && !child.list && nodes.next().is_none())
                        .then_some(child.content);
                }
                child
            };
            if child.list {
                node = child.whole;
            } else {
                break child.content.try_into().ok()?;
            }
        };
    }
}

/// The storage root in the RLP of an account.
pub(crate) fn storage_root(account: &[u8]) -> Option<Digest> {
    let [_nonce, _balance, root, _code_hash] = items::<4>(account)?;
    Some(Digest(root.content.try_into().ok()?))
}

/// The word in the RLP of a storage slot's value, with its leading zeros.
pub(crate) fn word(mut value: &[u8]) -> Option<[u8; 32]> {
    let item = split(&mut value).filter(|item| !item.list && value.is_empty())?;
    let mut word = [0; 32];
    word.get_mut(32_usize.checked_sub(item.content.len())?..)?
        .copy_from_slice(item.content);
    Some(word)
}
