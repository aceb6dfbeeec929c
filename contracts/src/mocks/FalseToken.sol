// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {PlainToken} from "./PlainToken.sol";

/// @title For tests only: a token that returns false instead of moving anything
contract FalseToken is PlainToken {
    /// @notice Moves nothing.
    /// @return always false
    function transferFrom(address, address, uint256) public pure override returns (bool) {
        return false;
    }
}
