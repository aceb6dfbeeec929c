// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Decimal} from "../streams/Decimal.sol";

/// @title For tests only: the library Decimal, to be called from outside
contract DecimalProbe {
    /// @notice As `Decimal.read`.
    /// @param text the text
    /// @param decimals how many decimals
    /// @return whether it is a number
    /// @return the number
    function read(bytes calldata text, uint8 decimals) external pure returns (bool, int256) {
        return Decimal.read(text, decimals);
    }

    /// @notice As `Decimal.readAt`.
    /// @param json the object
    /// @param key the key
    /// @param decimals how many decimals
    /// @return whether there is a number
    /// @return the number
    function readAt(bytes calldata json, bytes calldata key, uint8 decimals) external pure returns (bool, int256) {
        return Decimal.readAt(json, key, decimals);
    }
}
