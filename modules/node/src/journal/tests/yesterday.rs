//! The reader of version 1 as it was released, in as few lines as it can be: what it makes of a journal, offsets and all.
//! It is never changed.

use super::Disk;

/// The payload of every frame, or why it would not start.
pub(super) fn read(disk: &Disk) -> Result<Vec<Vec<u8>>, String> {
    let mut payloads = Vec::new();
    for file in disk.0.borrow().files.values() {
        let bytes = &file.bytes;
        assert_eq!((&bytes[..8], &bytes[10..12]), (&b"TANDEMRJ"[..], &[0, 0][..]));
        let version = u16::from_le_bytes([bytes[8], bytes[9]]);
        if version > 1 {
            return Err(format!("version {version}"));
        }
        assert_eq!(bytes[28..32], crc32fast::hash(&bytes[..28]).to_be_bytes());
        let mut at = 32;
        while at < bytes.len() {
            let frame = &bytes[at..];
            assert_eq!(&frame[..4], b"TDJF");
            let length = u32::from_le_bytes(frame[4..8].try_into().unwrap()) as usize;
            let frame = &frame[..44 + length];
            let sum = crc32fast::hash(&[&frame[..8], &frame[12..]].concat());
            assert_eq!(frame[8..12], sum.to_le_bytes());
            assert_eq!(frame[40..44], [0; 4], "what it left free stays free");
            if length > 0 {
                payloads.push(frame[44..].to_vec());
            }
            at += 44 + length;
        }
    }
    Ok(payloads)
}
