//! When a certificate ends. The only field of X.509 that we read ourselves (RFC 5280 §4.1): enough
//! to warn in time, without a parser for all of it.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `[0] EXPLICIT Version`.
const VERSION: u8 = 0xA0;

/// `notAfter` of a certificate in DER form; `None` if it has another structure.
#[must_use]
pub fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let (certificate, _) = expect(SEQUENCE, certificate)?;
    let (to_be_signed, _) = expect(SEQUENCE, certificate)?;
    let rest = match element(to_be_signed)? {
        (VERSION, _, rest) => rest,
        _ => to_be_signed,
    };
    let (_serial, rest) = expect(INTEGER, rest)?;
    let (_signature, rest) = expect(SEQUENCE, rest)?;
    let (_issuer, rest) = expect(SEQUENCE, rest)?;
    let (validity, _) = expect(SEQUENCE, rest)?;
    let (_, _not_before, rest) = element(validity)?;
    let (tag, not_after, _) = element(rest)?;
    time(tag, not_after)
}

fn expect(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(input)?;
    (found == tag).then_some((content, rest))
}

/// Tag, content and what follows. DER: definite lengths only, tags below 31.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7F => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7F))?;
            let length = bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// RFC 5280 §4.1.2.5: always seconds and `Z`; two-digit years are 1950 to 2049.
fn time(tag: u8, text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    let full = match tag {
        UTC_TIME => {
            let century = if text.get(..2)? < "50" { "20" } else { "19" };
            format!("{century}{text}")
        }
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let civil = DateTime::strptime("%Y%m%d%H%M%SZ", &full).ok()?;
    Some(TimeZone::UTC.to_zoned(civil).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;

    fn authority() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(include_bytes!("authority.pem")).unwrap()
    }

    #[test]
    fn the_end_is_what_openssl_says() {
        // openssl x509 -enddate -noout -in authority.pem
        let end = not_after(&authority()).unwrap();
        assert_eq!(end.to_string(), "2126-10-28T00:44:11Z");
    }

    #[test]
    fn two_digit_years_reach_to_2049() {
        let year = |text: &str| time(UTC_TIME, text.as_bytes()).unwrap().to_string();
        assert_eq!(year("491231235959Z"), "2049-12-31T23:59:59Z");
        assert_eq!(year("500101000000Z"), "1950-01-01T00:00:00Z");
        assert_eq!(time(UTC_TIME, b"soon"), None);
    }

    proptest! {
        #[test]
        fn anything_at_all_may_be_in_the_file(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            cut in 0..600_usize,
        ) {
            let _ = not_after(&bytes);
            let whole = authority();
            let part = &whole[..cut.min(whole.len())];
            let found = not_after(part);
            prop_assert!(found.is_none() || part.len() == whole.len());
        }
    }
}
