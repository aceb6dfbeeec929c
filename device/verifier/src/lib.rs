//! The proof verifier for microcontrollers.
