//! Misbehaviours that need not know the protocol, one per file: they work on frames and on time.

mod crash_loop;
mod delay;
mod flood;
mod forge;
mod replay;
mod selective;
mod silent;

use hedgerow_world::{Attack, Role, Subject};

pub use crash_loop::CrashLoop;
pub use delay::Delay;
pub use flood::Flood;
pub use forge::Forge;
pub use replay::Replay;
pub use selective::Selective;
pub use silent::Silent;

/// All of them.
#[must_use]
pub fn generic<S: Subject>() -> Vec<Attack<S>> {
    vec![
        Attack {
            name: "silent",
            role: Role::Any,
            make: |rng| Box::new(Silent::new(rng)),
        },
        Attack {
            name: "delay",
            role: Role::Replica,
            make: |rng| Box::new(Delay::new(rng)),
        },
        Attack {
            name: "replay",
            role: Role::Any,
            make: |rng| Box::new(Replay::new(rng)),
        },
        Attack {
            name: "flood",
            role: Role::Any,
            make: |rng| Box::new(Flood::new(rng)),
        },
        Attack {
            name: "forge",
            role: Role::Any,
            make: |rng| Box::new(Forge::new(rng)),
        },
        Attack {
            name: "selective",
            role: Role::Any,
            make: |rng| Box::new(Selective::new(rng)),
        },
        Attack {
            name: "crash-loop",
            role: Role::Any,
            make: |rng| Box::new(CrashLoop::new(rng)),
        },
    ]
}
