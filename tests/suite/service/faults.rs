//! What fails around the service, and what of it a caller notices: nothing that was acknowledged is lost, nothing is
//! there twice, and nobody pays for another one's trouble.

mod crowd;
mod disk;
mod ending;
mod kill;
mod places;
mod wire;
