//! What the rdata of each type is made of: one table, which master files are read
//! by and rdata is printed by, so that neither knows a type that the other doesn't.
//!
//! A type without a row is written as octets ([RFC 3597] §5).
//!
//! [RFC 3597]: https://www.rfc-editor.org/rfc/rfc3597

use super::rr::RecordType;

/// One field of rdata, with the name its error messages give it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field {
    U8(&'static str),
    U16(&'static str),
    U32(&'static str),
    /// Seconds in 32 bits.
    Time(&'static str),
    /// Seconds that serve as a TTL, so 31 bits (RFC 2308 §4, RFC 2181 §8).
    TtlTime(&'static str),
    /// A DNSSEC algorithm, by number or mnemonic (RFC 4034 §5.3).
    Algorithm,
    Ipv4,
    Ipv6,
    Name(&'static str),
    /// A character-string: its length, then up to 255 octets.
    Text(&'static str),
    /// One or more character-strings to the end.
    Texts,
    /// A string that fills the rest and has no length of its own; may it be empty?
    Rest(&'static str, bool),
    /// A character-string of letters and digits (RFC 8659 §4.1).
    Tag,
    /// Octets to the end, at least one, in hexadecimal.
    Hex(&'static str),
    /// Octets to the end, at least one, in base64.
    Base64(&'static str),
    /// Service parameters to the end (RFC 9460 §2.2).
    Parameters,
    /// All of a LOC record (RFC 1876 §2).
    Location,
}

use Field::*;

/// The fields of a type that has a form of its own here.
pub(super) fn schema(rtype: RecordType) -> Option<&'static [Field]> {
    Some(match rtype {
        RecordType::A => &[Ipv4],
        RecordType::AAAA => &[Ipv6],
        RecordType::NS => &[Name("name server")],
        RecordType::MD | RecordType::MF => &[Name("mail host")],
        RecordType::MB => &[Name("host of the mailbox")],
        RecordType::MG => &[Name("mailbox of the group")],
        RecordType::MR => &[Name("mailbox")],
        RecordType::MINFO => &[Name("mailbox"), Name("mailbox for errors")],
        RecordType::CNAME => &[Name("canonical name")],
        RecordType::DNAME => &[Name("target")],
        RecordType::PTR => &[Name("name pointed to")],
        RecordType::SOA => &[
            Name("primary name server"),
            Name("mailbox"),
            U32("serial"),
            Time("refresh time"),
            Time("retry time"),
            Time("expire time"),
            TtlTime("minimum TTL"),
        ],
        RecordType::MX => &[U16("preference"), Name("mail host")],
        RecordType::AFSDB => &[U16("subtype"), Name("host")],
        RecordType::RT => &[U16("preference"), Name("intermediate host")],
        RecordType::KX => &[U16("preference"), Name("key exchanger")],
        RecordType::PX => &[U16("preference"), Name("RFC 822 part"), Name("X.400 part")],
        RecordType::X25 => &[Text("PSDN address")],
        RecordType::TXT | RecordType::SPF => &[Texts],
        RecordType::SRV => &[U16("priority"), U16("weight"), U16("port"), Name("target")],
        RecordType::CAA => &[U8("flags"), Tag, Rest("property value", true)],
        RecordType::NAPTR => &[
            U16("order"),
            U16("preference"),
            Text("flags"),
            Text("services"),
            Text("regular expression"),
            Name("replacement"),
        ],
        RecordType::DS | RecordType::CDS => {
            &[U16("key tag"), Algorithm, U8("digest type"), Hex("digest")]
        }
        RecordType::DNSKEY | RecordType::CDNSKEY => &[
            U16("flags"),
            U8("protocol"),
            Algorithm,
            Base64("public key"),
        ],
        RecordType::ZONEMD => &[
            U32("serial"),
            U8("scheme"),
            U8("hash algorithm"),
            Hex("digest"),
        ],
        RecordType::DHCID => &[Base64("digest")],
        RecordType::TLSA | RecordType::SMIMEA => &[
            U8("certificate usage"),
            U8("selector"),
            U8("matching type"),
            Hex("certificate data"),
        ],
        RecordType::SSHFP => &[U8("algorithm"), U8("fingerprint type"), Hex("fingerprint")],
        RecordType::SVCB | RecordType::HTTPS => &[U16("priority"), Name("target"), Parameters],
        RecordType::LOC => &[Location],
        RecordType::HINFO => &[Text("CPU"), Text("operating system")],
        RecordType::RP => &[Name("mailbox"), Name("name of the TXT record")],
        RecordType::URI => &[U16("priority"), U16("weight"), Rest("target URI", false)],
        RecordType::OPENPGPKEY => &[Base64("key")],
        _ => return None,
    })
}
