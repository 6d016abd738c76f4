//! The record format: what the columns of a row hold (section 2.1 of the file format).

/// A value in exactly the form in which it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Value {
    /// NULL; also what stands for the row's id in its own column.
    Null,
    /// A whole number.
    Integer(i64),
    /// A binary floating point number.
    Real(f64),
    /// Text in UTF-8, unless somebody stored other bytes as text.
    Text(Vec<u8>),
    /// Bytes.
    Blob(Vec<u8>),
}

/// How texts are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Encoding {
    #[default]
    Utf8,
    Utf16Le,
    Utf16Be,
}

/// A variable-length integer at the start of `bytes`, and how many of them it takes; none where they end before it does.
pub(super) fn varint(bytes: &[u8]) -> Option<(i64, usize)> {
    let mut value: u64 = 0;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        if index == 8 {
            return Some(((value << 8 | u64::from(*byte)).cast_signed(), 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value.cast_signed(), index + 1));
        }
    }
    None
}

/// The values of a record; none where header and body do not fill it exactly.
pub(super) fn values(payload: &[u8], encoding: Encoding) -> Option<Vec<Value>> {
    let (header_length, mut at) = varint(payload)?;
    let header_length = usize::try_from(header_length).ok()?;
    let header = payload.get(..header_length)?;
    let mut body = payload.get(header_length..)?;
    let mut values = Vec::new();
    while at < header_length {
        let (serial, length) = varint(header.get(at..)?)?;
        at += length;
        let (value, length) = value(serial, body, encoding)?;
        body = body.get(length..)?;
        values.push(value);
    }
    (at == header_length && body.is_empty()).then_some(values)
}

/// A value of the serial type at the start of `body`, and how many bytes it takes.
fn value(serial: i64, body: &[u8], encoding: Encoding) -> Option<(Value, usize)> {
    let integer = |length: usize| Some((Value::Integer(signed(body.get(..length)?)), length));
    match serial {
        0 => Some((Value::Null, 0)),
        1..=4 => integer(usize::try_from(serial).ok()?),
        5 => integer(6),
        6 => integer(8),
        7 => {
            let bytes: [u8; 8] = body.get(..8)?.try_into().ok()?;
            Some((Value::Real(f64::from_be_bytes(bytes)), 8))
        }
        8 => Some((Value::Integer(0), 0)),
        9 => Some((Value::Integer(1), 0)),
        12.. => {
            let length = usize::try_from((serial - 12) / 2).ok()?;
            let bytes = body.get(..length)?;
            let value = if serial % 2 == 0 {
                Value::Blob(bytes.to_owned())
            } else {
                Value::Text(text(bytes, encoding))
            };
            Some((value, length))
        }
        // 10 and 11 never occur in a file.
        _ => None,
    }
}

/// A big-endian number of up to eight bytes in two's complement.
fn signed(bytes: &[u8]) -> i64 {
    let first = bytes
        .first()
        .map_or(0, |byte| i64::from(byte.cast_signed()));
    bytes
        .iter()
        .skip(1)
        .fold(first, |value, byte| value << 8 | i64::from(*byte))
}

fn text(bytes: &[u8], encoding: Encoding) -> Vec<u8> {
    let unit = |pair: &[u8]| {
        let pair = [
            pair.first().copied().unwrap_or_default(),
            pair.get(1).copied().unwrap_or_default(),
        ];
        match encoding {
            Encoding::Utf16Be => u16::from_be_bytes(pair),
            Encoding::Utf8 | Encoding::Utf16Le => u16::from_le_bytes(pair),
        }
    };
    match encoding {
        Encoding::Utf8 => bytes.to_owned(),
        Encoding::Utf16Le | Encoding::Utf16Be => char::decode_utf16(bytes.chunks(2).map(unit))
            .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect::<String>()
            .into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_of_all_lengths_are_read() {
        assert_eq!(varint(&[0x7f]), Some((127, 1)));
        assert_eq!(varint(&[0x81, 0x00]), Some((128, 2)));
        assert_eq!(varint(&[0xff; 9]), Some((-1, 9)));
        assert_eq!(varint(&[0x80; 8]), None);
        assert_eq!(varint(&[]), None);
        assert_eq!(signed(&[0xff, 0xfe]), -2);
        assert_eq!(signed(&[0x7f, 0xff, 0xff]), 0x007f_ffff);
    }

    #[test]
    fn a_record_is_filled_exactly() {
        // Three columns: NULL, the number 1 and the text "ab".
        let record = [4, 0, 9, 17, b'a', b'b'];
        assert_eq!(
            values(&record, Encoding::Utf8),
            Some(vec![
                Value::Null,
                Value::Integer(1),
                Value::Text(b"ab".to_vec())
            ])
        );
        assert_eq!(values(&record[..5], Encoding::Utf8), None, "cut off");
        assert_eq!(
            values(&[4, 0, 9, 17, b'a', b'b', 0], Encoding::Utf8),
            None,
            "too long"
        );
        assert_eq!(values(&[2, 10], Encoding::Utf8), None, "a reserved type");
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = values(&bytes, Encoding::Utf16Le);
        }
    }
}
