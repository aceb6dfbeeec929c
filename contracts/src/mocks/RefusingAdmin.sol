// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {VoteRegistry} from "../VoteRegistry.sol";

/// @title For tests only: an admin of a vote that takes no ether
contract RefusingAdmin {
    /// @notice Tries to collect a vote's ether.
    /// @param registry the vote
    function collect(VoteRegistry registry) external {
        registry.collect();
    }
}
