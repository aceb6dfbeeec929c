// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {VoteRegistry} from "../VoteRegistry.sol";
import {Callback} from "./Callback.sol";

/// @title For tests only: an admin of a vote that calls back when it receives ether
contract CallbackAdmin is Callback {
    /// @notice Takes ether, and calls back.
    receive() external payable {
        _callBack();
    }

    /// @notice Collects a vote's ether.
    /// @param registry the vote
    function collect(VoteRegistry registry) external {
        registry.collect();
    }
}
