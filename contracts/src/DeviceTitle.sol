// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {IERC4907} from "./IERC4907.sol";

/**
 * @title Titles to devices: who owns a device, and who rents it
 * @notice A title is an ERC-721 token, with ERC-4907's user for rental. The token's number is the device's identifier,
 * read as a big-endian number. {mayCommand} says whose commands the device obeys: the user's while a rental runs, else
 * the owner's.
 * @dev Titles are minted by the issuer alone, the owner of the gateway that knows the devices, and are never burnt.
 *
 * Who may transfer a title (its owner, whoever is approved for it, the owner's operators) may also rent it out, and end
 * or change a rental that runs: that is ERC-4907's rule. A renter who wants more security rents from a contract that
 * owns the title and keeps to its terms. A transfer ends the rental.
 */
contract DeviceTitle is ERC721, IERC4907 {
    /// @dev A rental, in one slot.
    struct Rental {
        address user;
        uint64 expires;
    }

    /// @notice Who mints titles. Fixed at deployment.
    address public immutable issuer;

    /// @dev The rentals, also those that are over.
    mapping(uint256 tokenId => Rental) private _rentals;

    /// @notice The issuer must be an account, not the zero address.
    error ZeroIssuer();

    /// @notice Only the issuer may do this.
    /// @param caller who tried
    error NotIssuer(address caller);

    /// @notice Fixes the issuer.
    /// @param issuer_ who mints titles
    constructor(address issuer_) ERC721("Hedgerow Device Title", "DEVICE") {
        if (issuer_ == address(0)) revert ZeroIssuer();
        issuer = issuer_;
    }

    /// @notice Makes the title to a device. Only the issuer may, and only once for each device.
    /// @dev A contract that gets a title must say that it can handle it (`onERC721Received`).
    /// @param to the first owner
    /// @param tokenId the device's identifier
    function mint(address to, uint256 tokenId) external {
        if (msg.sender != issuer) revert NotIssuer(msg.sender);
        _safeMint(to, tokenId);
    }

    /// @inheritdoc IERC4907
    /// @dev For the owner, whoever is approved for the token, and the owner's operators; others get
    /// `ERC721InsufficientApproval`. Without a user the end is kept as 0.
    function setUser(uint256 tokenId, address user, uint64 expires) external {
        _checkAuthorized(_requireOwned(tokenId), msg.sender, tokenId);
        _setUser(tokenId, user, user == address(0) ? 0 : expires);
    }

    /// @notice Who may command the device: the user, and nobody else, while a rental runs, else the owner. Approved
    /// accounts and operators may not.
    /// @param tokenId the device's identifier
    /// @param who the account that wants to
    /// @return whether it may; false when there is no title to the device
    function mayCommand(uint256 tokenId, address who) external view returns (bool) {
        address user = userOf(tokenId);
        return who != address(0) && who == (user == address(0) ? _ownerOf(tokenId) : user);
    }

    /// @inheritdoc IERC4907
    function userOf(uint256 tokenId) public view returns (address) {
        Rental storage rental = _rentals[tokenId];
        return block.timestamp <= rental.expires ? rental.user : address(0);
    }

    /// @inheritdoc IERC4907
    function userExpires(uint256 tokenId) external view returns (uint256) {
        return _rentals[tokenId].expires;
    }

    /// @notice Which interfaces this contract has (ERC-165): ERC-165, ERC-721 with its metadata, ERC-4907.
    /// @param interfaceId the interface's identifier
    /// @return whether it has it
    function supportsInterface(bytes4 interfaceId) public view override(ERC721) returns (bool) {
        return interfaceId == type(IERC4907).interfaceId || super.supportsInterface(interfaceId);
    }

    /// @dev Every transfer ends the rental.
    function _update(address to, uint256 tokenId, address auth) internal override returns (address from) {
        from = super._update(to, tokenId, auth);
        if (_rentals[tokenId].user != address(0)) _setUser(tokenId, address(0), 0);
    }

    /// @dev Keeps the rental and says so.
    function _setUser(uint256 tokenId, address user, uint64 expires) private {
        _rentals[tokenId] = Rental(user, expires);
        emit UpdateUser(tokenId, user, expires);
    }
}
