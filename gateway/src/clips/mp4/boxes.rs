//! The boxes before the pictures.

use super::{MAX_NAME, Sample, Times, Track};
use shiguredo_mp4::boxes::{
    Brand, Co64Box, DinfBox, EdtsBox, ElstBox, ElstEntry, EsdsBox, FtypBox, HdlrBox, MdhdBox,
    MdiaBox, MediaHeader, MinfBox, MoovBox, MvhdBox, SampleEntry, StblBox, StcoBox, StscBox,
    StscEntry, StsdBox, StszBox, SttsBox, TkhdBox, TrakBox, UnknownBox, VisualSampleEntryFields,
    VmhdBox,
};
use shiguredo_mp4::descriptors::{DecoderConfigDescriptor, EsDescriptor, SlConfigDescriptor};
use shiguredo_mp4::{
    BoxHeader, BoxSize, BoxType, Either, Encode, FixedPointNumber, LanguageCode, Mp4FileTime,
    Result, Uint,
};
use std::num::NonZeroU32;
use std::time::Duration;

const MP4V: BoxType = BoxType::Normal(*b"mp4v");
const MDAT: BoxType = BoxType::Normal(*b"mdat");

/// Visual ISO/IEC 10918-1: JPEG (14496-1, table 5).
const OBJECT_TYPE_JPEG: u8 = 0x6C;
/// Visual stream (14496-1, table 6).
const STREAM_TYPE_VISUAL: Uint<u8, 6, 2> = Uint::new(0x04);
const TRACK_ID: u32 = 1;

/// Bytes of header for each picture, at most: 8 for its time, 4 for its size, 8 for its place.
const BYTES_PER_SAMPLE: usize = 20;
/// Everything else in it, at most.
const FIXED_BYTES: usize = 4_096;

/// All that stands before the first picture. There must be at least one.
pub(super) fn header(track: &Track<'_>, samples: &[Sample], times: &Times) -> Result<Vec<u8>> {
    let payload: u64 = samples.iter().map(|sample| u64::from(sample.bytes)).sum();
    let room = FIXED_BYTES + BYTES_PER_SAMPLE * samples.len();
    let large = payload + room as u64 > u64::from(u32::MAX);

    let mut bytes = vec![0; room];
    let ftyp = FtypBox {
        major_brand: Brand::ISOM,
        minor_version: 0x200,
        compatible_brands: vec![Brand::ISOM, Brand::ISO2, Brand::MP41],
    };
    let moov_at = ftyp.encode(&mut bytes)?;
    let mdat = BoxHeader {
        box_type: MDAT,
        box_size: BoxSize::with_payload_size(MDAT, payload),
    };
    // Its length does not depend on the places that it names: the first time they are wrong.
    let moov_len = moov(track, samples, times, large, 0).encode(&mut bytes[moov_at..])?;
    let mdat_at = moov_at + moov_len;
    let data_at = mdat_at + mdat.external_size();
    moov(track, samples, times, large, data_at as u64).encode(&mut bytes[moov_at..])?;
    mdat.encode(&mut bytes[mdat_at..])?;
    bytes.truncate(data_at);
    Ok(bytes)
}

