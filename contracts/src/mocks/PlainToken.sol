// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title For tests only: an ERC-20 token that anyone mints
contract PlainToken is ERC20 {
    constructor() ERC20("Plain token for tests", "PLAIN") {}

    /// @notice Makes tokens.
    /// @param to who gets them
    /// @param amount how many
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}
