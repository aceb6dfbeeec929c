// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {IStreams} from "./IStreams.sol";

/**
 * @title Where the streams are, and what their gas costs
 * @notice `Streams.AT.latest(stream)` reads. Who wants to be told of records inherits from StreamSubscriber.
 */
library Streams {
    /// @notice The ledger's own address ("HG"), the same on every network.
    IStreams internal constant AT = IStreams(0x0000000000000000000000000000000000004847);

    /// @notice What must be sent along with {IStreams-subscribe} and {IStreams-fund}, in wei.
    /// @dev A network has one gas price, which every transaction pays and tx.gasprice therefore is. On most it is 0.
    /// @param gasPaid how much gas is paid for
    /// @return what it costs
    function cost(uint64 gasPaid) internal view returns (uint256) {
        return gasPaid * tx.gasprice;
    }
}
