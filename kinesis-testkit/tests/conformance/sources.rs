//! The files are complete, and every expectation says where it comes from.

use std::collections::{BTreeMap, BTreeSet};

use crate::FILES;
use crate::case::{CaseFile, SOURCE_KINDS};

/// Operations of API 2013-12-02 in the service model that the cases were written for.
const OPERATIONS: usize = 57;

#[test]
fn every_operation_of_the_model_has_its_file() {
    let names: BTreeSet<_> = FILES.iter().map(|(operation, _)| *operation).collect();
    assert_eq!((names.len(), FILES.len()), (OPERATIONS, OPERATIONS));
    for (operation, text) in FILES {
        let file = CaseFile::parse(text);
        assert_eq!(file.operation, *operation);
        assert!(file.cases.len() >= 2, "{operation} has {} cases", file.cases.len());
        let calls = file.cases.iter().flat_map(|case| &case.steps).filter_map(|step| step.call.as_deref());
        let unknown: BTreeSet<_> = calls.filter(|call| !names.contains(call)).collect();
        assert!(unknown.is_empty(), "{operation} calls {unknown:?}");
    }
}

#[test]
fn names_are_unique_within_a_file_and_every_case_puts_its_operation() {
    for (operation, text) in FILES {
        let mut names = BTreeSet::new();
        for case in CaseFile::parse(text).cases {
            let is_put = case.steps.iter().any(|step| step.call.as_deref() == Some(operation));
            assert!(is_put, "{operation}: `{}` never calls it", case.name);
            assert!(names.insert(case.name.clone()), "{operation}: `{}` is there twice", case.name);
        }
    }
}

#[test]
fn every_case_names_its_source() {
    let mut counts = BTreeMap::from(SOURCE_KINDS.map(|kind| (kind, 0)));
    for (operation, text) in FILES {
        for case in CaseFile::parse(text).cases {
            let kind = case.source_kind();
            let kind = kind.unwrap_or_else(|| panic!("{operation}: `{}` has the source `{}`", case.name, case.source));
            *counts.entry(kind).or_default() += 1;
        }
    }
    println!("{} cases: {counts:?}", counts.values().sum::<usize>());
    assert!(counts["unverified"] * 2 < counts.values().sum(), "most expectations have a source: {counts:?}");
}

#[test]
fn every_step_is_well_formed() {
    for (operation, text) in FILES {
        for case in CaseFile::parse(text).cases {
            let faults: Vec<_> = case.steps.iter().filter_map(|step| step.fault()).collect();
            assert!(faults.is_empty() && !case.steps.is_empty(), "{operation}: `{}`: {faults:?}", case.name);
        }
    }
}
