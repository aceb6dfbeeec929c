// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {PlainToken} from "./PlainToken.sol";
import {Callback} from "./Callback.sol";

/// @title For tests only: a token that calls back when it is moved
contract CallbackToken is PlainToken, Callback {
    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        _callBack();
    }
}
