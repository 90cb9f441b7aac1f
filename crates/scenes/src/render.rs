//! Drawing a scene: every pixel is the mean of a grid of samples, so edges are smooth.

use image::{Rgb, RgbImage};

use crate::scene::{Background, Object, Scene};
use crate::words::{Colour, Ground, Shape, Texture};

/// Samples along each side of a pixel.
const SAMPLES: u32 = 4;

type Rgb32 = [f32; 3];

impl Scene {
    /// The picture, `size` pixels wide and high.
    pub fn render(&self, size: u32) -> RgbImage {
        let step = 1.0 / (size * SAMPLES) as f32;
        RgbImage::from_fn(size, size, |x, y| {
            let mut sum = [0.0; 3];
            for i in 0..SAMPLES * SAMPLES {
                let (sx, sy) = (x * SAMPLES + i % SAMPLES, y * SAMPLES + i / SAMPLES);
                let colour = self.colour_at((sx as f32 + 0.5) * step, (sy as f32 + 0.5) * step);
                for (sum, value) in sum.iter_mut().zip(colour) {
                    *sum += value;
                }
            }
            Rgb(sum.map(|value| (value / (SAMPLES * SAMPLES) as f32).round() as u8))
        })
    }

    fn colour_at(&self, x: f32, y: f32) -> Rgb32 {
        match self.objects.iter().find(|object| object.covers(x, y)) {
            Some(object) => rgb(object.colour),
            None => self.background.colour_at(x, y),
        }
    }
}

impl Background {
    fn colour_at(&self, x: f32, y: f32) -> Rgb32 {
        let cell = |v: f32, n: f32| (v * n).floor() as i32;
        let second = match self.texture {
            Texture::Plain => false,
            Texture::Striped => cell(y, 10.0) % 2 == 1,
            Texture::Checkered => (cell(x, 8.0) + cell(y, 8.0)) % 2 == 1,
            Texture::Dotted => {
                let offset = |v: f32| (v * 7.0).fract() - 0.5;
                offset(x).hypot(offset(y)) < 0.28
            }
        };
        let (first, other) = tones(self.ground);
        if second { other } else { first }
    }
}

impl Object {
    /// Whether a point lies on the object.
    fn covers(&self, x: f32, y: f32) -> bool {
        let (u, v) = ((x - self.x) / self.radius(), (y - self.y) / self.radius());
        let (a, b) = (u.abs(), v.abs());
        match self.shape {
            Shape::Circle => u.hypot(v) <= 0.9,
            Shape::Ring => (0.5..=0.95).contains(&u.hypot(v)),
            Shape::Square => a.max(b) <= 0.8,
            Shape::Diamond => a * 1.25 + b <= 1.0,
            Shape::Cross => a.max(b) <= 0.95 && a.min(b) <= 0.28,
            Shape::Triangle => (-0.85..=0.75).contains(&v) && a <= (v + 0.85) / 1.6,
            Shape::Star => in_star(u, v),
            Shape::Heart => {
                // (x² + y² - 1)³ ≤ x² y³, the usual heart curve, scaled to the radius.
                let (x, y) = (u * 1.25, -v * 1.25 + 0.1);
                (x * x + y * y - 1.0).powi(3) <= x * x * y * y * y
            }
        }
    }
}

/// A five-pointed star with outer radius 1, one point up.
fn in_star(u: f32, v: f32) -> bool {
    let sector = std::f32::consts::TAU / 5.0;
    // The angle from the nearest point of the star, folded to one half sector.
    let angle = (u.atan2(-v).rem_euclid(sector) - sector / 2.0).abs();
    let from_tip = sector / 2.0 - angle;
    let (x, y) = (u.hypot(v) * from_tip.cos(), u.hypot(v) * from_tip.sin());
    // Inside the straight edge from the tip (1, 0) to the notch.
    let notch = 0.42;
    let (nx, ny) = (notch * (sector / 2.0).cos(), notch * (sector / 2.0).sin());
    (nx - 1.0) * y - ny * (x - 1.0) >= 0.0
}

fn rgb(colour: Colour) -> Rgb32 {
    match colour {
        Colour::Red => [220.0, 30.0, 35.0],
        Colour::Green => [50.0, 190.0, 60.0],
        Colour::Blue => [45.0, 105.0, 250.0],
        Colour::Yellow => [250.0, 225.0, 40.0],
        Colour::Purple => [150.0, 45.0, 200.0],
        Colour::White => [255.0, 255.0, 255.0],
        Colour::Black => [0.0, 0.0, 0.0],
    }
}

/// The two tones of a background.
fn tones(ground: Ground) -> (Rgb32, Rgb32) {
    match ground {
        Ground::Pink => ([250.0, 165.0, 190.0], [225.0, 125.0, 155.0]),
        Ground::Teal => ([20.0, 125.0, 125.0], [60.0, 165.0, 160.0]),
        Ground::Grey => ([135.0, 135.0, 140.0], [170.0, 170.0, 175.0]),
        Ground::Brown => ([115.0, 75.0, 40.0], [150.0, 108.0, 70.0]),
        Ground::Navy => ([25.0, 35.0, 95.0], [60.0, 72.0, 135.0]),
        Ground::Beige => ([235.0, 220.0, 180.0], [208.0, 188.0, 142.0]),
    }
}
