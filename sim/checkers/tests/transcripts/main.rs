//! Each checker against runs made by hand: good ones pass, and each kind of bad one is caught.

mod answers;
mod epochs;
mod order;
mod script;
mod settled;
mod time;
