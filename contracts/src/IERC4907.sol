// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/**
 * @title ERC-4907: a role of a user of a token, which ends at a time
 * @notice The interface as the standard has it. Its ERC-165 identifier is 0xad092b5c.
 */
interface IERC4907 {
    /// @notice The user of a token, or the end of the use, has changed.
    /// @param tokenId the token
    /// @param user the new user; the zero address: there is none
    /// @param expires the last second of the use, in seconds since 1970
    event UpdateUser(uint256 indexed tokenId, address indexed user, uint64 expires);

    /// @notice Sets a token's user and the end of the use.
    /// @param tokenId the token
    /// @param user the new user; the zero address: there is none
    /// @param expires the last second of the use, in seconds since 1970
    function setUser(uint256 tokenId, address user, uint64 expires) external;

    /// @notice A token's user.
    /// @param tokenId the token
    /// @return the user; the zero address when there is none, or the use has ended
    function userOf(uint256 tokenId) external view returns (address);

    /// @notice When the use of a token ends.
    /// @param tokenId the token
    /// @return its last second, in seconds since 1970; it may be over
    function userExpires(uint256 tokenId) external view returns (uint256);
}
