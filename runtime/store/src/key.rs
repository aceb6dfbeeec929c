//! Keys as the engine has them: `length of the table's name 1 · name · key`.

use std::ops::Bound;

use hedgerow_kv::{StoreError, Table};

/// The longest key that the engine takes, in bytes, the table's name included.
const MAX: usize = u16::MAX as usize;

fn prefix(table: Table, room: usize) -> Result<Vec<u8>, StoreError> {
    let length = u8::try_from(table.len()).map_err(|_| {
        StoreError(format!(
            "a table's name has at most 255 bytes, and \"{table}\" has more"
        ))
    })?;
    if length == 0 {
        return Err(StoreError("a table's name is not empty".to_owned()));
    }
    let mut bytes = Vec::with_capacity(1 + table.len() + room);
    bytes.push(length);
    bytes.extend_from_slice(table.as_bytes());
    Ok(bytes)
}

pub(crate) fn encode(table: Table, key: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut bytes = prefix(table, key.len())?;
    bytes.extend_from_slice(key);
    if bytes.len() > MAX {
        return Err(StoreError(format!(
            "a key of {} bytes in table {table}: at most {MAX} fit",
            bytes.len()
        )));
    }
    Ok(bytes)
}

/// The table's own key in one of the engine's.
pub(crate) fn decode(table: Table, bytes: &[u8]) -> Vec<u8> {
    bytes.get(1 + table.len()..).unwrap_or_default().to_vec()
}

/// A range of the engine's keys.
pub(crate) type Range = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The engine's keys for `from..to` of a table; to the table's end when `to` is `None`. `None` when that is empty.
pub(crate) fn range(
    table: Table,
    from: &[u8],
    to: Option<&[u8]>,
) -> Result<Option<Range>, StoreError> {
    let start = encode(table, from)?;
    let end = match to {
        Some(to) => encode(table, to)?,
        None => after(prefix(table, 0)?),
    };
    Ok((start < end).then_some((Bound::Included(start), Bound::Excluded(end))))
}

/// The least key that does not begin with `prefix`, which has a byte below 255: its first one, or one of a name.
fn after(mut prefix: Vec<u8>) -> Vec<u8> {
    while let Some(last) = prefix.pop() {
        if last < u8::MAX {
            prefix.push(last + 1);
            break;
        }
    }
    prefix
}
