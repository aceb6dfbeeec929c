use alloc::string::String;
use core::{fmt, ops::Deref, str::FromStr};

use borsh::{
    BorshDeserialize, BorshSerialize,
    io::{Error, ErrorKind, Read, Result as IoResult, Write},
};
use hedgerow_wire::Text;

/// The name of a device, or of a stream within its device: 1 to 64 of `a-z 0-9 . _ -`, the first a letter or a digit,
/// and not beginning with `0x` (which introduces a [`DeviceId`](crate::DeviceId)). Encoded as Borsh's `String`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Text<64>);

/// Why a text is not a [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// No character, or more than 64 bytes.
    #[error("a name has 1 to 64 characters, this one has {0} bytes")]
    Length(usize),
    /// A character that no name has.
    #[error("{0:?} is not allowed in a name: use a-z, 0-9, '.', '_' and '-'")]
    Character(char),
    /// The first character is neither a letter nor a digit, or the name looks like a device's identifier.
    #[error("a name begins with a-z or 0-9, and not with \"0x\"")]
    Beginning,
    /// Not of the form `DEVICE/STREAM`.
    #[error("a stream is named DEVICE/STREAM, with one '/'")]
    NotAStream,
}

impl Name {
    /// How many bytes a name may have.
    pub const MAX: usize = 64;

    /// The name `text`.
    ///
    /// # Errors
    /// When the text breaks a rule of names; the error says which.
    pub fn new(text: impl Into<String>) -> Result<Self, BadName> {
        let text = text.into();
        check(&text)?;
        let length = text.len();
        Text::new(text)
            .map(Self)
            .map_err(|_| BadName::Length(length))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

fn check(text: &str) -> Result<(), BadName> {
    if text.is_empty() || text.len() > Name::MAX {
        return Err(BadName::Length(text.len()));
    }
    if let Some(odd) = text
        .chars()
        .find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-'))
    {
        return Err(BadName::Character(odd));
    }
    if text.starts_with(['.', '_', '-']) || text.starts_with("0x") {
        return Err(BadName::Beginning);
    }
    Ok(())
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        Self::new(text)
    }
}

impl BorshSerialize for Name {
    fn serialize<W: Write>(&self, writer: &mut W) -> IoResult<()> {
        self.0.serialize(writer)
    }
}

impl BorshDeserialize for Name {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let text = Text::deserialize_reader(reader)?;
        check(&text)
            .map_err(|error| Error::new(ErrorKind::InvalidData, alloc::format!("{error}")))?;
        Ok(Self(text))
    }
}

/// A stream as people write it: `DEVICE/STREAM`. Ordered by device, then by stream.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct StreamName {
    /// The name of the device that owns the stream.
    pub device: Name,
    /// The stream's name within its device.
    pub stream: Name,
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.device, self.stream)
    }
}

impl fmt::Debug for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for StreamName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let (device, stream) = text.split_once('/').ok_or(BadName::NotAStream)?;
        if stream.contains('/') {
            return Err(BadName::NotAStream);
        }
        Ok(Self {
            device: device.parse()?,
            stream: stream.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_rules_and_decoding_keeps_them() {
        for good in [
            "a",
            "0",
            "mast-1.temperature_c",
            "0a",
            "x0x",
            &"n".repeat(64),
        ] {
            let name = Name::new(good).unwrap();
            assert_eq!(
                hedgerow_wire::decode::<Name>(&hedgerow_wire::encode(&name), 100),
                Ok(name)
            );
        }
        let long = "n".repeat(65);
        let bad = [
            ("", BadName::Length(0)),
            (long.as_str(), BadName::Length(65)),
            ("A", BadName::Character('A')),
            ("a/b", BadName::Character('/')),
            ("a b", BadName::Character(' ')),
            ("\u{e9}", BadName::Character('\u{e9}')),
            ("..", BadName::Beginning),
            ("-a", BadName::Beginning),
            ("0xab", BadName::Beginning),
        ];
        for (text, error) in bad {
            assert_eq!(Name::new(text), Err(error));
            let encoded = hedgerow_wire::encode(&alloc::string::String::from(text));
            assert!(hedgerow_wire::decode::<Name>(&encoded, 100).is_err());
        }
        assert_eq!("a/b/c".parse::<StreamName>(), Err(BadName::NotAStream));
        assert_eq!("a".parse::<StreamName>(), Err(BadName::NotAStream));
        assert_eq!(
            "a/b"
                .parse::<StreamName>()
                .map(|name| alloc::format!("{name}")),
            Ok("a/b".into())
        );
    }
}
