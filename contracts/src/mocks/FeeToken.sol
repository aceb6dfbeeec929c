// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {PlainToken} from "./PlainToken.sol";

/// @title For tests only: a token that keeps a tenth of what is moved
contract FeeToken is PlainToken {
    function _update(address from, address to, uint256 value) internal override {
        uint256 fee = from == address(0) || to == address(0) ? 0 : value / 10;
        super._update(from, to, value - fee);
        if (fee > 0) super._update(from, address(this), fee);
    }
}
