use bytes::Bytes;
use hedgerow_base::NodeId;
use hedgerow_world::{Attacker, Liar, Plot, Rng, Subject};

/// Sends, beside or instead of what it should, frames with bits turned, cut short, glued together or made up: its
/// own and those of others.
#[derive(Debug)]
pub struct Forge {
    heard: Vec<Bytes>,
    ppm: u32,
    instead: bool,
}

impl Forge {
    /// How often is up to the seed.
    pub fn new(rng: &mut Rng) -> Self {
        Self {
            heard: Vec::new(),
            ppm: rng.spread(10_000, 600_000) as u32,
            instead: rng.chance(300_000),
        }
    }
}

fn mutate(rng: &mut Rng, frame: &Bytes, other: Option<&Bytes>) -> Bytes {
    let mut bytes = frame.to_vec();
    match rng.below(5) {
        0 => {
            for _ in 0..rng.between(1, 4) {
                if !bytes.is_empty() {
                    let at = rng.below(bytes.len() as u64) as usize;
                    bytes[at] ^= 1 << rng.below(8);
                }
            }
        }
        1 => bytes.truncate(rng.below(bytes.len() as u64 + 1) as usize),
        2 => {
            let at = rng.below(bytes.len() as u64 + 1) as usize;
            bytes.truncate(at);
            bytes.extend_from_slice(other.map_or(&[], |other| &other[at.min(other.len())..]));
        }
        3 => {
            let size = rng.spread(1, 2_000);
            bytes = (0..size).map(|_| rng.draw() as u8).collect();
        }
        _ => {
            // A length or a counter somewhere becomes huge.
            if bytes.len() > 8 {
                let at = rng.below(bytes.len() as u64 - 4) as usize;
                bytes[at..at + 4].fill(0xff);
            }
        }
    }
    bytes.into()
}

impl<S: Subject> Attacker<S> for Forge {
    fn frame(&mut self, me: &mut Liar<'_, S>, to: NodeId, frame: Bytes, plot: &mut Plot) {
        if me.rng.chance(self.ppm) {
            let other = (!self.heard.is_empty()).then(|| me.rng.pick(&self.heard).clone());
            let base = if me.rng.chance(500_000) {
                &frame
            } else {
                other.as_ref().unwrap_or(&frame)
            };
            plot.send(to, mutate(me.rng, base, other.as_ref()));
            if self.instead {
                return;
            }
        }
        plot.send(to, frame);
    }

    fn hear(&mut self, me: &mut Liar<'_, S>, _: NodeId, frame: &Bytes, _: &mut Plot) -> bool {
        if self.heard.len() < 64 {
            self.heard.push(frame.clone());
        } else if me.rng.chance(50_000) {
            let at = me.rng.below(64) as usize;
            self.heard[at] = frame.clone();
        }
        true
    }
}
