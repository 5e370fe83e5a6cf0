//! Bytes in one piece. serde takes a `Vec<u8>` for a list of numbers and goes through it one by one;
//! postcard's form of both is the same.

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserializer, Serializer};
use std::fmt;

/// Most bytes set aside because of a length that was only announced.
const TRUSTED: usize = 4096;

pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    deserializer.deserialize_byte_buf(Bytes)
}

struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }

    // JSON has no bytes, only numbers.
    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Vec<u8>, A::Error> {
        let announced = numbers.size_hint().unwrap_or(0);
        let mut bytes = Vec::with_capacity(announced.min(TRUSTED));
        while let Some(byte) = numbers.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Whole(#[serde(with = "super")] Vec<u8>);

    #[test]
    fn bytes_have_the_form_of_a_list_of_numbers() {
        for length in [0, 1, 127, 128, 70_000] {
            let list: Vec<u8> = (0..length).map(|n: u32| n as u8).collect();
            let as_list = postcard::to_stdvec(&list).unwrap();
            let whole = Whole(list);
            assert_eq!(postcard::to_stdvec(&whole).unwrap(), as_list);
            assert_eq!(postcard::from_bytes::<Whole>(&as_list).unwrap(), whole);
            let json = serde_json::to_string(&whole).unwrap();
            assert_eq!(serde_json::from_str::<Whole>(&json).unwrap(), whole);
        }
    }

    #[test]
    fn a_length_beyond_the_end_is_refused() {
        assert!(postcard::from_bytes::<Whole>(&[0xff, 0xff, 0xff, 0x7f, 1]).is_err());
    }
}
