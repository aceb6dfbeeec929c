//! Curves of latency against throughput, as pictures.

use std::{fs, io::BufWriter, path::Path, sync::Once};

use anyhow::{Context, Result, anyhow};
use plotters::{
    coord::Shift,
    prelude::*,
    style::{
        FontStyle, register_font,
        text_anchor::{HPos, Pos, VPos},
    },
};

/// Width and height of a picture, in pixels.
const SIZE: (u32, u32) = (1080, 720);
const FONT: &str = "sans-serif";
/// Okabe and Ito's colours, which people who see fewer colours can tell apart; each curve has a marker of its own, too.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
];

/// The points of one curve in the order in which a line connects them.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub(crate) name: String,
    /// Throughput in requests per second, latency in milliseconds.
    pub(crate) points: Vec<(f64, f64)>,
}

/// A picture to be drawn.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub(crate) title: String,
    /// Lines below the title.
    pub(crate) notes: Vec<String>,
    pub(crate) curves: Vec<Curve>,
}

/// Writes a picture as `DIR/NAME.svg` and `DIR/NAME.png`.
pub(crate) fn write(picture: &Picture, dir: &Path, name: &str) -> Result<()> {
    let svg = dir.join(format!("{name}.svg"));
    fs::write(&svg, self::svg(picture)?).with_context(|| svg.display().to_string())?;
    let png = dir.join(format!("{name}.png"));
    let file = fs::File::create(&png).with_context(|| png.display().to_string())?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    let pixels = pixels(picture)?;
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&pixels))
        .with_context(|| png.display().to_string())
}

fn svg(picture: &Picture) -> Result<String> {
    let mut text = String::new();
    draw(picture, SVGBackend::with_string(&mut text, SIZE))?;
    Ok(text)
}

fn pixels(picture: &Picture) -> Result<Vec<u8>> {
    let mut pixels = vec![0; SIZE.0 as usize * SIZE.1 as usize * 3];
    draw(picture, BitMapBackend::with_buffer(&mut pixels, SIZE))?;
    Ok(pixels)
}

/// The font comes with the program: a picture does not depend on where it is drawn.
fn load_font() {
    static LOADED: Once = Once::new();
    LOADED.call_once(|| {
        for style in [FontStyle::Normal, FontStyle::Bold] {
            let _ = register_font(FONT, style, dejavu::sans::regular());
        }
    });
}

fn draw<B: DrawingBackend>(picture: &Picture, backend: B) -> Result<()> {
    load_font();
    let area = backend.into_drawing_area();
    paint(picture, &area).map_err(|error| anyhow!("the picture can't be drawn: {error}"))
}

type Drawing<B> = DrawingArea<B, Shift>;

fn paint<B: DrawingBackend>(
    picture: &Picture,
    area: &Drawing<B>,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    area.fill(&WHITE)?;
    let centre = |size: u32| {
        let style = TextStyle::from((FONT, size).into_font()).color(&BLACK);
        style.pos(Pos::new(HPos::Center, VPos::Top))
    };
    let middle = SIZE.0 as i32 / 2;
    area.draw(&Text::new(picture.title.as_str(), (middle, 14), centre(24)))?;
    let mut below = 46;
    for note in &picture.notes {
        area.draw(&Text::new(note.as_str(), (middle, below), centre(14)))?;
        below += 19;
    }
    let points = || picture.curves.iter().flat_map(|curve| &curve.points);
    let right = points().map(|point| point.0).fold(1.0, f64::max);
    let low = points().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let high = points().map(|point| point.1).fold(0.0, f64::max);
    let (low, high) = if low <= high {
        (low, high)
    } else {
        (0.1, 10.0)
    };
    let (low, high) = (
        (low / 1.1).log2().floor().exp2(),
        (high * 1.1).log2().ceil().exp2(),
    );
    let mut chart = ChartBuilder::on(area)
        .margin_top(below + 8)
        .margin_right(36)
        .margin_bottom(12)
        .margin_left(12)
        .x_label_area_size(56)
        .y_label_area_size(78)
        .build_cartesian_2d(0.0..right * 1.05, (low..high).log_scale().base(2.0))?;
    let thousands = |x: &f64| format!("{:.0}", x / 1e3);
    chart
        .configure_mesh()
        .x_desc("throughput (thousand requests/s)")
        .y_desc("mean latency (ms), logarithmic")
        .x_label_formatter(&thousands)
        .y_label_formatter(&|y| format!("{y}"))
        .axis_desc_style((FONT, 19))
        .label_style((FONT, 16))
        .light_line_style(BLACK.mix(0.06))
        .bold_line_style(BLACK.mix(0.16))
        .draw()?;
    for (index, curve) in picture.curves.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let line = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(curve.points.iter().copied(), line))?
            .label(curve.name.as_str())
            .legend(move |(x, y)| {
                EmptyElement::at((x, y))
                    + PathElement::new([(0, 0), (34, 0)], colour.stroke_width(2))
                    + marker(index, 17, colour)
            });
        chart.draw_series(
            curve
                .points
                .iter()
                .map(|&point| EmptyElement::at(point) + marker(index, 0, colour)),
        )?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .margin(14)
        .legend_area_size(44)
        .background_style(WHITE.mix(0.9))
        .border_style(BLACK.mix(0.4))
        .label_font((FONT, 17))
        .draw()?;
    area.present()
}

