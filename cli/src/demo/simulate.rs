//! Simulated grasps: a two-finger gripper with a wrist camera and a wrist force sensor lifts objects that hold or slip.
//!
//! Every file says that it is simulated. A trial lasts 1.2 s: the fingers close (to 0.3 s), the arm takes up a third of the
//! weight while the object still rests on the table (to 0.6 s), then it lifts. The grasp slips when load and torque leave
//! the limit surface of the two contacts: `load * sqrt(1 + (offset / radius)^2) > 2 * friction * grip`. From then on kinetic
//! friction carries less than the weight, and stick-slip chatter shows in every channel.

use std::io;
use std::path::Path;

use super::files::{Picture, Progress, Table, cells, write_readme};
use super::rng::{SplitMix64, grey, real, wave};

/// Where the camera frames go, `trial_0001_f0.pgm` and so on.
pub(crate) const RAW_CAMERA: &str = "raw/camera";
/// Where the force traces go, `trial_0001.csv` and so on.
pub(crate) const RAW_FORCE: &str = "raw/force";
/// How many grasps are simulated, numbered from 1.
pub(crate) const TRIALS: usize = 180;
/// Frames of a trial: fingers open, closed, a third of the weight taken up.
pub(crate) const FRAMES: usize = 3;
/// Columns of a raw frame.
pub(crate) const WIDTH: usize = 96;
/// Rows of a raw frame.
pub(crate) const HEIGHT: usize = 72;
/// Samples a second of a force trace.
pub(crate) const RATE: usize = 100;
/// When the lift begins, in samples; what comes before is known before the outcome is.
pub(crate) const LIFT_BEGINS: usize = 60;
/// Columns of a force trace. The wrist sensor cannot see the closing force, so the gripper reports it as `grip`.
pub(crate) const FORCE_COLUMNS: [&str; 8] = ["time", "fx", "fy", "fz", "tx", "ty", "tz", "grip"];

const SAMPLES: usize = 120;
const SEED: u64 = 0x4752_4950_5452_4143;
const GRAVITY: f64 = 9.81;
const MM_PER_PIXEL: f64 = 2.0;

/// What the simulation wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Simulated {
    /// Grasps.
    pub(crate) trials: usize,
    /// Camera frames.
    pub(crate) frames: usize,
    /// Bytes of all files.
    pub(crate) bytes: usize,
}

/// Simulates all trials into [`RAW_CAMERA`] and [`RAW_FORCE`] below `dir`.
pub(crate) fn simulate(dir: &Path, progress: Progress<'_>) -> io::Result<Simulated> {
    let (camera, force) = (dir.join(RAW_CAMERA), dir.join(RAW_FORCE));
    let mut done = Simulated { trials: 0, frames: 0, bytes: 0 };
    done.bytes += write_readme(
        &camera,
        "Wrist camera, looking down at the fingers. Three frames a trial: open, closed, a third of the weight taken up.\nBinary PGM, 96 x 72, 8 bits. Edges show a label of the cell and an operator: neither exists.",
    )?;
    done.bytes += write_readme(
        &force,
        "Wrist force (N), torque (Nm) and closing force of the gripper (grip, N) at 100 Hz. fz is the load carried.\nThe fingers close until 0.3 s, a third of the weight is taken up until 0.6 s, then the arm lifts.",
    )?;
    for number in 1..=TRIALS {
        let mut rng = SplitMix64::new(SEED, number);
        let grasp = Grasp::draw(&mut rng);
        for frame in 0..FRAMES {
            let path = camera.join(format!("trial_{number:04}_f{frame}.pgm"));
            done.bytes += grasp.picture(frame, &mut rng).write(&path, &device(number, "camera SIM-CAM-0417"))?;
            done.frames += 1;
        }
        let path = force.join(format!("trial_{number:04}.csv"));
        let mut table = Table::new(path, &FORCE_COLUMNS);
        grasp.trace(&mut rng).iter().for_each(|row| table.push(sample_cells(row)));
        done.bytes += table.write(&device(number, "force sensor SIM-FT-0093"))?;
        done.trials += 1;
        progress("simulating grasps", number, TRIALS);
    }
    Ok(done)
}

/// Comment lines such as a device would write; made up, so that anonymisation has something to remove.
fn device(trial: usize, device: &str) -> Vec<String> {
    vec![
        format!("device: {device}, firmware 2.1.7"),
        format!("site: made-up cell 4, operator OP-{:02}, trial {trial:04}", trial % 7),
    ]
}

fn sample_cells(sample: &[f64; 8]) -> Vec<String> {
    let [time, fx, fy, fz, tx, ty, tz, grip] = *sample;
    [cells(&[time, fx, fy, fz], 2), cells(&[tx, ty, tz], 3), cells(&[grip], 2)].concat()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Box,
    Cylinder,
    Ball,
}

