//! Readings: made by a device's owner, shown to whoever asks.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use hedgerow_records::{ContentType, MAX_PAYLOAD, Reading};
use hedgerow_wire::Blob;

/// A payload and how it is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    content_type: ContentType,
    payload: Blob<MAX_PAYLOAD>,
}

impl Content {
    /// The JSON text, as it is written.
    pub(crate) fn json(text: &str) -> Result<Self> {
        let text = text.trim();
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
            bail!(
                "{text:?} is not JSON: {error}; a text needs quotes inside the shell's: '\"open\"'"
            );
        }
        Self::new("application/json", text.as_bytes().to_vec())
    }

    /// Any bytes.
    pub(crate) fn new(content_type: &str, bytes: Vec<u8>) -> Result<Self> {
        Ok(Self {
            content_type: ContentType::new(content_type)
                .with_context(|| format!("content type {content_type:?}"))?,
            payload: Blob::new(bytes).context("a reading's payload")?,
        })
    }

    pub(crate) fn at(self, sequence: u64, time_ms: u64) -> Reading {
        Reading {
            sequence,
            time: time_ms,
            content_type: self.content_type,
            payload: self.payload,
        }
    }
}

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> Result<u64> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970: set it")?;
    Ok(u64::try_from(now.as_millis())?)
}

/// A payload for people: JSON as it is written, CBOR in its diagnostic notation, text as text, the rest in
/// hexadecimal digits.
pub(crate) fn show(content_type: &str, payload: &[u8]) -> String {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    if kind == "application/cbor" || kind.ends_with("+cbor") {
        let shown = minicbor::display(payload).to_string();
        if !shown.is_empty() {
            return shown;
        }
    }
    match std::str::from_utf8(payload) {
        Ok(text) if !text.chars().any(|c| c.is_control() && !c.is_whitespace()) => text.to_owned(),
        _ => format!("0x{}", hex::encode(payload)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_shown() {
        assert_eq!(show("application/json", b"{\"a\":1}"), "{\"a\":1}");
        assert_eq!(
            show("application/cbor", &[0xa1, 0x61, 0x61, 0x01]),
            "{\"a\": 1}"
        );
        assert_eq!(
            show("text/plain; charset=utf-8", "21 °C".as_bytes()),
            "21 °C"
        );
        assert_eq!(show("application/octet-stream", &[0, 255]), "0x00ff");
    }

    #[test]
    fn json_is_checked_and_kept_as_written() {
        assert_eq!(Content::json(" 21.50 ").unwrap().payload.to_vec(), b"21.50");
        assert!(
            Content::json("open")
                .unwrap_err()
                .to_string()
                .contains("needs quotes")
        );
        assert!(Content::new("a/b", vec![0; MAX_PAYLOAD + 1]).is_err());
        assert!(Content::new(&"a".repeat(65), vec![]).is_err());
    }
}
