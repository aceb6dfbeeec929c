use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::RpcError;

/// A call's params, by position.
#[derive(Clone, Debug, Default)]
pub(crate) struct Args(Vec<Value>);

impl Args {
    pub(crate) fn new(params: &jsonrpsee::types::Params<'_>) -> Result<Self, RpcError> {
        if params.as_str().is_none_or(str::is_empty) {
            return Ok(Self::default());
        }
        let values = params.parse::<Vec<Value>>();
        values.map(Self).map_err(|_| {
            RpcError::invalid("params must be an array, in the order that the method has them")
        })
    }

    /// The param at `index`; `name` is what the method's description calls it.
    pub(crate) fn required<T: DeserializeOwned>(
        &self,
        index: usize,
        name: &str,
    ) -> Result<T, RpcError> {
        self.optional(index, name)?.ok_or_else(|| {
            RpcError::invalid(format!(
                "missing value for required argument {index}: {name}"
            ))
        })
    }

    /// As [`Args::required`], for one that may be left out or null.
    pub(crate) fn optional<T: DeserializeOwned>(
        &self,
        index: usize,
        name: &str,
    ) -> Result<Option<T>, RpcError> {
        match self.0.get(index) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value).map(Some).map_err(|error| {
                RpcError::invalid(format!("invalid argument {index}: {name}: {error}"))
            }),
        }
    }
}
