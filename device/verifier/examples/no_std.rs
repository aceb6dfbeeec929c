//! That the verifier, with all that it depends on, does without `std`.
//!
//!     cargo rustc -p hedgerow-verifier --example no_std --features no-std-check -- -C panic=abort
//!
//! A program has one panic handler, and `std` has one: if anything brought `std` in, this crate would not compile. It
//! is built alone, because in a build of the whole workspace others ask the same dependencies for their `std` parts.
//! On a microcontroller the program also needs an allocator, which is the device's choice.
#![no_std]

use core::panic::PanicInfo;

use hedgerow_verifier::Verifier;

/// Whether `proof` holds for the network that `trust_root` describes.
#[must_use]
pub fn proves(trust_root: &[u8], proof: &[u8]) -> bool {
    Verifier::new(trust_root).is_ok_and(|verifier| verifier.verify(proof).is_ok())
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}
