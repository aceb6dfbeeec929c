// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {IRecordReceiver, Reading} from "./IStreams.sol";
import {Streams} from "./Streams.sol";

/**
 * @title A contract that is told of records
 * @notice Inherit, implement {_onRecord}, and call {_subscribe}, in the constructor if you like.
 * @dev A callback may be missed: it may need more gas than it was given, the block may be full, the prepaid gas may be
 * used up, or the stream may have no place for another subscriber. Nothing is called again. Where that would cost
 * somebody something, have a second way that reads the stream.
 *
 * Ether that the streams give back is added to the balance without a call, so this contract needs no function for it.
 * What becomes of it is for the inheritor to say: without a way out it stays here.
 *
 * Reentrancy: {onRecord} is called by the ledger before the block's transactions, never in the midst of one.
 */
abstract contract StreamSubscriber is IRecordReceiver {
    /// @notice Only the ledger may say that a record was accepted.
    /// @param caller who tried
    error NotStreams(address caller);

    /// @inheritdoc IRecordReceiver
    function onRecord(bytes32 stream, Reading[] calldata readings) external {
        if (msg.sender != address(Streams.AT)) revert NotStreams(msg.sender);
        _onRecord(stream, readings);
    }

    /// @dev A record was accepted. The gas for this was given at the subscription.
    /// @param stream the stream
    /// @param readings what the record appended, in the order of positions
    function _onRecord(bytes32 stream, Reading[] calldata readings) internal virtual;

    /// @dev Subscribes this contract, and pays for the gas out of its balance.
    /// @param stream the stream
    /// @param gasPerRecord how much gas each call may take
    /// @param gasPrepaid how much gas is paid for
    function _subscribe(bytes32 stream, uint64 gasPerRecord, uint64 gasPrepaid) internal {
        Streams.AT.subscribe{value: Streams.cost(gasPrepaid)}(stream, gasPerRecord, gasPrepaid);
    }

    /// @dev Ends this contract's subscription. Reverts when there is none, as after the prepaid gas was used up.
    /// @param stream the stream
    function _unsubscribe(bytes32 stream) internal {
        Streams.AT.unsubscribe(stream);
    }
}
