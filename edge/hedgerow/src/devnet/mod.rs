//! A whole network on one machine: validators, a gateway, and devices that replay a file of readings.

mod children;
mod feeder;
mod fleet;
mod meter;
mod screen;
mod site;
mod watch;

pub(crate) use children::Children;
pub(crate) use feeder::{Feeder, WINDOW};
pub(crate) use fleet::Fleet;
pub(crate) use meter::Meter;
pub(crate) use screen::Screen;
pub(crate) use site::{Site, url_of_default, validators_of_default};
pub(crate) use watch::Watch;
