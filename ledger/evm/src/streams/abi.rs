//! The interface as contracts have it, from the file that they have it from.
#![allow(missing_docs, clippy::all, clippy::pedantic, clippy::nursery)]

alloy_sol_types::sol!("../../contracts/src/streams/IStreams.sol");