fn moov(
    track: &Track<'_>,
    samples: &[Sample],
    times: &Times,
    large: bool,
    data_at: u64,
) -> MoovBox {
    let stood: u64 = times.stands.iter().copied().map(u64::from).sum();
    let duration = times.offset + stood;
    let since_1970 = Duration::from_secs(u64::try_from(track.zero_utc_s).unwrap_or_default());
    let created = Mp4FileTime::from_unix_time(since_1970);
    let timescale = NonZeroU32::MIN.saturating_add(times.timescale - 1);

    let mut edits = Vec::new();
    if times.offset > 0 {
        // Nothing is shown up to the first picture.
        edits.push(edit(times.offset, -1));
    }
    edits.push(edit(stood, 0));

    let stbl = StblBox {
        stsd_box: StsdBox {
            entries: vec![sample_entry(track, samples, times)],
        },
        stts_box: stts(times),
        ctts_box: None,
        cslg_box: None,
        stsc_box: StscBox {
            entries: vec![StscEntry {
                first_chunk: NonZeroU32::MIN,
                sample_per_chunk: 1,
                sample_description_index: NonZeroU32::MIN,
            }],
        },
        stsz_box: StszBox::Variable {
            entry_sizes: samples.iter().map(|sample| sample.bytes).collect(),
        },
        stco_or_co64_box: places(samples, large, data_at),
        stss_box: None,
        sdtp_box: None,
        unknown_boxes: Vec::new(),
    };
    let mdia = MdiaBox {
        mdhd_box: MdhdBox {
            creation_time: created,
            modification_time: created,
            timescale,
            duration: stood,
            language: LanguageCode::UNDEFINED,
        },
        hdlr_box: HdlrBox {
            handler_type: HdlrBox::HANDLER_TYPE_VIDE,
            name: handler_name(track.name),
        },
        minf_box: MinfBox {
            media_header: Some(MediaHeader::Vmhd(VmhdBox {
                graphicsmode: VmhdBox::DEFAULT_GRAPHICSMODE,
                opcolor: VmhdBox::DEFAULT_OPCOLOR,
            })),
            dinf_box: DinfBox::LOCAL_FILE,
            stbl_box: stbl,
            unknown_boxes: Vec::new(),
        },
        unknown_boxes: Vec::new(),
    };
    let trak = TrakBox {
        tkhd_box: TkhdBox {
            flag_track_enabled: true,
            flag_track_in_movie: true,
            flag_track_in_preview: false,
            flag_track_size_is_aspect_ratio: false,
            creation_time: created,
            modification_time: created,
            track_id: TRACK_ID,
            duration,
            layer: TkhdBox::DEFAULT_LAYER,
            alternate_group: TkhdBox::DEFAULT_ALTERNATE_GROUP,
            volume: TkhdBox::DEFAULT_VIDEO_VOLUME,
            matrix: TkhdBox::DEFAULT_MATRIX,
            width: pixels(track.width),
            height: pixels(track.height),
        },
        edts_box: Some(EdtsBox {
            elst_box: Some(ElstBox { entries: edits }),
            unknown_boxes: Vec::new(),
        }),
        mdia_box: mdia,
        unknown_boxes: Vec::new(),
    };
    MoovBox {
        mvhd_box: MvhdBox {
            creation_time: created,
            modification_time: created,
            timescale,
            duration,
            rate: MvhdBox::DEFAULT_RATE,
            volume: MvhdBox::DEFAULT_VOLUME,
            matrix: MvhdBox::DEFAULT_MATRIX,
            next_track_id: TRACK_ID + 1,
        },
        trak_boxes: vec![trak],
        mvex_box: None,
        unknown_boxes: Vec::new(),
    }
}

fn edit(edit_duration: u64, media_time: i64) -> ElstEntry {
    ElstEntry {
        edit_duration,
        media_time,
        media_rate: FixedPointNumber::new(1, 0),
    }
}

fn stts(times: &Times) -> SttsBox {
    let mut entries: Vec<shiguredo_mp4::boxes::SttsEntry> = Vec::new();
    for &sample_delta in &times.stands {
        match entries.last_mut() {
            Some(last) if last.sample_delta == sample_delta => last.sample_count += 1,
            _ => entries.push(shiguredo_mp4::boxes::SttsEntry {
                sample_count: 1,
                sample_delta,
            }),
        }
    }
    SttsBox { entries }
}

fn places(samples: &[Sample], large: bool, data_at: u64) -> Either<StcoBox, Co64Box> {
    let mut at = data_at;
    let places = samples.iter().map(|sample| {
        let place = at;
        at += u64::from(sample.bytes);
        place
    });
    if large {
        Either::B(Co64Box {
            chunk_offsets: places.collect(),
        })
    } else {
        // `large` is false only when all of them fit.
        let places = places.map(|place| u32::try_from(place).unwrap_or(u32::MAX));
        Either::A(StcoBox {
            chunk_offsets: places.collect(),
        })
    }
}

