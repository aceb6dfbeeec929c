use alloc::{string::ToString, vec::Vec};

use borsh::{BorshDeserialize, BorshSerialize};

/// Why bytes are not the encoding of a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than a value of this kind may have.
    #[error("{length} bytes: at most {max} are allowed here")]
    TooLarge {
        /// How many bytes came.
        length: usize,
        /// How many are allowed.
        max: usize,
    },
    /// Cut short, trailing bytes, a field out of its bounds, or an encoding that is not the canonical one.
    #[error("malformed: {0}")]
    Malformed(alloc::string::String),
}

/// The canonical encoding of `value`.
#[must_use]
pub fn encode<T: BorshSerialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_into(value, &mut bytes);
    bytes
}

/// Appends the canonical encoding of `value` to `bytes`.
pub fn encode_into<T: BorshSerialize>(value: &T, bytes: &mut Vec<u8>) {
    // Writing to a vector fails only where a length does not fit into 32 bits, and the bounded types exclude that.
    let written = value.serialize(bytes);
    debug_assert!(written.is_ok(), "a value without a bound was encoded");
}

/// The value that `bytes` encode, all of them; at most `max` bytes are looked at.
///
/// # Errors
/// When there are more than `max` bytes, or when they are not exactly one canonical encoding of a `T`.
pub fn decode<T: BorshDeserialize>(bytes: &[u8], max: usize) -> Result<T, DecodeError> {
    if bytes.len() > max {
        return Err(DecodeError::TooLarge {
            length: bytes.len(),
            max,
        });
    }
    T::try_from_slice(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))
}