/// All that decides one trial. Lengths are in raw pixels except `offset`.
#[derive(Debug, Clone)]
struct Grasp {
    kind: Kind,
    half: (f64, f64),
    turn: (f64, f64),
    /// From the line between the fingers to the centre of mass, in mm.
    offset: f64,
    roughness: f64,
    brightness: f64,
    /// kg
    mass: f64,
    friction: f64,
    /// Closing force, N.
    closing: f64,
    /// Peak acceleration of the lift, m/s^2.
    lift: f64,
}

impl Grasp {
    fn draw(rng: &mut SplitMix64) -> Self {
        let third = rng.unit() * 3.0;
        let kind = if third < 1.0 {
            Kind::Box
        } else if third < 2.0 {
            Kind::Cylinder
        } else {
            Kind::Ball
        };
        let (a, b) = (rng.range(9.0, 14.0), rng.range(8.0, 13.0));
        let half = if kind == Kind::Ball { (a, a) } else { (a, b) };
        // The rational form of a rotation of up to 0.3 rad needs no sine.
        let t = rng.range(-0.15, 0.15);
        let turn = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
        let roughness = rng.unit();
        let density = rng.range(0.5, 1.3);
        Self {
            kind,
            half,
            turn,
            offset: (rng.normal() * 5.0).clamp(-11.0, 11.0),
            roughness,
            brightness: rng.range(150.0, 200.0),
            mass: density * half.0 * half.1 / 144.0,
            friction: (0.24 + 0.50 * roughness + 0.04 * rng.normal()).max(0.12),
            closing: rng.range(6.5, 20.0),
            lift: rng.range(1.5, 3.0),
        }
    }

    /// How much sooner an off-centre grasp slips: torsion takes its share of the friction.
    fn torsion(&self) -> f64 {
        let radius = match self.kind {
            Kind::Box => 13.0,
            Kind::Cylinder => 10.0,
            Kind::Ball => 8.0,
        };
        let lever = self.offset / radius;
        (1.0 + lever * lever).sqrt()
    }

    /// The load that the arm puts on the grasp at a time, in N, if nothing slips.
    fn wanted(&self, time: f64) -> f64 {
        let weight = self.mass * GRAVITY;
        if time < 0.6 {
            return weight / 3.0 * ((time - 0.3) / 0.1).clamp(0.0, 1.0);
        }
        let taken = weight * (1.0 / 3.0 + 2.0 / 3.0 * ((time - 0.6) / 0.08).clamp(0.0, 1.0));
        let speeding = if (0.68..0.88).contains(&time) { wave((time - 0.68) / 0.4) } else { 0.0 };
        let slowing = if (0.90..1.10).contains(&time) { wave((time - 0.90) / 0.4) } else { 0.0 };
        taken + self.mass * self.lift * (speeding - 0.5 * slowing)
    }

    /// The force trace: contact by contact law, sample by sample, with sensor noise.
    fn trace(&self, rng: &mut SplitMix64) -> Vec<[f64; 8]> {
        let mut contact = Contact::default();
        let skew = rng.normal() * 0.002;
        (0..SAMPLES)
            .map(|i| {
                let time = real(i) / real(RATE);
                let (load, grip, chatter) = contact.step(self, time);
                let noise = |rng: &mut SplitMix64, size: f64| rng.normal() * size;
                [
                    time,
                    0.35 * chatter + noise(rng, 0.07),
                    0.25 * chatter + noise(rng, 0.07),
                    load + chatter + noise(rng, 0.09),
                    (load + chatter) * self.offset / 1000.0 + noise(rng, 0.006),
                    load * skew + noise(rng, 0.006),
                    0.01 * chatter + noise(rng, 0.004),
                    (grip + noise(rng, 0.25)).max(0.0),
                ]
            })
            .collect()
    }
}

/// The state of the two contacts while a trial runs.
#[derive(Debug, Default)]
struct Contact {
    sliding: bool,
    slipped: bool,
    /// How much of the contact is lost: 1 when the object is out of the fingers.
    lost: f64,
}

impl Contact {
    /// One sample: the load carried, the closing force, and the stick-slip chatter on the load.
    fn step(&mut self, grasp: &Grasp, time: f64) -> (f64, f64, f64) {
        let ringing =
            if time < 0.2 { 0.0 } else { wave((time - 0.2) * 9.0) * 0.08 * (1.0 - (time - 0.2) / 0.2).max(0.0) };
        let grip = grasp.closing * ((time / 0.2).min(1.0) + ringing) * (1.0 - 0.25 * self.lost);
        let wanted = grasp.wanted(time);
        let cone = 2.0 * grasp.friction * grip / grasp.torsion();
        let kinetic = 0.72 * cone * (1.0 - self.lost);
        self.sliding = if self.sliding { wanted > kinetic } else { wanted > cone * (1.0 - self.lost) };
        if !self.sliding {
            return (wanted, grip, 0.0);
        }
        self.slipped = true;
        self.lost = (self.lost + 0.04).min(1.0);
        // 37 Hz, well inside what 100 Hz can show.
        (kinetic, grip, 0.4 * kinetic * wave(time * 37.0 + grasp.roughness))
    }
}