/// `mp4v`: the fields of every visual sample entry, and what the stream is.
fn sample_entry(track: &Track<'_>, samples: &[Sample], times: &Times) -> SampleEntry {
    let fields = VisualSampleEntryFields {
        data_reference_index: VisualSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX,
        width: track.width,
        height: track.height,
        horizresolution: VisualSampleEntryFields::DEFAULT_HORIZRESOLUTION,
        vertresolution: VisualSampleEntryFields::DEFAULT_VERTRESOLUTION,
        frame_count: VisualSampleEntryFields::DEFAULT_FRAME_COUNT,
        compressorname: VisualSampleEntryFields::NULL_COMPRESSORNAME,
        depth: VisualSampleEntryFields::DEFAULT_DEPTH,
    };
    let largest = samples.iter().map(|sample| sample.bytes).max();
    let (average, most) = bitrates(samples, times);
    let esds = EsdsBox {
        es: EsDescriptor {
            // An ES_ID in a file is 0: the track's number says it (14496-14, 3.1.2).
            es_id: 0,
            stream_priority: EsDescriptor::LOWEST_STREAM_PRIORITY,
            depends_on_es_id: None,
            url_string: None,
            ocr_es_id: None,
            dec_config_descr: DecoderConfigDescriptor {
                object_type_indication: OBJECT_TYPE_JPEG,
                stream_type: STREAM_TYPE_VISUAL,
                up_stream: DecoderConfigDescriptor::UP_STREAM_FALSE,
                buffer_size_db: Uint::new(largest.unwrap_or_default().min(0xFF_FFFF)),
                max_bitrate: most,
                avg_bitrate: average,
                dec_specific_info: None,
            },
            sl_config_descr: SlConfigDescriptor,
        },
    };
    // Neither can fail: their size is known and small.
    let mut payload = fields.encode_to_vec().unwrap_or_default();
    payload.extend(esds.encode_to_vec().unwrap_or_default());
    SampleEntry::Unknown(UnknownBox {
        box_type: MP4V,
        box_size: BoxSize::with_payload_size(MP4V, payload.len() as u64),
        payload,
    })
}

/// Bits per second: on average, and in the second that has most.
fn bitrates(samples: &[Sample], times: &Times) -> (u32, u32) {
    let second = u64::from(times.timescale);
    let (mut stood, mut all) = (0_u64, 0_u64);
    let (mut first, mut first_at, mut window, mut most) = (0, 0_u64, 0_u64, 0_u64);
    for (sample, stand) in samples.iter().zip(&times.stands) {
        all += u64::from(sample.bytes);
        window += u64::from(sample.bytes);
        while stood - first_at >= second {
            window -= u64::from(samples[first].bytes);
            first_at += u64::from(times.stands[first]);
            first += 1;
        }
        most = most.max(window);
        stood += u64::from(*stand);
    }
    let average = u128::from(all) * 8 * u128::from(second) / u128::from(stood.max(1));
    (
        u32::try_from(average).unwrap_or(u32::MAX),
        u32::try_from(most * 8).unwrap_or(u32::MAX),
    )
}

fn pixels(size: u16) -> FixedPointNumber<i16, u16> {
    FixedPointNumber::new(i16::try_from(size).unwrap_or(i16::MAX), 0)
}

/// As UTF-8 with a zero behind it.
fn handler_name(name: &str) -> Vec<u8> {
    let mut kept = String::new();
    for letter in name.chars().filter(|letter| !letter.is_control()) {
        if kept.len() + letter.len_utf8() > MAX_NAME {
            break;
        }
        kept.push(letter);
    }
    kept.push('\0');
    kept.into_bytes()
}
