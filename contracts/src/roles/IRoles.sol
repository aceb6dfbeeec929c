// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/**
 * @title Who may do what, as contracts see it
 * @notice The ledger itself answers at 0x0000000000000000000000000000000000004852. Roles are given and taken by the
 * validators' votes, and hold from the block after the decision on. A set of roles is the sum of:
 * 1 call: send transactions; 2 deploy: deploy contracts by them; 4 subscribe: have contracts subscribe to streams by them;
 * 8 register: register devices; 16 gateway: carry transactions; 32 validate. The last three are members'.
 * @dev Only by CALL and STATICCALL.
 */
interface IRoles {
    /// @notice Not one of these functions, or not its encoding.
    error BadCall();

    /// @notice By DELEGATECALL or CALLCODE, or ether was sent along.
    error NotAllowedHere();

    /// @notice What somebody may do: by roles of its own, or because everyone may.
    /// @param subject an account; or a member, by the last 20 bytes of keccak256 of its Ed25519 key
    function rolesOf(address subject) external view returns (uint16 roles);

    /// @notice What everyone may do.
    function rolesOfEveryone() external view returns (uint16 roles);
}