impl Grasp {
    /// One camera frame: table, object, fingers, and at the edges what must not leave the plant.
    fn picture(&self, frame: usize, rng: &mut SplitMix64) -> Picture {
        let sag = if frame == 2 { 0.06 * self.offset } else { 0.0 };
        let centre = (47.5 + rng.normal() * 0.4, 35.5 + (self.offset + sag) / MM_PER_PIXEL + rng.normal() * 0.3);
        let reach = if frame == 0 { self.half.0 + 7.0 } else { self.half.0 - 0.5 };
        let tint = rng.range(-6.0, 6.0);
        let mut pixels = Vec::with_capacity(WIDTH * HEIGHT);
        for row in 0..HEIGHT {
            for column in 0..WIDTH {
                let (x, y) = (real(column), real(row));
                let scene = edge_shade(x, y).or_else(|| finger_shade(x - centre.0, y, reach));
                let scene = scene.or_else(|| self.shade(x - centre.0, y - centre.1)).unwrap_or(66.0 + y * 0.1);
                pixels.push(grey(scene + tint + rng.range(-11.0, 11.0)));
            }
        }
        Picture { width: WIDTH, height: HEIGHT, pixels }
    }

    /// The grey of the object at a place from its centre; rough surfaces are grooved more deeply.
    fn shade(&self, x: f64, y: f64) -> Option<f64> {
        let along = self.turn.0 * x + self.turn.1 * y;
        let (p, q) = (along / self.half.0, (self.turn.0 * y - self.turn.1 * x) / self.half.1);
        let inside = match self.kind {
            Kind::Ball => p * p + q * q <= 1.0,
            Kind::Box | Kind::Cylinder => p.abs() <= 1.0 && q.abs() <= 1.0,
        };
        let shadow = match self.kind {
            Kind::Box => 0.0,
            Kind::Cylinder => 14.0 * q * q,
            Kind::Ball => 14.0 * (p * p + q * q),
        };
        inside.then(|| self.brightness - shadow + (6.0 + 30.0 * self.roughness) * wave(along / 8.0))
    }
}

/// The dark fingers, which come from the left and the right along the middle row.
fn finger_shade(x: f64, y: f64, reach: f64) -> Option<f64> {
    ((y - 35.5).abs() < 5.0 && (reach..reach + 22.0).contains(&x.abs())).then_some(22.0)
}

/// What only the edges show: an operator's face at the right, a striped label at the left.
fn edge_shade(x: f64, y: f64) -> Option<f64> {
    let (dx, dy) = ((x - 89.0) / 5.5, (y - 14.0) / 8.0);
    let feature = |cx: f64, cy: f64, w: f64, h: f64| (x - cx).abs() <= w && (y - cy).abs() <= h;
    if feature(87.0, 12.0, 0.6, 0.6) || feature(91.0, 12.0, 0.6, 0.6) || feature(89.0, 18.0, 2.0, 0.6) {
        return Some(40.0);
    }
    if dx * dx + dy * dy <= 1.0 {
        return Some(188.0);
    }
    let label = x < 10.0 && (48.0..66.0).contains(&y);
    label.then(|| if wave(x / 3.0 + y / 40.0) > 0.0 { 225.0 } else { 30.0 })
}

/// Whether a trial slips, by the simulation's own state and not by its files.
#[cfg(test)]
pub(crate) fn truly_slips(number: usize) -> bool {
    let grasp = Grasp::draw(&mut SplitMix64::new(SEED, number));
    let mut contact = Contact::default();
    for i in 0..SAMPLES {
        contact.step(&grasp, real(i) / real(RATE));
    }
    contact.slipped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_lowers_the_load_and_chatters_and_a_hold_does_not() {
        let mut grasp = Grasp::draw(&mut SplitMix64::new(SEED, 1));
        (grasp.mass, grasp.friction, grasp.offset, grasp.closing) = (0.8, 0.9, 0.0, 15.0);
        let mean_load =
            |g: &Grasp| g.trace(&mut SplitMix64::new(9, 9)).iter().skip(110).map(|s| s[3]).sum::<f64>() / 10.0;
        assert!((mean_load(&grasp) - 0.8 * GRAVITY).abs() < 0.2);
        grasp.friction = 0.2;
        assert!(mean_load(&grasp) < 0.5 * 0.8 * GRAVITY);
    }

    #[test]
    fn an_off_centre_grasp_slips_sooner() {
        let mut grasp = Grasp::draw(&mut SplitMix64::new(SEED, 1));
        grasp.offset = 0.0;
        let centred = grasp.torsion();
        grasp.offset = -8.0;
        assert!(grasp.torsion() > 1.1 * centred);
    }

    #[test]
    fn both_outcomes_are_common() {
        let slips = (1..=TRIALS).filter(|n| truly_slips(*n)).count();
        assert!((TRIALS * 3 / 10..=TRIALS * 7 / 10).contains(&slips), "{slips} of {TRIALS}");
    }
}
