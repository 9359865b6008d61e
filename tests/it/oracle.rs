//! What NLnet Labs' `domain` makes of text and octets. It shares no line with the
//! code under test, so that both can't be wrong in the same way.

use std::str::FromStr;

use domain::base::iana::{Class, Rtype};
use domain::base::opt::UnknownOptData;
use domain::base::{Message, MessageBuilder, Name, ParsedRecord};
use domain::rdata::AllRecordData;
use domain::zonefile::inplace::{Entry, ScannedRecord, Zonefile};

/// The records of a master file without `$INCLUDE`, or what is wrong with it.
pub fn records(text: &str, origin: &str) -> Result<Vec<ScannedRecord>, String> {
    let mut file = Zonefile::new();
    file.extend_from_slice(text.as_bytes());
    // An entry is only taken for whole with the end of its line.
    file.extend_from_slice(b"\n");
    file.set_default_class(Class::IN);
    file.set_origin(Name::from_str(origin).unwrap());
    let mut records = Vec::new();
    loop {
        match file.next_entry() {
            Ok(Some(Entry::Record(record))) => records.push(record),
            Ok(Some(entry)) => return Err(format!("no record: {entry:?}")),
            Ok(None) => return Ok(records),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// A record as [`sections`] prints it, whichever way it was written.
pub fn printed(record: &ScannedRecord) -> String {
    let mut message = MessageBuilder::new_vec().answer();
    message.push(record).unwrap();
    let [mut answer, ..] = sections(message.as_slice());
    answer.remove(0)
}

/// A name as it stands in a message; `\046` and the like are octets of labels.
pub fn name(text: &str) -> Vec<u8> {
    let name = Name::<Vec<u8>>::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    name.as_octets().clone()
}

/// The number of a record type: `MG`, `TYPE1000`.
pub fn rtype(text: &str) -> u16 {
    let rtype = Rtype::from_str(text).unwrap_or_else(|_| panic!("type {text}"));
    rtype.to_int()
}

/// The options of a message's OPT record, if it has one, as code and data.
pub fn options(octets: &[u8]) -> Option<Vec<(u16, Vec<u8>)>> {
    let opt = Message::from_slice(octets).unwrap().opt()?;
    let options = opt.opt().iter::<UnknownOptData<_>>();
    let options = options.map(|option| option.unwrap());
    let options = options.map(|option| (option.code().to_int(), option.data().to_vec()));
    Some(options.collect())
}

/// The response code, extended or not: `NOERROR`.
pub fn rcode(octets: &[u8]) -> String {
    Message::from_slice(octets).unwrap().opt_rcode().to_string()
}

/// The records of a message's three sections, as lines of a master file. OPT isn't
/// one of them.
pub fn sections(octets: &[u8]) -> [Vec<String>; 3] {
    let message = Message::from_slice(octets).unwrap();
    let (_, answer, authority, additional) = message.sections().unwrap();
    [answer, authority, additional].map(|section| {
        let records = section.map(|record| record.unwrap());
        records
            .filter(|record| record.rtype() != Rtype::OPT)
            .map(|record| line(&record))
            .collect()
    })
}

fn line(record: &ParsedRecord<'_, [u8]>) -> String {
    let record = record.to_any_record::<AllRecordData<_, _>>();
    record.expect("rdata as its type wants it").to_string()
}
