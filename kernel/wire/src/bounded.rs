use alloc::{string::String, vec::Vec};
use core::{fmt, ops::Deref};

use borsh::{
    BorshDeserialize, BorshSerialize,
    io::{Error, ErrorKind, Read, Result, Write},
};

/// More items, bytes or characters than the type allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{length} where at most {max} are allowed")]
pub struct TooLong {
    /// How many there were.
    pub length: usize,
    /// How many are allowed.
    pub max: usize,
}

fn too_long(length: usize, max: usize) -> Error {
    Error::new(
        ErrorKind::InvalidData,
        alloc::format!("{length} where at most {max} are allowed"),
    )
}

fn read_length<R: Read>(reader: &mut R, max: usize) -> Result<usize> {
    let length = u32::deserialize_reader(reader)? as usize;
    if length > max {
        Err(too_long(length, max))
    } else {
        Ok(length)
    }
}

/// How many items or bytes are reserved before any of them has been read: a lie about a length costs no more.
const RESERVED: usize = 1024;

/// At most `MAX` items. Encoded as Borsh's `Vec<T>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct List<T, const MAX: usize>(Vec<T>);

impl<T, const MAX: usize> List<T, MAX> {
    /// How many items fit.
    pub const MAX: usize = MAX;

    /// A list of these items.
    ///
    /// # Errors
    /// When there are more than `MAX`.
    pub fn new(items: Vec<T>) -> core::result::Result<Self, TooLong> {
        if items.len() > MAX {
            Err(TooLong {
                length: items.len(),
                max: MAX,
            })
        } else {
            Ok(Self(items))
        }
    }

    /// The items.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> Deref for List<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: fmt::Debug, const MAX: usize> fmt::Debug for List<T, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: BorshSerialize, const MAX: usize> BorshSerialize for List<T, MAX> {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
        self.0.serialize(writer)
    }
}

impl<T: BorshDeserialize, const MAX: usize> BorshDeserialize for List<T, MAX> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let length = read_length(reader, MAX)?;
        let mut items = Vec::with_capacity(length.min(RESERVED / size_of::<T>().max(1) + 1));
        for _ in 0..length {
            items.push(T::deserialize_reader(reader)?);
        }
        Ok(Self(items))
    }
}

/// At most `MAX` bytes. Encoded as Borsh's `Vec<u8>`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Blob<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> Blob<MAX> {
    /// How many bytes fit.
    pub const MAX: usize = MAX;

    /// A blob of these bytes.
    ///
    /// # Errors
    /// When there are more than `MAX`.
    pub fn new(bytes: Vec<u8>) -> core::result::Result<Self, TooLong> {
        if bytes.len() > MAX {
            Err(TooLong {
                length: bytes.len(),
                max: MAX,
            })
        } else {
            Ok(Self(bytes))
        }
    }

    /// The bytes.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl<const MAX: usize> Deref for Blob<MAX> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for Blob<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl<const MAX: usize> BorshSerialize for Blob<MAX> {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
        self.0.serialize(writer)
    }
}

impl<const MAX: usize> BorshDeserialize for Blob<MAX> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let length = read_length(reader, MAX)?;
        let mut bytes = Vec::with_capacity(length.min(RESERVED));
        let mut chunk = [0; RESERVED];
        let mut left = length;
        while left > 0 {
            let step = left.min(RESERVED);
            let (part, _) = chunk.split_at_mut(step);
            reader.read_exact(part)?;
            bytes.extend_from_slice(part);
            left -= step;
        }
        Ok(Self(bytes))
    }
}

/// At most `MAX` bytes of UTF-8. Encoded as Borsh's `String`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// How many bytes fit.
    pub const MAX: usize = MAX;

    /// This text.
    ///
    /// # Errors
    /// When it has more than `MAX` bytes.
    pub fn new(text: impl Into<String>) -> core::result::Result<Self, TooLong> {
        let text = text.into();
        if text.len() > MAX {
            Err(TooLong {
                length: text.len(),
                max: MAX,
            })
        } else {
            Ok(Self(text))
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const MAX: usize> BorshSerialize for Text<MAX> {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
        self.0.serialize(writer)
    }
}

impl<const MAX: usize> BorshDeserialize for Text<MAX> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let bytes = Blob::<MAX>::deserialize_reader(reader)?.into_vec();
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::new(ErrorKind::InvalidData, "not UTF-8"))?;
        Ok(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode, encode};

    #[test]
    fn bounds_hold_both_ways() {
        assert!(List::<u8, 2>::new(alloc::vec![1, 2, 3]).is_err());
        let three = encode(&alloc::vec![1_u16, 2, 3]);
        assert!(decode::<List<u16, 2>>(&three, 100).is_err());
        assert_eq!(&*decode::<List<u16, 3>>(&three, 100).unwrap(), &[1, 2, 3]);
    }

    #[test]
    fn a_lie_about_the_length_is_an_error_not_an_allocation() {
        let mut bomb = encode(&(1_u32 << 30));
        bomb.extend_from_slice(&[0; 16]);
        assert!(decode::<Blob<{ 1 << 31 }>>(&bomb, 100).is_err());
        assert!(decode::<List<u64, { 1 << 31 }>>(&bomb, 100).is_err());
    }

    #[test]
    fn trailing_bytes_and_bad_utf8_are_errors() {
        let mut bytes = encode(&Text::<8>::new("ab").unwrap());
        assert_eq!(decode::<Text<8>>(&bytes, 100).unwrap().as_str(), "ab");
        bytes.push(0);
        assert!(decode::<Text<8>>(&bytes, 100).is_err());
        assert!(decode::<Text<8>>(&[1, 0, 0, 0, 0xff], 100).is_err());
        assert!(decode::<Text<8>>(&bytes, 3).is_err());
    }
}
