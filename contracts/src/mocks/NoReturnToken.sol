// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title For tests only: a token whose functions return nothing, as some older ones do
contract NoReturnToken {
    /// @notice Who owns how many.
    mapping(address owner => uint256) public balanceOf;

    /// @notice Who may move how many of whose.
    mapping(address owner => mapping(address spender => uint256)) public allowance;

    /// @notice Makes tokens.
    /// @param to who gets them
    /// @param amount how many
    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    /// @notice Lets somebody move the caller's tokens.
    /// @param spender who may
    /// @param amount how many
    function approve(address spender, uint256 amount) external {
        allowance[msg.sender][spender] = amount;
    }

    /// @notice Moves tokens, or reverts.
    /// @param from whose
    /// @param to who gets them
    /// @param amount how many
    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}
