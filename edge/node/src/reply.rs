//! What a replica replies to a bundle: the block's height, then the receipts.

use bytes::Bytes;
use hedgerow_base::Height;
use hedgerow_records::{Receipt, Receipts};
use hedgerow_wire::DecodeError;

/// The reply's encoding.
pub(crate) fn encode(height: Height, receipts: &Receipts) -> Bytes {
    hedgerow_wire::encode(&(height, receipts)).into()
}

/// The height and the receipts that `bytes`, all of them, encode.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Height, Vec<Receipt>), DecodeError> {
    let (height, receipts): (Height, Receipts) =
        hedgerow_wire::decode(bytes, Receipts::MAX_BYTES + 8)?;
    Ok((height, receipts.0.into_vec()))
}
