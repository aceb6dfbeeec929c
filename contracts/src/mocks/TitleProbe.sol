// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DeviceTitle} from "../DeviceTitle.sol";

/// @title For tests only: asks a title in a transaction, so that the answer belongs to a known time
contract TitleProbe {
    /// @notice What the title answered.
    /// @param timestamp the block's time
    /// @param ownerMay whether the owner may command
    /// @param userMay whether the account asked about may
    /// @param user the title's user
    event Probed(uint256 timestamp, bool ownerMay, bool userMay, address user);

    /// @notice Asks, and emits the answers.
    /// @param title the contract to ask
    /// @param tokenId the title
    /// @param who the account to ask about
    function probe(DeviceTitle title, uint256 tokenId, address who) external {
        emit Probed(
            block.timestamp,
            title.mayCommand(tokenId, title.ownerOf(tokenId)),
            title.mayCommand(tokenId, who),
            title.userOf(tokenId)
        );
    }
}
