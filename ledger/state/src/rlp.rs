//! The little of RLP (Yellow Paper, appendix B) that writing trie nodes needs.

use alloc::vec::Vec;

/// Writes `bytes` as a string.
pub(crate) fn string(bytes: &[u8], out: &mut Vec<u8>) {
    match bytes {
        [byte] if *byte < 0x80 => out.push(*byte),
        _ => {
            header(0x80, bytes.len(), out);
            out.extend_from_slice(bytes);
        }
    }
}

/// Writes a number: its big-endian bytes without leading zeros, as a string.
pub(crate) fn number(big_endian: &[u8], out: &mut Vec<u8>) {
    let zeros = big_endian.iter().take_while(|byte| **byte == 0).count();
    string(&big_endian[zeros..], out);
}

/// Writes a list whose items `items` writes.
pub(crate) fn list(out: &mut Vec<u8>, items: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    items(out);
    let length = out.len() - start;
    // The header's length is known only now; move the items behind it.
    let mut head = Vec::with_capacity(5);
    header(0xc0, length, &mut head);
    out.splice(start..start, head);
}

fn header(base: u8, length: usize, out: &mut Vec<u8>) {
    if length < 56 {
        out.push(base + length as u8);
        return;
    }
    let bytes = (length as u64).to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    out.push(base + 55 + (8 - zeros) as u8);
    out.extend_from_slice(&bytes[zeros..]);
}

/// Hex-prefix encoding (Yellow Paper, appendix C) of a node's path, as a string.
pub(crate) fn path(nibbles: impl ExactSizeIterator<Item = u8>, leaf: bool, out: &mut Vec<u8>) {
    let mut packed = [0_u8; 33];
    let (length, flag) = (nibbles.len(), if leaf { 2 } else { 0 });
    let odd = length % 2;
    packed[0] = (flag + odd as u8) << 4;
    for (n, nibble) in nibbles.enumerate() {
        // An odd path's first nibble shares the byte of the flag.
        let at = n + 2 - odd;
        packed[at / 2] |= if at % 2 == 0 { nibble << 4 } else { nibble };
    }
    string(&packed[..length / 2 + 1], out);
}
