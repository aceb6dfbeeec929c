// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {StreamEscrow} from "../StreamEscrow.sol";
import {Callback} from "./Callback.sol";

/// @title For tests only: a buyer or seller that calls back when it receives ether
contract EscrowParty is Callback {
    /// @notice A deal was opened.
    /// @param escrow the deal
    event Deal(StreamEscrow escrow);

    /// @notice Takes ether, and calls back.
    receive() external payable {
        _callBack();
    }

    /// @notice Opens a deal as its buyer, without a subscription.
    /// @param terms what is agreed on
    function open(StreamEscrow.Terms calldata terms) external payable {
        emit Deal(new StreamEscrow{value: msg.value}(terms, 0, 0));
    }

    /// @notice Takes the ether of a deal back.
    /// @param escrow the deal
    function takeBack(StreamEscrow escrow) external {
        escrow.takeBack();
    }

    /// @notice Withdraws from a deal.
    /// @param escrow the deal
    function withdraw(StreamEscrow escrow) external {
        escrow.withdraw();
    }
}
