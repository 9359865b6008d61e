//! LOC as text ([RFC 1876](https://www.rfc-editor.org/rfc/rfc1876) §3).

/// Latitude 0 and longitude 0, in thousandths of a second of arc.
const EQUATOR: i64 = 1 << 31;

/// Altitude 0: 100 km below the reference, in centimetres.
const BASE: i64 = 10_000_000;

/// The rdata; `None` when it's of another version or means nothing.
pub(super) fn text(rdata: &[u8]) -> Option<String> {
    let [0, size, horizontal, vertical, numbers @ ..] = rdata else {
        return None;
    };
    let (words, []) = numbers.as_chunks::<4>() else {
        return None;
    };
    let [latitude, longitude, altitude] = words else {
        return None;
    };
    let number = |word: &[u8; 4]| i64::from(u32::from_be_bytes(*word));
    Some(format!(
        "{} {} {}m {} {} {}",
        angle(number(latitude) - EQUATOR, 90, ["N", "S"])?,
        angle(number(longitude) - EQUATOR, 180, ["E", "W"])?,
        centimetres(number(altitude) - BASE),
        precision(*size)?,
        precision(*horizontal)?,
        precision(*vertical)?,
    ))
}

fn angle(thousandths: i64, most: i64, [ahead, behind]: [&str; 2]) -> Option<String> {
    let side = if thousandths < 0 { behind } else { ahead };
    let whole = thousandths.abs();
    let (seconds, fraction) = (whole / 1000, whole % 1000);
    let (degrees, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    (whole <= most * 3_600_000)
        .then(|| format!("{degrees} {minutes} {seconds}.{fraction:03} {side}"))
}

fn centimetres(all: i64) -> String {
    let sign = if all < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", all.abs() / 100, all.abs() % 100)
}

/// A size: one digit and a power of ten, in centimetres.
fn precision(octet: u8) -> Option<String> {
    let (digit, power) = (octet >> 4, octet & 0xf);
    if digit > 9 || power > 9 {
        return None;
    }
    let all = i64::from(digit) * 10_i64.pow(power.into());
    Some(match all % 100 {
        0 => format!("{}m", all / 100),
        _ => format!("{}m", centimetres(all)),
    })
}
