//! Errors with the codes and words that Ethereum's tools expect (EIP-1474, and geth's own).

use alloy_primitives::{B256, Bytes};
use hedgerow_evm::Refusal;
use hedgerow_gateway::QueryError;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::{Value, json};

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct RpcError {
    code: i32,
    message: String,
    data: Option<Value>,
}

/// The params are not what the method takes.
const INVALID_PARAMS: i32 = -32602;
/// What was asked for can't be done.
const SERVER_ERROR: i32 = -32000;
/// What was asked for is not there.
const NOT_FOUND: i32 = -32001;
/// The network does not answer.
const UNAVAILABLE: i32 = -32002;
/// More than the limits allow.
const LIMIT_EXCEEDED: i32 = -32005;
/// A contract took everything back.
const REVERTED: i32 = 3;
/// A transaction was taken, and is not final in time (EIP-7966).
const TIMED_OUT: i32 = 4;

impl RpcError {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    pub(crate) fn server(message: impl Into<String>) -> Self {
        Self::new(SERVER_ERROR, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(NOT_FOUND, message)
    }

    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Self::new(LIMIT_EXCEEDED, message)
    }

    /// A contract's revert, with its data, and its reason where that is `Error(string)`.
    pub(crate) fn reverted(output: &Bytes) -> Self {
        let message = match reason(output) {
            Some(reason) => format!("execution reverted: {reason}"),
            None => "execution reverted".to_owned(),
        };
        Self {
            data: Some(json!(output)),
            ..Self::new(REVERTED, message)
        }
    }

    pub(crate) fn timed_out(transaction: B256) -> Self {
        Self {
            data: Some(json!(transaction)),
            ..Self::new(
                TIMED_OUT,
                "the transaction was taken, but is not final yet: ask for its receipt",
            )
        }
    }
}

/// The text of a revert by `require` or `revert` with a string: `Error(string)`.
fn reason(output: &[u8]) -> Option<String> {
    let rest = output.strip_prefix(&[0x08, 0xc3, 0x79, 0xa0])?;
    let word = |at: usize| -> Option<usize> {
        let bytes = rest.get(at..at.checked_add(32)?)?;
        let (high, low) = bytes.split_at(24);
        let low = u64::from_be_bytes(low.try_into().ok()?);
        (high.iter().all(|byte| *byte == 0)).then_some(usize::try_from(low).ok()?)
    };
    let start = word(0)?;
    let length = word(start)?;
    let start = start.checked_add(32)?;
    let text = rest.get(start..start.checked_add(length)?)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

impl From<QueryError> for RpcError {
    fn from(error: QueryError) -> Self {
        Self::new(UNAVAILABLE, error.to_string())
    }
}

impl From<Refusal> for RpcError {
    fn from(refusal: Refusal) -> Self {
        Self::server(refusal.to_string())
    }
}

impl From<RpcError> for ErrorObjectOwned {
    fn from(error: RpcError) -> Self {
        Self::owned(error.code, error.message, error.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_and_what_is_none_is_passed_on_as_data() {
        // revert("no")
        let mut data = vec![0x08, 0xc3, 0x79, 0xa0];
        for (last, text) in [(32, ""), (2, ""), (0, "no")] {
            let mut word = [0; 32];
            word[31] = last;
            word[..text.len()].copy_from_slice(text.as_bytes());
            data.extend_from_slice(&word);
        }
        let data = Bytes::from(data);
        assert_eq!(
            RpcError::reverted(&data).to_string(),
            "execution reverted: no"
        );
        for cut in 0..data.len() {
            // Never a panic, whatever a contract says.
            RpcError::reverted(&data.slice(..cut));
        }
        let custom = Bytes::from_static(&[1, 2, 3, 4]);
        let error = ErrorObjectOwned::from(RpcError::reverted(&custom));
        assert_eq!((error.code(), error.message()), (3, "execution reverted"));
        assert_eq!(error.data().unwrap().get(), "\"0x01020304\"");
        let huge = [&[0x08, 0xc3, 0x79, 0xa0][..], &[0xff; 64]].concat();
        assert_eq!(
            RpcError::reverted(&huge.into()).to_string(),
            "execution reverted"
        );
    }
}
