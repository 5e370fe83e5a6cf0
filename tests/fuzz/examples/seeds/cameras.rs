//! Small pictures in every layout, without tables, cut off, and several in a row.

use crate::put;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use std::io::Result;

/// Makes them, small in bytes.
pub fn make() -> Result<()> {
    let jpeg = |side: u16, colour: ColorType, set: &dyn Fn(&mut Encoder<&mut Vec<u8>>)| {
        let step = if matches!(colour, ColorType::Luma) {
            1
        } else {
            3
        };
        let pixels: Vec<u8> = (0..usize::from(side) * usize::from(side) * step)
            .map(|at| (at * 7) as u8 ^ (at / 16) as u8)
            .collect();
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 30);
        set(&mut encoder);
        encoder
            .encode(&pixels, side, side, colour)
            .expect("it encodes");
        bytes
    };
    let grey = jpeg(16, ColorType::Luma, &|_| {});
    let sampled = |sampling| jpeg(17, ColorType::Rgb, &|one| one.set_sampling_factor(sampling));
    let yuyv_like = sampled(SamplingFactor::R_4_2_2);
    let seeds = [
        ("4-2-0", sampled(SamplingFactor::R_4_2_0)),
        ("4-4-4", sampled(SamplingFactor::R_4_4_4)),
        (
            "restarts",
            jpeg(24, ColorType::Luma, &|one| one.set_restart_interval(2)),
        ),
        (
            "own-tables",
            jpeg(24, ColorType::Rgb, &|one| {
                one.set_optimized_huffman_tables(true)
            }),
        ),
        (
            "progressive",
            jpeg(16, ColorType::Luma, &|one| one.set_progressive(true)),
        ),
        ("bare", without_tables(&yuyv_like)),
        ("cut-off", grey[..grey.len() - 4].to_vec()),
        ("padded", [&grey[..], &[0; 16]].concat()),
        (
            "stream",
            [
                b"--part\r\n",
                &grey[..],
                &grey[..grey.len() - 9],
                &without_tables(&grey),
            ]
            .concat(),
        ),
        ("4-2-2", yuyv_like),
        ("grey", grey),
    ];
    for (name, bytes) in seeds {
        put("camera_jpeg", name, &bytes)?;
    }
    Ok(())
}

/// As cameras send them.
fn without_tables(jpeg: &[u8]) -> Vec<u8> {
    let mut bare = jpeg.to_vec();
    while let Some(at) = bare.windows(2).position(|two| two == [0xFF, 0xC4]) {
        let length = usize::from(u16::from_be_bytes([bare[at + 2], bare[at + 3]]));
        bare.drain(at..at + 2 + length);
    }
    bare
}
