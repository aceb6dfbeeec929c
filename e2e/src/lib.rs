//! A network of real processes, used and mistreated from outside, as an operator's machines and devices are.
//!
//! `torture` kills processes under load and checks every record afterwards; `idle` measures what a network costs that
//! has nothing to do. Both know the program by its command line, its HTTP interface and its MQTT broker only.

mod chaos;
mod device;
mod http;
mod mqtt;
mod network;
mod options;
mod recovery;
mod verdict;

pub use chaos::{Chaos, Report};
pub use device::{Device, Fleet, Sent};
pub use http::Http;
pub use mqtt::Mqtt;
pub use network::{Member, Network};
pub use options::Options;
pub use recovery::Recovery;
pub use verdict::{Verdict, judge};
