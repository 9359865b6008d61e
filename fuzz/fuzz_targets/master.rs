//! Any octets as a master file; what it says is printed and reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use namebeat::dns::master;
use namebeat::dns::text;
use namebeat::dns::zone::{Zone, ZoneKind};
use namebeat::name::DomainName;

fuzz_target!(|octets: &[u8]| {
    let origin = DomainName::parse("example.", None).unwrap();
    let parse = |text: &[u8]| master::parse(text, "fuzz".as_ref(), &origin, &master::no_include);
    let Ok(records) = parse(octets) else {
        return;
    };
    for record in &records {
        let (rtype, ttl) = (record.rtype, record.ttl.as_secs());
        let rdata = text::rdata(rtype, &record.rdata);
        let line = format!("{} {ttl} {rtype} {rdata}\n", record.owner);
        let again = parse(line.as_bytes()).unwrap_or_else(|error| panic!("{line}{error}"));
        assert_eq!((&again[0].owner, &again[0].rdata), (&record.owner, &record.rdata), "{line}");
    }
    let _ = Zone::build(&records, &ZoneKind::Whole);
    let _ = Zone::build(&records, &ZoneKind::Overlay(origin.clone()));
});
