use hedgerow_world::{Checker, Observation};

/// When all is answered, everything stops: nothing is sent, nothing is stored, nobody wants to be woken.
#[derive(Debug, Default)]
pub struct Silence {
    quiet: bool,
}

impl Checker for Silence {
    fn name(&self) -> &'static str {
        "silence"
    }

    fn observe(&mut self, _: u64, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Quiet => self.quiet = true,
            Observation::Active { node, what } if self.quiet => {
                return Err(format!("{node} {what} although nothing is left to do"));
            }
            Observation::Restless { node } => {
                return Err(format!(
                    "{node} still wants to be woken although nothing is left to do"
                ));
            }
            _ => {}
        }
        Ok(())
    }
}
