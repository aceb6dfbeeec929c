// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// A counter, and all the ways to fail.
contract Counter {
    event Incremented(address indexed caller, uint256 count);

    error TooMany(uint256 asked, uint256 most);

    uint256 public count;

    function increment() external {
        count += 1;
        emit Incremented(msg.sender, count);
    }

    function failWithReason() external {
        count = 0;
        revert("the counter refuses");
    }

    function failWithCustomError() external {
        count = 0;
        revert TooMany(7, 3);
    }

    function failWithoutMessage() external {
        count = 0;
        require(count != 0);
    }

    function sendBack() external payable {
        (bool sent,) = msg.sender.call{value: msg.value}("");
        require(sent, "not sent back");
    }
}
