// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title For tests only: calls back once, and keeps what came of it
abstract contract Callback {
    /// @notice Whom to call; the zero address: nobody.
    address public target;

    /// @notice What to call with.
    bytes public data;

    /// @notice How often it called.
    uint256 public calls;

    /// @notice Whether the last call succeeded.
    bool public succeeded;

    /// @notice What the last call returned, or why it failed.
    bytes public result;

    /// @notice Makes ready for one call.
    /// @param target_ whom to call
    /// @param data_ what to call with
    function arm(address target_, bytes calldata data_) external {
        target = target_;
        data = data_;
    }

    /// @dev The call.
    function _callBack() internal {
        address callee = target;
        if (callee == address(0)) return;
        target = address(0);
        ++calls;
        (succeeded, result) = callee.call(data);
    }
}
