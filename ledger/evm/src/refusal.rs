use alloy_primitives::Address;
use hedgerow_records::Roles;
use revm::context::result::InvalidTransaction;

/// Why a transaction is not executed: it changes nothing, and takes no gas. The texts begin as those of Ethereum's other
/// nodes do, because tools read them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not the encoding of a transaction of a known type.
    #[error(
        "rlp: not the canonical encoding of a transaction: send a legacy, EIP-2930, EIP-1559 or EIP-7702 one"
    )]
    Malformed,
    /// More bytes than a transaction may have.
    #[error("oversized data: transaction of {found} bytes, at most {max} are allowed")]
    TooLarge {
        /// How many it has.
        found: usize,
        /// How many it may have.
        max: usize,
    },
    /// EIP-4844.
    #[error("transaction type not supported: this network has no blobs")]
    Blobs,
    /// Signed without a chain id, as before EIP-155.
    #[error("only replay-protected (EIP-155) transactions allowed: sign for chain {expected}")]
    Unprotected {
        /// This network.
        expected: u64,
    },
    /// Signed for another network.
    #[error("invalid chain id: signed for chain {found}, this is chain {expected}")]
    WrongChain {
        /// The network in the transaction.
        found: u64,
        /// This network.
        expected: u64,
    },
    /// The signature is nobody's, or not in the lower half of the order (EIP-2).
    #[error("invalid sender: the signature is not valid")]
    BadSignature,
    /// The account has sent one with this number already.
    #[error("nonce too low: next nonce {expected}, tx nonce {found}")]
    NonceTooLow {
        /// The transaction's.
        found: u64,
        /// The account's next one.
        expected: u64,
    },
    /// One of the account's before this is missing.
    #[error("nonce too high: next nonce {expected}, tx nonce {found}")]
    NonceTooHigh {
        /// The transaction's.
        found: u64,
        /// The account's next one.
        expected: u64,
    },
    /// The account can't pay what it sends and what the gas may cost.
    #[error("insufficient funds for gas * price + value")]
    InsufficientFunds,
    /// It offers less than gas costs here.
    #[error("transaction underpriced: gas costs {price} wei here")]
    PriceTooLow {
        /// What gas costs.
        price: u64,
    },
    /// The gas would not even pay for its bytes.
    #[error("intrinsic gas too low: have {found}, want {needed}")]
    IntrinsicGas {
        /// Its gas limit.
        found: u64,
        /// What is needed.
        needed: u64,
    },
    /// Its gas limit is above what one transaction may have.
    #[error("exceeds maximum per-transaction gas limit: {found}, at most {max} are allowed")]
    GasLimit {
        /// Its gas limit.
        found: u64,
        /// What is allowed.
        max: u64,
    },
    /// The gas that the block has left does not suffice. Another block's will.
    #[error("exceeds block gas limit: {needed} needed, the block has {left} left; send it again")]
    BlockFull {
        /// Its gas limit.
        needed: u64,
        /// What the block has left.
        left: u64,
    },
    /// A contract's address can't sign (EIP-3607).
    #[error("sender not an eoa: the sender has code")]
    SenderIsContract,
    /// Code to create a contract with that is too long (EIP-3860).
    #[error("max initcode size exceeded")]
    InitCodeTooLarge,
    /// Who sends it lacks the role for it.
    #[error(
        "not allowed: {sender} lacks the role `{role}`, which this network's validators give by their votes"
    )]
    NotAllowed {
        /// Who sends it.
        sender: Address,
        /// The role that is needed.
        role: Roles,
    },
    /// Anything else that Ethereum's rules exclude.
    #[error("invalid transaction: {0}")]
    Invalid(String),
}

impl Refusal {
    /// Whether a refusal with this text may pass by itself: the same transaction may be executed in a later block.
    #[must_use]
    pub fn passes(text: &str) -> bool {
        ["nonce too high", "exceeds block gas limit"]
            .iter()
            .any(|start| text.starts_with(start))
    }

    pub(crate) fn of(invalid: InvalidTransaction) -> Self {
        use InvalidTransaction as I;
        match invalid {
            I::NonceTooLow { tx, state } => Self::NonceTooLow {
                found: tx,
                expected: state,
            },
            I::NonceTooHigh { tx, state } => Self::NonceTooHigh {
                found: tx,
                expected: state,
            },
            I::LackOfFundForMaxFee { .. } | I::OverflowPaymentInTransaction => {
                Self::InsufficientFunds
            }
            I::CallGasCostMoreThanGasLimit {
                initial_gas,
                gas_limit,
            } => Self::IntrinsicGas {
                found: gas_limit,
                needed: initial_gas,
            },
            I::GasFloorMoreThanGasLimit {
                gas_floor,
                gas_limit,
            } => Self::IntrinsicGas {
                found: gas_limit,
                needed: gas_floor,
            },
            I::TxGasLimitGreaterThanCap { gas_limit, cap } => Self::GasLimit {
                found: gas_limit,
                max: cap,
            },
            I::RejectCallerWithCode => Self::SenderIsContract,
            I::CreateInitCodeSizeLimit => Self::InitCodeTooLarge,
            other => Self::Invalid(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_known_by_its_text() {
        let (found, expected, needed, left) = (1, 2, 3, 4);
        let high = Refusal::NonceTooHigh { found, expected };
        let low = Refusal::NonceTooLow { found, expected };
        let full = Refusal::BlockFull { needed, left };
        let passes = [high, full, low, Refusal::InsufficientFunds]
            .map(|one| Refusal::passes(&one.to_string()));
        assert_eq!(passes, [true, true, false, false]);
    }
}