/// The shape of curve `index`, `right` pixels from where it belongs: an outline, so that one shows through another.
fn marker(index: usize, right: i32, colour: RGBColor) -> PathElement<(i32, i32)> {
    let shape: &[(i32, i32)] = match index % 7 {
        0 => &[(-5, -5), (5, -5), (5, 5), (-5, 5)],
        1 => &[(0, -7), (7, 6), (-7, 6)],
        2 => &[(0, -7), (7, 0), (0, 7), (-7, 0)],
        3 => &[(0, 7), (7, -6), (-7, -6)],
        4 => &[(-6, 0), (-3, -6), (3, -6), (6, 0), (3, 6), (-3, 6)],
        5 => &[(-7, -2), (7, -2), (7, 2), (-7, 2)],
        _ => &[(-2, -7), (2, -7), (2, 7), (-2, 7)],
    };
    let closed = shape.iter().chain(shape.first());
    let moved: Vec<_> = closed.map(|(x, y)| (x + right, *y)).collect();
    PathElement::new(moved, colour.stroke_width(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        let curve = |name: &str, points: &[(f64, f64)]| Curve {
            name: name.to_owned(),
            points: points.to_vec(),
        };
        Picture {
            title: "4/0 <KiB> & more".to_owned(),
            notes: vec!["a note".to_owned()],
            curves: vec![
                curve("one", &[(1_000.0, 0.5), (90_000.0, 2.0)]),
                curve("another", &[(800.0, 0.7), (50_000.0, 250.0)]),
                curve("none", &[]),
            ],
        }
    }

    #[test]
    fn a_picture_says_what_it_shows() {
        let svg = svg(&picture()).unwrap();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let texts: Vec<_> = document
            .descendants()
            .filter(|node| node.has_tag_name("text"))
            .filter_map(|node| node.text().map(str::trim))
            .collect();
        for wanted in [
            "4/0 <KiB> & more",
            "a note",
            "one",
            "another",
            "throughput (thousand requests/s)",
            "mean latency (ms), logarithmic",
        ] {
            assert!(texts.contains(&wanted), "{wanted}: {texts:?}");
        }
    }

    /// Without a system's fonts, and to the last pixel the same each time.
    #[test]
    fn each_curve_has_its_colour_and_the_title_its_letters() {
        let pixels = pixels(&picture()).unwrap();
        assert_eq!(pixels, super::pixels(&picture()).unwrap());
        let count = |colour: RGBColor| {
            let wanted = [colour.0, colour.1, colour.2];
            pixels.chunks(3).filter(|pixel| **pixel == wanted).count()
        };
        assert!(count(COLOURS[0]) > 100 && count(COLOURS[1]) > 100);
        assert_eq!(count(COLOURS[3]), 0);
        let row = SIZE.0 as usize * 3;
        let title = &pixels[14 * row..40 * row];
        let dark = title.chunks(3).filter(|pixel| pixel[0] < 64).count();
        assert!(dark > 200, "{dark}");
    }

    #[test]
    fn a_picture_of_nothing_can_be_drawn() {
        let nothing = Picture {
            curves: Vec::new(),
            ..picture()
        };
        assert!(svg(&nothing).is_ok());
    }
}
